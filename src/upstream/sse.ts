import { truncated } from "../codex/wire/failure.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import { isTerminal } from "../codex/wire/event-types.ts";
import { RelayError } from "../lib/errors.ts";
import { IdleTimer } from "../lib/idle-timer.ts";
import { EventCutter } from "./event-cutter.ts";

/**
 * Of a network read, taken apart at once. A fast backend fills half a megabyte at a time, which as events is many times
 * that: as long as a slow reader has not taken them, they would all be held.
 */
const SLICE_BYTES = 64 * 1024;
/** How long a reply that has said all may take to end. */
const LAST_BYTES_MS = 2000;

export interface ReadOptions {
  /** Longest silence before the reply counts as dead; none when left out. */
  readonly idleTimeoutMs?: number;
  /** Called for every data field that is no event (`[DONE]`, broken JSON). */
  readonly onIgnored?: () => void;
  /** Called with every event but the many deltas; it is handed on all the same. */
  readonly onNotable?: (event: WireEvent) => void;
  /** Called with the events of each network read, before they are handed on. */
  readonly onBatch?: (batch: readonly WireEvent[]) => void;
  /** Called when upstream has said all: what is still to come are the last bytes of the body, and read here. */
  readonly onEnd?: () => void;
}

/** Events in batches of one network read each, or of a slice of a large one: one await serves many events. */
export interface EventBatches {
  /** The next batch; undefined at the end. Throws RelayError. */
  next(): Promise<WireEvent[] | undefined>;
  /** Lets upstream go. A `next` that waits ends. */
  cancel(): void;
}

/**
 * Reads batches until one was the last that is wanted (`onBatch` says true) or there are no more, and lets upstream go.
 * Throws what reading or `onBatch` throws.
 */
export async function readBatches(
  events: EventBatches,
  onBatch: (batch: readonly WireEvent[]) => boolean,
): Promise<void> {
  try {
    for (let batch = await events.next(); batch; batch = await events.next()) if (onBatch(batch)) return;
  } finally {
    events.cancel();
  }
}

/**
 * Upstream bytes → events. Ends with the terminal event or the body; a body that breaks off throws
 * `upstream_stream_truncated`, silence throws `upstream_timeout`, both after all events that came before.
 */
export class EventReader implements EventBatches {
  readonly #options: ReadOptions;
  readonly #reader: ByteReader;
  readonly #decoder = new TextDecoder();
  readonly #cutter: EventCutter;
  readonly #idleTimer: IdleTimer | undefined;
  /** Of the last network read, what has not been taken apart. */
  #bytes: Uint8Array | undefined;
  #isWaiting = false;
  #isSilent = false;
  /** Upstream has said all. */
  #hasEnded = false;
  #isOver = false;

  constructor(body: ReadableStream<Uint8Array>, options: ReadOptions = {}) {
    this.#options = options;
    this.#reader = body.getReader();
    this.#cutter = new EventCutter({
      onIgnored: options.onIgnored,
      onNotable: (event) => {
        options.onNotable?.(event);
        // After an `error` event the reply's own end may follow.
        if (isTerminal(event.type) && event.type !== "error") this.#hasEnded = true;
      },
    });
    if (options.idleTimeoutMs !== undefined)
      this.#idleTimer = new IdleTimer(options.idleTimeoutMs, () => this.#fallSilent());
  }

  /**
   * Not async, as nothing on the way of a batch is: at the pace of tokens each read has one event, and each function that
   * awaits it costs more than taking it apart.
   */
  next(): Promise<WireEvent[] | undefined> {
    return this.#bytes === undefined && !this.#isOver ? this.#read() : this.#nextSlice();
  }

  /** Of what has been read; and then on. */
  async #nextSlice(): Promise<WireEvent[] | undefined> {
    while (this.#bytes !== undefined) {
      const batch = this.#batchIn(this.#bytes);
      if (batch) return batch;
    }
    return this.#isOver ? undefined : this.#read();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#close();
    this.#reader.cancel().catch(() => {});
  }

  #read(): Promise<WireEvent[] | undefined> {
    this.#isWaiting = true;
    this.#idleTimer?.touch();
    return this.#reader.read().then(this.#onBytes, this.#onBroken);
  }

  /** The next bytes of the body are here; undefined at its end. */
  readonly #onBytes = ({ value }: { value?: Uint8Array | undefined }): BatchOrLater => {
    this.#isWaiting = false;
    if (this.#isSilent) {
      this.#close();
      throw silentUpstream(this.#options.idleTimeoutMs ?? 0);
    }
    return this.#batchIn(value) ?? this.next();
  };

  readonly #onBroken = (thrown: unknown): never => {
    this.cancel();
    throw thrown instanceof RelayError || isAbort(thrown) ? thrown : truncated(thrown);
  };

  /** The same as #take, where it has any. */
  #batchIn(bytes: Uint8Array | undefined): WireEvent[] | undefined {
    const batch = this.#take(bytes);
    if (batch.length > 0) return batch;
    if (!this.#cutter.isOversize) return undefined;
    this.cancel();
    throw new RelayError("upstream_error", "Upstream sent an event that is too large to be real.");
  }

  /** The events in the next slice of what was read; none are left at the body's end. */
  #take(bytes: Uint8Array | undefined): WireEvent[] {
    if (this.#isOver) return [];
    const isLong = bytes !== undefined && bytes.length > SLICE_BYTES;
    const slice = isLong ? bytes.subarray(0, SLICE_BYTES) : bytes;
    this.#bytes = isLong ? bytes.subarray(SLICE_BYTES) : undefined;
    // A last event without its blank line still counts, so the end of the body closes it.
    const text = slice ? this.#decoder.decode(slice, { stream: true }) : `${this.#decoder.decode()}\n\n`;
    const batch = this.#cut(text);
    if (this.#hasEnded || !slice) this.#close();
    if (this.#hasEnded) {
      this.#options.onEnd?.();
      void readToEnd(this.#reader);
    }
    if (batch.length > 0) this.#options.onBatch?.(batch);
    return batch;
  }

  /** Whoever is told of events may throw: then there is nobody to read for. */
  #cut(text: string): WireEvent[] {
    try {
      return this.#cutter.feed(text);
    } catch (thrown) {
      this.cancel();
      throw thrown;
    }
  }

  #close(): void {
    this.#isOver = true;
    this.#bytes = undefined;
    this.#idleTimer?.stop();
  }

  #fallSilent(): void {
    // Between reads it is the client that takes its time.
    if (!this.#isWaiting) return;
    this.#isSilent = true;
    // Wakes the pending read, which then says why.
    this.#reader.cancel().catch(() => {});
  }
}

type BatchOrLater = WireEvent[] | Promise<WireEvent[] | undefined>;

interface ByteReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** Only a connection whose reply was read to its end carries the next request; a new one costs a TLS handshake. */
async function readToEnd(reader: ByteReader): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), LAST_BYTES_MS);
  try {
    while (!(await reader.read()).done);
  } catch {
    // Nobody waits for these bytes.
  } finally {
    clearTimeout(timer);
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

function silentUpstream(idleTimeoutMs: number): RelayError {
  return new RelayError("upstream_timeout", `Upstream sent nothing for ${Math.round(idleTimeoutMs / 1000)} seconds.`);
}
