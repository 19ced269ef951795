import type { AnswerReader } from "../codex/output/answer.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import type { RelayError } from "../lib/errors.ts";
import type { ClientBody, ClientStream, Send } from "./protocol.ts";

/** A streamed reply that is written as its reader tells the answer. */
export abstract class AnswerStream implements ClientStream {
  protected abstract readonly reader: AnswerReader;
  protected readonly send: Send;
  #hasFailed = false;

  constructor(send: Send) {
    this.send = send;
  }

  get isDone(): boolean {
    return this.#hasFailed || this.reader.isDone;
  }

  onEvent(event: WireEvent): void {
    this.reader.onEvent(event);
  }

  onEnd(): void {
    this.reader.onEnd();
  }

  onFailure(error: RelayError, requestId: string): void {
    this.#hasFailed = true;
    this.fail(error, requestId);
  }

  /** Sends how the stream ends when it fails in the middle. */
  protected abstract fail(error: RelayError, requestId: string): void;
}

/** A whole reply: the fold of the very pieces that a stream would have sent. */
export abstract class AnswerBody implements ClientBody {
  protected abstract readonly reader: AnswerReader;

  get isDone(): boolean {
    return this.reader.isDone;
  }

  onEvent(event: WireEvent): void {
    this.reader.onEvent(event);
  }

  toBody(): unknown {
    this.reader.onEnd();
    return this.body();
  }

  protected abstract body(): unknown;
}
