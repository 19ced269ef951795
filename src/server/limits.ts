import { RelayError } from "../lib/errors.ts";
import type { RequestLifetime } from "./lifetime.ts";

/** Requests in flight, and how many there may be: fetch would queue the one too many in silence. */
export class RequestLimit {
  /** Lifetimes of the requests in flight. */
  readonly active = new Set<RequestLifetime>();
  readonly #maxRequests: () => number;

  constructor(maxRequests: () => number) {
    this.#maxRequests = maxRequests;
  }

  /** Counts a request until `leave`. Throws `relay_busy` when there are as many as there may be. */
  enter(life: RequestLifetime): void {
    if (this.active.size >= this.#maxRequests()) {
      throw new RelayError("relay_busy", `The relay is already busy with ${this.active.size} requests.`, {
        retryAfterMs: 1000,
        hint: "Try again in a moment, or raise --max-requests.",
      });
    }
    this.active.add(life);
  }

  leave(life: RequestLifetime): void {
    this.active.delete(life);
  }

  /** Replies that are being streamed. */
  get openStreams(): number {
    return [...this.active].filter((life) => life.isStreaming).length;
  }
}
