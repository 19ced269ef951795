import type { JsonObject } from "../../src/lib/json.ts";
import { endEarly, type Pace } from "../../src/demo/event-stream.ts";
import { sseText } from "../../src/lib/sse.ts";

/** How a reply goes over the wire. Everything off is how the backend usually sends. */
export interface StreamShape extends Pace {
  /** Only `data:` lines. */
  readonly noEventLines?: boolean;
  /** Lines end in CR LF. */
  readonly crlf?: boolean;
  /** A comment before each event. */
  readonly comments?: boolean;
  /** Each JSON text comes on two `data:` lines. */
  readonly splitData?: boolean;
  /** `data: [DONE]` at the end. */
  readonly trailingDone?: boolean;
  /** Events of unknown types, and data that is no JSON, between the real ones. */
  readonly noise?: boolean;
  /** Sends so many bytes at a time, also through the middle of characters. */
  readonly bytesPerWrite?: number;
  /** Sent before the first event. Without it the status line waits for the first event. */
  readonly opening?: string;
  /** Wait before the status line. */
  readonly delayMs?: number;
  /** Waits after so many events until told. */
  readonly pause?: { readonly after: number; readonly until: Promise<unknown> };
}

/** Called once, when the reply is over. */
export type OnEnd = (wasAborted: boolean) => void;

/** Enough to keep the socket busy, little enough to notice soon that the client has left. */
const BATCH_CHARACTERS = 16_384;

/** Sends events when the client reads, so that a client that stops reading stops the making of events as well. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #events: Iterator<JsonObject>;
  readonly #shape: StreamShape;
  readonly #onEnd: OnEnd;
  #sent = 0;
  #opening: string;
  #isOver = false;
  #isExhausted = false;
  readonly #leave = Promise.withResolvers<void>();
  /** Bytes cut up by `bytesPerWrite` and not yet sent. */
  #slices: Uint8Array[] = [];

  constructor(events: Iterable<JsonObject>, shape: StreamShape, onEnd: OnEnd) {
    this.#events = events[Symbol.iterator]();
    this.#shape = shape;
    this.#opening = shape.opening ?? "";
    this.#onEnd = onEnd;
    this.body = new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.abort(),
    });
  }

  /** The client is gone. */
  abort(): void {
    this.#finish(true);
    this.#leave.resolve();
  }

  #finish(wasAborted: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.return?.();
    this.#onEnd(wasAborted);
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const slice = this.#slices.shift();
    if (slice) {
      // Without a turn of the event loop in between, neighbouring writes leave in one packet.
      await Bun.sleep(0);
      controller.enqueue(slice);
      return;
    }
    if (this.#isEarlyEnd()) return this.#endEarly(controller);
    if (this.#sent === this.#shape.pause?.after) await Promise.race([this.#shape.pause.until, this.#leave.promise]);
    if (this.#isExhausted) {
      this.#finish(false);
      controller.close();
      return;
    }
    if (this.#shape.paceMs) await Bun.sleep(this.#shape.paceMs);
    if (this.#isOver) return;
    const bytes = new TextEncoder().encode(this.#nextBatch());
    this.#enqueue(controller, bytes);
  }

  #enqueue(controller: ReadableStreamDefaultController<Uint8Array>, bytes: Uint8Array): void {
    const size = this.#shape.bytesPerWrite ?? bytes.length;
    for (let at = size; at < bytes.length; at += size) this.#slices.push(bytes.slice(at, at + size));
    const head = bytes.slice(0, size);
    if (head.length > 0) controller.enqueue(head);
    else if (this.#isExhausted) {
      this.#finish(false);
      controller.close();
    }
  }

  #nextBatch(): string {
    let batch = this.#opening;
    this.#opening = "";
    while (batch.length < BATCH_CHARACTERS && !this.#isEarlyEnd()) {
      const next = this.#events.next();
      if (next.done === true) {
        this.#isExhausted = true;
        return this.#shape.trailingDone === true ? `${batch}data: [DONE]\n\n` : batch;
      }
      batch += this.#frame(next.value);
      this.#sent += 1;
      if (this.#shape.paceMs || this.#sent === this.#shape.pause?.after) break;
    }
    return batch;
  }

  #isEarlyEnd(): boolean {
    return this.#opening === "" && this.#shape.end !== undefined && this.#sent >= this.#shape.end.after;
  }

  #endEarly(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const how = this.#shape.end?.how ?? "stall";
    if (how !== "stall") this.#finish(false);
    return endEarly(controller, how, this.#leave.promise);
  }

  #frame(event: JsonObject): string {
    const { noEventLines, crlf, comments, splitData, noise } = this.#shape;
    const data = JSON.stringify(event);
    const type = String(event["type"]);
    // After the first comma, which always follows the type, JSON allows a line break.
    const lines = splitData === true ? data.replace(",", ",\ndata: ") : data;
    let frame = noEventLines === true ? `data: ${lines}\n\n` : sseText(type, lines);
    if (comments === true) frame = `: still here\n\n${frame}`;
    if (noise === true) frame += NOISE;
    return crlf === true ? frame.replaceAll("\n", "\r\n") : frame;
  }
}

const NOISE =
  'event: response.unheard_of\ndata: {"type":"response.unheard_of","x":1}\n\n' +
  "event: ping\ndata: this is not JSON\n\n" +
  'event: keepalive\ndata: {"type":"keepalive"}\n\n';
