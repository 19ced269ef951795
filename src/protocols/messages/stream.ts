import type { AnswerReader } from "../../codex/output/answer.ts";
import type { RelayError } from "../../lib/errors.ts";
import { AnswerStream } from "../answer-reply.ts";
import type { Context, Send } from "../protocol.ts";
import type { BlockDelta, StartedBlock } from "./blocks.ts";
import { voice } from "./error.ts";
import { endOf, messageOf } from "./message.ts";
import { messageReader, type MessageEnd, type MessageSink } from "./reply.ts";
import type { MessagesRequest } from "./schema.ts";

/** A streamed message: each piece as one named event. */
export class MessageStream extends AnswerStream implements MessageSink {
  protected readonly reader: AnswerReader;
  readonly #model: string;
  /** Of the block that was opened last. */
  #index = -1;

  constructor(request: MessagesRequest, context: Context, send: Send) {
    super(send);
    this.#model = request.model;
    this.reader = messageReader(request, context, this);
  }

  protected fail(error: RelayError, requestId: string): void {
    this.send({ event: "error", data: voice.toError(error, requestId) });
  }

  begin(id: string): void {
    this.#event({ type: "message_start", message: messageOf(id, this.#model, [], undefined) });
  }

  open(block: StartedBlock): void {
    this.#index += 1;
    this.#event({ type: "content_block_start", index: this.#index, content_block: block });
  }

  delta(delta: BlockDelta): void {
    this.#event({ type: "content_block_delta", index: this.#index, delta });
  }

  close(): void {
    this.#event({ type: "content_block_stop", index: this.#index });
  }

  end(end: MessageEnd): void {
    this.#event({ type: "message_delta", delta: endOf(end), usage: end.usage });
    this.#event({ type: "message_stop" });
  }

  #event(event: { readonly type: string; readonly [key: string]: unknown }): void {
    this.send({ event: event.type, data: event });
  }
}
