import { createParser } from "eventsource-parser";
import { truncated } from "../codex/failure.ts";
import { isTerminal, WireEvent } from "../codex/wire-event.ts";
import { RelayError } from "../lib/errors.ts";

/** One event may carry an image; beyond this the stream is broken. In characters. */
const MAX_EVENT_CHARACTERS = 64 * 1024 * 1024;

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
  /** Called with every event but the many deltas; it is yielded all the same. */
  readonly onNotable?: (event: WireEvent) => void;
  /** Called with the events of each network read, before they are yielded. */
  readonly onBatch?: (batch: readonly WireEvent[]) => void;
  /** Called when upstream has said all: what is still to come are the last bytes of the body, and read here. */
  readonly onEnd?: () => void;
}

/**
 * Upstream bytes → the events of each network read. One await serves many events. Ends with the terminal event or the
 * body; a body that breaks off throws `upstream_stream_truncated`, silence throws `upstream_timeout`, events before
 * either are yielded.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<WireEvent[], void, undefined> {
  let batch: WireEvent[] = [];
  let oversize = false;
  let isEnd = false;
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onEvent({ data }) {
      const event = WireEvent.from(data);
      if (!event) return options.onIgnored?.();
      if (!event.isBulk) options.onNotable?.(event);
      // After an `error` event the reply's own end may follow.
      if (isTerminal(event.type) && event.type !== "error") isEnd = true;
      batch.push(event);
    },
    onError(error) {
      if (error.type === "max-buffer-size-exceeded") oversize = true;
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let isWaiting = false;
  let isSilent = false;
  const silence =
    options.idleTimeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          // Between reads it is the client that takes its time.
          if (!isWaiting) return;
          isSilent = true;
          // Wakes the pending read; the throw below says why.
          reader.cancel().catch(() => {});
        }, options.idleTimeoutMs);
  try {
    for (;;) {
      isWaiting = true;
      silence?.refresh();
      const { done, value } = await read(reader);
      isWaiting = false;
      if (isSilent) throw silentUpstream(options.idleTimeoutMs ?? 0);
      for (const slice of value ? slicesOf(value) : [undefined]) {
        // A last event without its blank line still counts, so the end of the body closes it.
        parser.feed(slice ? decoder.decode(slice, { stream: true }) : `${decoder.decode()}\n\n`);
        if (isEnd) {
          options.onEnd?.();
          void readToEnd(reader);
        }
        if (batch.length > 0) {
          const ready = batch;
          batch = [];
          options.onBatch?.(ready);
          yield ready;
        }
        if (oversize) throw new RelayError("upstream_error", "Upstream sent an event that is too large to be real.");
        if (isEnd) return;
      }
      if (done) return;
    }
  } finally {
    clearTimeout(silence);
    if (!isEnd) reader.cancel().catch(() => {});
  }
}

function* slicesOf(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) yield bytes.subarray(start, start + SLICE_BYTES);
}

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

async function read(reader: ByteReader): Promise<{ done: boolean; value?: Uint8Array | undefined }> {
  try {
    return await reader.read();
  } catch (error) {
    if (error instanceof RelayError || isAbort(error)) throw error;
    throw truncated(error);
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

function silentUpstream(idleTimeoutMs: number): RelayError {
  return new RelayError("upstream_timeout", `Upstream sent nothing for ${Math.round(idleTimeoutMs / 1000)} seconds.`);
}
