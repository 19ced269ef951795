import type { CallerKey } from "./access.ts";

/** How long one request lasts: until its reply is whole, its stream ends, the client leaves or the relay stops. */
export class RequestLifetime {
  /** A streamed reply outlives its handler. */
  isStreaming = false;
  /** A request that came as a frame of a WebSocket; said before it is counted. */
  isOnSocket = false;
  /** The client hung up before it had everything. */
  hasClientLeft = false;
  /** What the client came in with; undefined before the access check, and where no key is asked for. */
  key: CallerKey | undefined;
  readonly #controller = new AbortController();
  readonly #client: AbortSignal;
  readonly #atEnd: (reason: unknown) => void;
  readonly #follow = () => this.leave(this.#client.reason);

  constructor(client: AbortSignal, atEnd: (reason: unknown) => void) {
    this.#client = client;
    this.#atEnd = atEnd;
    if (client.aborted) this.#controller.abort(client.reason);
    else client.addEventListener("abort", this.#follow);
  }

  /** Carried by every upstream call of the request. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The client is gone. */
  leave(reason?: unknown): void {
    this.hasClientLeft = true;
    this.end(reason);
  }

  /** Lets go of upstream, whether or not it still sends. */
  end(reason?: unknown): void {
    // A signal that is listened to outlives its request, and would keep all of it until then.
    this.#client.removeEventListener("abort", this.#follow);
    this.#atEnd(reason);
    this.#controller.abort(reason ?? OVER);
  }
}

/** What `abort()` itself makes anew each time, with a stack: most of what the end of a request would cost. */
const OVER = new DOMException("The operation was aborted.", "AbortError");
