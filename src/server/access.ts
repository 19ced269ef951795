import { RelayError } from "../lib/errors.ts";
import { sha256Hex } from "../lib/hash.ts";
import { isLoopbackName } from "../lib/host.ts";
import type { RelayOptions } from "./options.ts";

/** What the access check learned about an admitted caller. */
export interface Caller {
  /** Tells clients with different keys apart; "" when no key is asked for. */
  readonly clientId: string;
  /** The caller has the key, or none is asked for. Always true where a key is needed to come in. */
  readonly isTrusted: boolean;
  /** Set when the caller is a web page on an allowed origin. */
  readonly origin: string | undefined;
  /** True when a browser sent the request: its content type is then held against it. */
  readonly isBrowser: boolean;
}

type AccessOptions = Pick<RelayOptions, "host" | "apiKey" | "allowHosts" | "corsOrigins">;

/** Checks `Host`, `Origin` and the API key of a request before anything else. Throws RelayError when one is refused. */
export class AccessCheck {
  readonly #options: AccessOptions;
  /** In bytes of the digest's hex form. */
  readonly #keyDigest: Buffer | undefined;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#keyDigest = options.apiKey === undefined ? undefined : digest(options.apiKey);
  }

  /** `isOpen` routes (health) need no key; `Host` and `Origin` are checked on every route. */
  admit(headers: Headers, isOpen: boolean): Caller {
    this.#checkHost(headers.get("host"));
    const origin = this.#checkOrigin(headers);
    const clientId = isOpen ? "" : this.#checkKey(headers);
    const isTrusted = !isOpen || this.#isKeyGiven(headers);
    const site = headers.get("sec-fetch-site");
    return { clientId, isTrusted, origin, isBrowser: origin !== undefined || (site !== null && site !== "none") };
  }

  /**
   * A web page can point a name of its own at this machine (DNS rebinding); its requests then carry that name. Only
   * names that are known to mean this machine, or that the owner allowed, are answered.
   */
  #checkHost(host: string | null): void {
    const name = host === null ? "" : hostName(host);
    if (isLoopbackName(name) || name === this.#options.host.toLowerCase()) return;
    if (this.#options.allowHosts.some((allowed) => allowed === "*" || (name !== "" && hostName(allowed) === name)))
      return;
    const shown = printable(name);
    throw new RelayError("host_not_allowed", `The host name '${shown}' is not allowed.`, {
      hint: `If it is yours, start the relay with --allow-host ${shown || "NAME"}.`,
    });
  }

  #checkOrigin(headers: Headers): string | undefined {
    const origin = headers.get("origin");
    const site = headers.get("sec-fetch-site");
    const isElsewhere = site !== null && site !== "same-origin" && site !== "none";
    if (origin === null) {
      // Without Origin a page can still reach us by images, forms or links; browsers label those.
      if (isElsewhere) throw originRefused("of another site");
      return undefined;
    }
    const isOwn = origin === `http://${headers.get("host")}` || origin === `https://${headers.get("host")}`;
    const isAllowed = this.#options.corsOrigins.some((allowed) => allowed === "*" || sameOrigin(allowed, origin));
    if (!isAllowed && (!isOwn || isElsewhere)) throw originRefused(`'${printable(origin)}'`);
    return origin;
  }

  #isKeyGiven(headers: Headers): boolean {
    if (!this.#keyDigest) return true;
    const expected = this.#keyDigest;
    // Digests have one length, so that comparing them reveals nothing about the key's.
    return keysIn(headers).some((key) => crypto.timingSafeEqual(digest(key), expected));
  }

  #checkKey(headers: Headers): string {
    if (!this.#keyDigest) return "";
    if (this.#isKeyGiven(headers)) return this.#keyDigest.toString().slice(0, 16);
    throw new RelayError(
      "invalid_api_key",
      keysIn(headers).length === 0
        ? "This relay asks for an API key, and the request has none."
        : "Incorrect API key provided.",
      {
        hint: "Send the relay's own key (its --api-key) as 'Authorization: Bearer KEY'.",
        headers: { "www-authenticate": "Bearer" },
      },
    );
  }
}

/**
 * A page may send a form or plain text across sites without asking first; JSON it may not. So a browser has to say that
 * its body is JSON, which makes it ask. Throws `unsupported_media_type`.
 */
export function refuseForms(request: Request, caller: Caller): void {
  if (!caller.isBrowser || request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS")
    return;
  const type = request.headers.get("content-type") ?? "";
  if (/^application\/([a-z.+-]+\+)?json\b/i.test(type)) return;
  throw new RelayError("unsupported_media_type", "A browser must send its body as application/json.");
}

/** Some clients send both, one of them left over from another service. */
function keysIn(headers: Headers): string[] {
  const bearer = /^Bearer\s+(.+)$/i.exec(headers.get("authorization") ?? "")?.[1]?.trim();
  return [bearer, headers.get("x-api-key")].filter((key) => key !== undefined && key !== null);
}

/** Headers that let an allowed page read the reply; none for everyone else. */
export function corsHeaders(caller: Pick<Caller, "origin">): Record<string, string> {
  if (caller.origin === undefined) return {};
  return {
    "access-control-allow-origin": caller.origin,
    "access-control-expose-headers":
      "x-request-id, request-id, x-plansocket-adjusted, x-plansocket-fallback, x-plansocket-model, retry-after, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests",
    vary: "Origin",
  };
}

/** The answer to a browser's question whether it may ask, for an origin that the access check admitted. */
export function preflightHeaders(caller: Caller, request: Headers, allow: string): Record<string, string> {
  return {
    ...corsHeaders(caller),
    "access-control-allow-methods": allow,
    "access-control-allow-headers":
      printable(request.get("access-control-request-headers") ?? "") || "authorization, content-type, x-api-key",
    "access-control-max-age": "600",
    ...(request.get("access-control-request-private-network") === "true"
      ? { "access-control-allow-private-network": "true" }
      : {}),
  };
}

function digest(key: string): Buffer {
  return Buffer.from(sha256Hex(key));
}

/** A Host value without its port, lower-cased; brackets of an IPv6 address go too. */
function hostName(host: string): string {
  const match = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host.trim().toLowerCase());
  return (match?.[1] ?? "").replace(/^\[|\]$/g, "").replace(/\.$/, "");
}

function sameOrigin(allowed: string, origin: string): boolean {
  return allowed.toLowerCase().replace(/\/$/, "") === origin.toLowerCase();
}

function originRefused(which: string): RelayError {
  return new RelayError("origin_not_allowed", `Requests from web pages ${which} are not allowed.`, {
    hint: "To allow a page of yours, start the relay with --cors-origin ORIGIN.",
  });
}

/** Caller-chosen text that is safe to repeat in a header, a message or a log. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "").slice(0, 200);
}
