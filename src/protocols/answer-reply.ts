import type { AnswerReader } from "../codex/output/answer.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import type { RelayError } from "../lib/errors.ts";
import type { ClientBody, ClientStream } from "./protocol.ts";

/** A streamed reply that is written as its reader tells the answer. */
export abstract class AnswerStream implements ClientStream {
  protected abstract readonly reader: AnswerReader;
  #frames = "";
  #hasFailed = false;

  get isDone(): boolean {
    return this.#hasFailed || this.reader.isDone;
  }

  onEvent(event: WireEvent): string {
    this.reader.onEvent(event);
    return this.#take();
  }

  onEnd(): string {
    this.reader.onEnd();
    return this.#take();
  }

  onFailure(error: RelayError, requestId: string): string {
    this.#hasFailed = true;
    return this.#take() + this.failure(error, requestId);
  }

  /** How the stream ends when it fails in the middle. */
  protected abstract failure(error: RelayError, requestId: string): string;

  protected write(frame: string): void {
    this.#frames += frame;
  }

  #take(): string {
    const frames = this.#frames;
    this.#frames = "";
    return frames;
  }
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
