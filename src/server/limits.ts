import { RelayError } from "../lib/errors.ts";
import type { RequestLifetime } from "./lifetime.ts";

/**
 * Requests in flight and open sockets, and how many there may be of both together: fetch would queue the request too
 * many in silence, and a socket may send one at any time.
 */
export class RequestLimit {
  /** Lifetimes of the requests in flight, those on sockets among them. */
  readonly active = new Set<RequestLifetime>();
  /** Open sockets. */
  readonly sockets = new Set<object>();
  readonly #maxRequests: () => number;

  constructor(maxRequests: () => number) {
    this.#maxRequests = maxRequests;
  }

  /** Counts a request until `leave`. Throws `relay_busy` when there are as many as there may be. */
  enter(lifetime: RequestLifetime): void {
    // A socket has one request at a time, and is counted itself.
    if (!lifetime.isOnSocket) this.check();
    this.active.add(lifetime);
  }

  leave(lifetime: RequestLifetime): void {
    this.active.delete(lifetime);
  }

  /** Throws `relay_busy` when there are as many requests and sockets as there may be. */
  check(): void {
    let count = this.sockets.size;
    for (const lifetime of this.active) if (!lifetime.isOnSocket) count += 1;
    if (count < this.#maxRequests()) return;
    throw new RelayError("relay_busy", `The relay is already busy with ${count} requests.`, {
      retryAfterMs: 1000,
      hint: "Try again in a moment, or raise --max-requests.",
    });
  }

  /** Replies that are being streamed. */
  get openStreams(): number {
    return [...this.active].filter((lifetime) => lifetime.isStreaming).length;
  }
}
