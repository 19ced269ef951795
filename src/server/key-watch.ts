import type { KeyRing } from "../keys/key-ring.ts";
import { RelayError } from "../lib/errors.ts";
import { endedKey, type CallerKey } from "./access.ts";
import type { RequestLifetime } from "./lifetime.ts";

/** How soon what a revoked key has open ends. A look costs one `stat`, and there are none while no key has anything open. */
const LOOK_MS = 250;

/** A connection that may ask again and again, as a WebSocket. */
export interface WatchedSocket {
  readonly key: CallerKey | undefined;
  /** Says why in the dialect's form, and closes. */
  shutOut(error: RelayError): void;
}

export interface KeyWatchOptions {
  readonly ring: KeyRing;
  readonly requests: () => Iterable<RequestLifetime>;
  readonly sockets: () => Iterable<WatchedSocket>;
}

/** Ends what keys have open once they are revoked or have expired. */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: KeyWatchOptions) {
    this.#options = options;
  }

  /** Something was opened; only keys of clients can end. */
  opened(key: CallerKey | undefined): void {
    if (key?.limits === undefined || this.#timer) return;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  #look(): void {
    const { requests, sockets } = this.#options;
    let isAnyOpen = false;
    // What ends leaves the sets on the way, which their iterators allow.
    for (const lifetime of requests()) {
      const ended = this.#endOf(lifetime.key);
      if (ended) lifetime.end(ended);
      else isAnyOpen ||= lifetime.key?.limits !== undefined;
    }
    for (const socket of sockets()) {
      const ended = this.#endOf(socket.key);
      if (ended) socket.shutOut(ended);
      else isAnyOpen ||= socket.key?.limits !== undefined;
    }
    if (isAnyOpen) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #endOf(key: CallerKey | undefined): RelayError | undefined {
    return key && endOfKey(this.#options.ring, key);
  }
}

/** Why what a caller came in with is good no more; undefined while it is. Who came without a key needs one once there are any. */
export function endOfKey(ring: KeyRing | undefined, key: CallerKey | undefined): RelayError | undefined {
  if (!ring) return undefined;
  if (!key) return ring.isInUse ? keyNeeded() : undefined;
  if (key.limits === undefined) return undefined;
  const state = ring.stateOf(key.id);
  return state === "usable" ? undefined : endedKey(key.name, state);
}

function keyNeeded(): RelayError {
  return new RelayError("invalid_api_key", "This relay asks for an API key from now on.", {
    shouldRetry: false,
    hint: "Connect anew with a key that `plansocket keys add NAME` made.",
  });
}
