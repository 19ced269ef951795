import { failureOf, truncated } from "../codex/failure.ts";
import { isPreamble, type WireEvent } from "../codex/wire-event.ts";

type Batches = AsyncGenerator<WireEvent[], void, undefined>;

/** A batch already read, or one still under way when holding ended. */
type Held = IteratorResult<WireEvent[], void> | Promise<IteratorResult<WireEvent[], void>>;

/**
 * Reads until the first event that matters, so that a failure inside a 200 can still be retried or get its true
 * status, and returns all batches from the first on. Gives up holding after `holdMs`: a model that thinks long must not
 * leave the client without an answer. Throws RelayError when the reply begins with a failure or ends before output.
 */
export async function afterFirstOutput(events: Batches, holdMs: number, now: () => number): Promise<Batches> {
  const held: Held[] = [];
  const deadline = Promise.withResolvers<"held">();
  const timer = setTimeout(() => deadline.resolve("held"), holdMs);
  try {
    for (;;) {
      const next = events.next();
      const result = await Promise.race([next, deadline.promise]);
      if (result === "held") {
        // Whoever reads on gets its failure; a client that leaves first must not leave it to nobody.
        next.catch(() => {});
        return chain([...held, next], events);
      }
      // Nothing came that mattered: still time for a true status.
      if (result.done) throw truncated();
      held.push(result);
      const decisive = result.value.find((event) => !isPreamble(event.type));
      const failure = decisive && failureOf(decisive, now());
      if (failure) {
        await events.return();
        throw failure;
      }
      if (decisive) return chain(held, events);
    }
  } finally {
    clearTimeout(timer);
  }
}

async function* chain(held: Held[], rest: Batches): Batches {
  try {
    // Taken out one by one: this lives as long as the reply, and what was handed on must not.
    for (let batch = held.shift(); batch; batch = held.shift()) {
      const result = await batch;
      if (result.done) return;
      yield result.value;
    }
    yield* rest;
  } finally {
    await rest.return();
  }
}
