import type { AnswerReader } from "../../codex/answer.ts";
import type { RelayError } from "../../lib/errors.ts";
import { dataFrame, DONE_FRAME } from "../../lib/sse.ts";
import type { WireEvent } from "../../codex/wire-event.ts";
import type { ClientStream, Context } from "../protocol.ts";
import type { ChatDelta, ChatEnd } from "./delta.ts";
import { toError } from "./error.ts";
import { chatReader, type ChatSink } from "./reply.ts";
import type { ChatRequest } from "./schema.ts";

/** A streamed answer: each delta as one chat.completion.chunk. */
export class ChatStream implements ClientStream, ChatSink {
  readonly #reader: AnswerReader;
  readonly #model: string;
  readonly #includesUsage: boolean;
  #id = "";
  #created = 0;
  #frames = "";
  #hasFailed = false;

  constructor(request: ChatRequest, context: Context) {
    this.#model = request.model;
    this.#includesUsage = request.stream_options?.include_usage === true;
    this.#reader = chatReader(request, context, this);
  }

  get isDone(): boolean {
    return this.#hasFailed || this.#reader.isDone;
  }

  onEvent(event: WireEvent): string {
    this.#reader.onEvent(event);
    return this.#take();
  }

  onEnd(): string {
    this.#reader.onEnd();
    return this.#take();
  }

  onFailure(error: RelayError): string {
    this.#hasFailed = true;
    return this.#take() + dataFrame(JSON.stringify(toError(error))) + DONE_FRAME;
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
      this.#frames += dataFrame(JSON.stringify({ ...this.#envelope(), choices: [], usage: end.usage }));
    }
    this.#frames += DONE_FRAME;
  }

  #chunk(delta: ChatDelta, finishReason: string | null, serviceTier?: string): void {
    this.#frames += dataFrame(
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
    );
  }

  #envelope() {
    return { id: this.#id, object: "chat.completion.chunk", created: this.#created, model: this.#model };
  }

  #take(): string {
    const frames = this.#frames;
    this.#frames = "";
    return frames;
  }
}
