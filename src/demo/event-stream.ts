import type { JsonObject } from "../lib/json.ts";
import { sseText } from "../lib/sse.ts";

/** How a reply goes over the wire. */
export interface Pace {
  /** Milliseconds before each event. */
  readonly paceMs?: number;
  /** Ends early after so many events: by a torn connection, by an orderly close, or never until the client leaves. */
  readonly end?: { readonly after: number; readonly how: "destroy" | "close" | "stall" };
}

/** Events as server-sent events, made when the client reads. An early end follows `pace.end`. */
export function eventStream(events: Iterable<JsonObject>, pace: Pace): ReadableStream<Uint8Array> {
  const iterator = events[Symbol.iterator]();
  const left = Promise.withResolvers<void>();
  const encoder = new TextEncoder();
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (pace.paceMs !== undefined && pace.paceMs > 0) await Bun.sleep(pace.paceMs);
      if (sent === pace.end?.after) return endEarly(controller, pace.end.how, left.promise);
      const next = iterator.next();
      if (next.done === true) return controller.close();
      sent += 1;
      controller.enqueue(encoder.encode(sseText(String(next.value["type"]), JSON.stringify(next.value))));
    },
    cancel() {
      iterator.return?.();
      left.resolve();
    },
  });
}

/** Ends a reply before its last event. `hasLeft` settles when the client is gone. */
export async function endEarly(
  controller: ReadableStreamDefaultController<Uint8Array>,
  how: "destroy" | "close" | "stall",
  hasLeft: Promise<void>,
): Promise<void> {
  if (how === "close") return controller.close();
  if (how === "stall") return hasLeft;
  // The bytes sent before must be on their way, or the reset overtakes them.
  await Bun.sleep(20);
  // With a reason Bun prints it as a failure of the program.
  controller.error();
}
