import { RelayError } from "../lib/errors.ts";

/** This part of the room or less is nothing beside large bodies, and need not wait for them to come in. */
const SMALL = 512;

/**
 * What requests may hold in bodies at the same time. One large body is in memory several times over while it is
 * translated; without a bound, a few dozen at once would take all that a machine has.
 */
export class BodyBudget {
  readonly #mostBytes: () => number;
  #heldBytes = 0;

  constructor(mostBytes: () => number) {
    this.#mostBytes = mostBytes;
  }

  /** One request's share: `hold` counts bytes of its body, `leave` gives all of them back. */
  enter(): { readonly hold: (bytes: number) => void; readonly leave: () => void } {
    let held = 0;
    return {
      /** Throws `relay_busy`. */
      hold: (bytes) => {
        const isSmall = held + bytes <= this.#mostBytes() / SMALL;
        // Alone, a request may have as much as its own limit allows.
        if (!isSmall && this.#heldBytes > held && this.#heldBytes + bytes > this.#mostBytes()) throw full();
        held += bytes;
        this.#heldBytes += bytes;
      },
      leave: () => {
        this.#heldBytes -= held;
        held = 0;
      },
    };
  }
}

function full(): RelayError {
  return new RelayError("relay_busy", "The relay already holds as many large bodies as it may.", {
    retryAfterMs: 1000,
    hint: "Try again in a moment, or send fewer at once.",
  });
}
