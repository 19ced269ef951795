import type { AnswerReader } from "../../codex/answer.ts";
import type { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { dataFrame, DONE_FRAME } from "../../lib/sse.ts";
import { AnswerStream } from "../answer-reply.ts";
import type { Context } from "../protocol.ts";
import type { ChatDelta, ChatEnd } from "./delta.ts";
import { chatReader, type ChatSink } from "./reply.ts";
import type { ChatRequest } from "./schema.ts";

/** A streamed answer: each delta as one chat.completion.chunk. */
export class ChatStream extends AnswerStream implements ChatSink {
  protected readonly reader: AnswerReader;
  readonly #model: string;
  readonly #includesUsage: boolean;
  #id = "";
  #created = 0;

  constructor(request: ChatRequest, context: Context) {
    super();
    this.#model = request.model;
    this.#includesUsage = request.stream_options?.include_usage === true;
    this.reader = chatReader(request, context, this);
  }

  protected failure(error: RelayError): string {
    return dataFrame(JSON.stringify(openaiError(error))) + DONE_FRAME;
  }

  begin(id: string, created: number): void {
    this.#id = id;
    this.#created = created;
  }

  delta(delta: ChatDelta): void {
    this.#chunk(delta, null);
  }

  end(end: ChatEnd): void {
    this.#chunk({}, end.finishReason, end.serviceTier);
    if (this.#includesUsage && end.usage) {
      this.write(dataFrame(JSON.stringify({ ...this.#envelope(), choices: [], usage: end.usage })));
    }
    this.write(DONE_FRAME);
  }

  #chunk(delta: ChatDelta, finishReason: string | null, serviceTier?: string): void {
    this.write(
      dataFrame(
        JSON.stringify({
          id: this.#id,
          object: "chat.completion.chunk",
          created: this.#created,
          model: this.#model,
          choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
          // Clients that did not ask for usage must not see the key; those that did see null until the last chunk.
          usage: this.#includesUsage ? null : undefined,
          service_tier: serviceTier,
        }),
      ),
    );
  }

  #envelope() {
    return { id: this.#id, object: "chat.completion.chunk", created: this.#created, model: this.#model };
  }
}
