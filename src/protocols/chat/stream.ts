import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerOptions } from "../../codex/output/events.ts";
import type { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { AnswerStream } from "../answer-reply.ts";
import { DONE } from "../openai-frames.ts";
import type { Context, Send } from "../protocol.ts";
import type { ChatDelta, ChatEnd } from "./delta.ts";
import { chatReader, type ChatEvent } from "./reply.ts";
import type { ChatRequest } from "./schema.ts";

/** A streamed answer: each delta as one chat.completion.chunk. */
export class ChatStream extends AnswerStream {
  protected readonly reader: AnswerReader;
  readonly #model: string;
  readonly #includesUsage: boolean;
  /** What every chunk begins with, as JSON with its brace still open: written once, not for each delta. */
  #head = "";

  constructor(request: ChatRequest, context: Context, options: AnswerOptions, send: Send) {
    super(send);
    this.#model = request.model;
    this.#includesUsage = request.stream_options?.include_usage === true;
    this.reader = chatReader(request, context, options, (event) => this.#event(event));
  }

  protected fail(error: RelayError): void {
    this.send({ data: openaiError(error) });
    this.send(DONE);
  }

  #event(event: ChatEvent): void {
    switch (event.type) {
      case "start":
        this.#start(event.id, event.created);
        break;
      case "delta":
        this.#chunk(event.delta, "null");
        break;
      case "end":
        this.#end(event);
    }
  }

  #start(id: string, created: number): void {
    const envelope = { id, object: "chat.completion.chunk", created, model: this.#model };
    this.#head = JSON.stringify(envelope).slice(0, -1);
  }

  #end(end: ChatEnd): void {
    this.#chunk({}, JSON.stringify(end.finishReason), end.serviceTier);
    if (this.#includesUsage) {
      this.send({ data: `${this.#head},"choices":[],"usage":${JSON.stringify(end.usage)}}` });
    }
    this.send(DONE);
  }

  /** `finishReason` as JSON. */
  #chunk(delta: ChatDelta, finishReason: string, serviceTier?: string): void {
    const choice = `{"index":0,"delta":${JSON.stringify(delta)},"logprobs":null,"finish_reason":${finishReason}}`;
    // Clients that did not ask for usage must not see the key; those that did see null until the last chunk.
    const usage = this.#includesUsage ? ',"usage":null' : "";
    const tier = serviceTier === undefined ? "" : `,"service_tier":${JSON.stringify(serviceTier)}`;
    this.send({ data: `${this.#head},"choices":[${choice}]${usage}${tier}}` });
  }
}
