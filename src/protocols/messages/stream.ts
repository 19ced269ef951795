import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerOptions } from "../../codex/output/events.ts";
import type { RelayError } from "../../lib/errors.ts";
import { AnswerStream } from "../answer-reply.ts";
import type { Context, Send } from "../protocol.ts";
import type { BlockEvent } from "./blocks.ts";
import { voice } from "./error.ts";
import { endOf, messageOf } from "./message.ts";
import { messageReader, type AskedMessage, type MessageEvent } from "./reply.ts";

/** A streamed message: each piece as one named event. */
export class MessageStream extends AnswerStream {
  protected readonly reader: AnswerReader;
  readonly #flush: () => void;
  readonly #model: string;
  /** An estimate: what the question cost upstream says at the end. */
  readonly #inputTokens: number;

  constructor(asked: AskedMessage, context: Context, options: AnswerOptions, send: Send) {
    super(send);
    this.#model = asked.model;
    this.#inputTokens = options.inputTokens;
    const { reader, flush } = messageReader(asked, context, options, (event) => this.#event(event));
    this.reader = reader;
    this.#flush = flush;
  }

  protected fail(error: RelayError, requestId: string): void {
    this.#flush();
    this.send({ event: "error", data: voice.toError(error, requestId) });
  }

  #event(event: MessageEvent): void {
    switch (event.type) {
      case "start":
        this.#named({
          type: "message_start",
          message: messageOf(event.id, this.#model, [], undefined, this.#inputTokens),
        });
        break;
      case "end":
        this.#named({ type: "message_delta", delta: endOf(event.end), usage: event.end.usage });
        this.#named({ type: "message_stop" });
        break;
      case "content_block_delta":
        this.send({ event: event.type, data: deltaJson(event) });
        break;
      default:
        this.#named(event);
    }
  }

  #named(event: { readonly type: string; readonly [field: string]: unknown }): void {
    this.send({ event: event.type, data: event });
  }
}

/** Nearly all events of a stream are such ones: written piece by piece, they cost half. */
function deltaJson({ index, delta }: Extract<BlockEvent, { type: "content_block_delta" }>): string {
  const json =
    delta.type === "text_delta" ? `{"type":"text_delta","text":${JSON.stringify(delta.text)}}` : JSON.stringify(delta);
  return `{"type":"content_block_delta","index":${index},"delta":${json}}`;
}
