import { RelayError } from "../../lib/errors.ts";
import { unreachable } from "../../lib/unreachable.ts";
import type { CookieJar } from "../cookie-jar.ts";
import type { Egress } from "../egress.ts";
import type { LinkedAbort } from "./linked-abort.ts";

/** Bun's fetch lets go of a connection that nobody has used for this long. */
const POOL_MS = 5 * 60_000;

/**
 * fetch to the backend with a limit on the wait for headers; no pooled connections for 5 minutes after a failure; the
 * load balancer's cookies; failures as RelayError.
 */
export class HttpTransport {
  readonly #egress: Egress;
  readonly #now: () => number;
  readonly #cookies: CookieJar | undefined;
  /** When a connection last failed or stayed silent. */
  #brokenAtMs: number | undefined;

  constructor(egress: Egress, now: () => number, cookies?: CookieJar) {
    this.#egress = egress;
    this.#now = now;
    this.#cookies = cookies;
  }

  /**
   * fetch with a limit on the wait for response headers. Throws `upstream_timeout` and `upstream_unreachable`; a cut of
   * the linkedAbort throws its reason.
   */
  async fetch(url: string, init: RequestInit, linkedAbort: LinkedAbort, limitMs: number): Promise<Response> {
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      linkedAbort.abort();
    }, limitMs);
    try {
      const sent: RequestInit = { ...this.#withCookies(url, init), signal: linkedAbort.signal };
      if (this.#distrustsPool()) sent.keepalive = false;
      const response = await this.#egress.fetch(url, sent);
      this.#cookies?.notice(url, response.headers);
      return response;
    } catch (error) {
      if (linkedAbort.signal.aborted && !isSilent) throw error;
      this.#brokenAtMs = this.#now();
      if (isSilent) {
        const seconds = Math.round(limitMs / 1000);
        throw new RelayError("upstream_timeout", `${new URL(url).host} did not answer within ${seconds} seconds.`, {
          cause: error,
        });
      }
      throw unreachable(error, new URL(url).host, this.#egress.proxyFor(url));
    } finally {
      clearTimeout(timer);
    }
  }

  #withCookies(url: string, init: RequestInit): RequestInit {
    const cookies = this.#cookies?.headersFor(url);
    if (cookies?.["cookie"] === undefined) return init;
    const headers = new Headers(init.headers);
    headers.set("cookie", cookies["cookie"]);
    return { ...init, headers };
  }

  /**
   * After a sleep or a change of network all connections that wait for another request are dead, not just the one that
   * showed it: until they are gone, each request gets a connection of its own.
   */
  #distrustsPool(): boolean {
    // Either way: a clock may be set back.
    return this.#brokenAtMs !== undefined && Math.abs(this.#now() - this.#brokenAtMs) < POOL_MS;
  }
}
