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
  /** Of the requests in flight, those on sockets: counted as they come, as every request asks how many the others are. */
  #onSockets = 0;

  constructor(maxRequests: () => number) {
    this.#maxRequests = maxRequests;
  }

  /** Counts a request until `leave`. Throws `relay_busy` when there are as many as there may be. */
  enter(lifetime: RequestLifetime): void {
    // A socket has one request at a time, and is counted itself.
    if (lifetime.isOnSocket) this.#onSockets += 1;
    else this.check();
    this.active.add(lifetime);
  }

  leave(lifetime: RequestLifetime): void {
    if (this.active.delete(lifetime) && lifetime.isOnSocket) this.#onSockets -= 1;
  }

  /** Throws `relay_busy` when there are as many requests and sockets as there may be. */
  check(): void {
    const count = this.sockets.size + this.active.size - this.#onSockets;
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
