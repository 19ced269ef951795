import { failureOf, truncated } from "../codex/wire/failure.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import { isPreamble } from "../codex/wire/event-types.ts";
import type { EventBatches } from "./sse.ts";

/** A batch already read, or one still under way when holding ended. */
type Held = WireEvent[] | Promise<WireEvent[] | undefined>;

/**
 * Reads until the first event that matters, so that a failure inside a 200 can still be retried or get its true
 * status, and returns all batches from the first on. Gives up holding after `holdMs`: a model that thinks long must not
 * leave the client without an answer. Throws RelayError when the reply begins with a failure or ends before output.
 */
export async function afterFirstOutput(events: EventBatches, holdMs: number, now: () => number): Promise<EventBatches> {
  const held: Held[] = [];
  const deadline = Promise.withResolvers<"held">();
  const timer = setTimeout(() => deadline.resolve("held"), holdMs);
  try {
    for (;;) {
      const next = events.next();
      const batch = await Promise.race([next, deadline.promise]);
      if (batch === "held") {
        // Whoever reads on gets its failure; a client that leaves first must not leave it to nobody.
        next.catch(() => {});
        return new Resumed([...held, next], events);
      }
      // Nothing came that mattered: still time for a true status.
      if (!batch) throw truncated();
      held.push(batch);
      const decisive = batch.find((event) => !isPreamble(event.type));
      const failure = decisive && failureOf(decisive, now());
      if (failure) {
        events.cancel();
        throw failure;
      }
      if (decisive) return new Resumed(held, events);
    }
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads until the answer has begun with whatever event, so that a refusal in its place can still be thrown; for readers
 * that want every event at once. Throws what `events` throws, and where they end before that.
 */
export async function afterFirstEvent(events: EventBatches): Promise<EventBatches> {
  const held: Held[] = [];
  for (;;) {
    const batch = await events.next();
    if (!batch) throw truncated();
    held.push(batch);
    if (batch.some(({ type }) => !type.startsWith("codex."))) return new Resumed(held, events);
  }
}

/** What was held, and then the rest. */
class Resumed implements EventBatches {
  readonly #held: Held[];
  readonly #rest: EventBatches;

  constructor(held: Held[], rest: EventBatches) {
    this.#held = held;
    this.#rest = rest;
  }

  /** Taken out one by one: this lives as long as the reply, and what was handed on must not. */
  next(): Promise<WireEvent[] | undefined> {
    const held = this.#held.shift();
    return held ? Promise.resolve(held) : this.#rest.next();
  }

  cancel(): void {
    this.#rest.cancel();
  }
}
