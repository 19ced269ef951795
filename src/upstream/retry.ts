import type { CredentialProvider, Credentials } from "../auth/credentials.ts";
import { RelayError, toRelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { retryPauseMs } from "./retry-pause.ts";

export interface RetrierOptions {
  readonly credentials: CredentialProvider;
  readonly log: Log;
  readonly counts: { retries: number };
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random?: () => number;
}

/** A request, and what may be done about its failures. */
export interface Retried<Reply> {
  readonly attempt: (credentials: Credentials) => Promise<Reply>;
  /** Changes what is asked so that the same refusal cannot come again; false when it cannot. */
  readonly adapt: (error: RelayError) => boolean;
  readonly isRepeatable: (error: RelayError) => boolean;
}

/** Repeats a request that failed: with another token, in another form, or after a wait. */
export class Retrier {
  readonly #options: RetrierOptions;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #random: () => number;

  constructor(options: RetrierOptions) {
    this.#options = options;
    this.#sleep = options.sleep ?? pause;
    this.#random = options.random ?? Math.random;
  }

  /** The first reply that is no failure. Throws the last RelayError when nothing more can be done; `client_closed` when `signal` ends it. */
  async run<Reply>(credentials: Credentials, signal: AbortSignal, retried: Retried<Reply>): Promise<Reply> {
    const { log, counts } = this.#options;
    let current = credentials;
    let recoveries = 0;
    for (let retries = 0; ;) {
      try {
        return await retried.attempt(current);
      } catch (thrown) {
        if (signal.aborted) throw clientClosed(thrown);
        const error = toRelayError(thrown);
        if (error.code === "upstream_unauthorized" && recoveries < 2) {
          recoveries += 1;
          // First whatever the login holds by now, then a refreshed token.
          current = await this.#options.credentials.recover(current, recoveries === 1 ? 1 : 2);
          continue;
        }
        if (retried.adapt(error)) continue;
        const waitMs = retried.isRepeatable(error) ? retryPauseMs(error, retries, this.#random()) : undefined;
        if (waitMs === undefined) throw error;
        retries += 1;
        counts.retries += 1;
        log.debug("Asking upstream again.", { code: error.code, retries, waitMs: Math.round(waitMs) });
        await this.#sleep(waitMs, signal);
        if (signal.aborted) throw clientClosed(signal.reason);
      }
    }
  }
}

function clientClosed(cause: unknown): RelayError {
  return new RelayError("client_closed", "The client closed the request.", { cause });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  return promise;
}
