import { RelayError, toRelayError } from "../lib/errors.ts";
import { isLoopbackName } from "../lib/host.ts";
import { idOfDigest, keyDigest, stateOf, type KeyLimits } from "../keys/key.ts";
import { OWNER } from "../keys/key-list.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Arrival } from "./arrival.ts";
import type { RelayOptions } from "./options.ts";

/** The key that a caller came in with. */
export interface CallerKey {
  /** Tells clients with different keys apart: the beginning of the key's digest. */
  readonly id: string;
  /** For logs and counters; that of the relay's own key is `owner` unless the relay was given another. */
  readonly name: string;
  /** Absent for the relay's own key, which has none and cannot be revoked. */
  readonly limits?: KeyLimits;
}

/** What the access check learned about an admitted caller. */
export interface Caller {
  /** Undefined when no key is asked for. */
  readonly key: CallerKey | undefined;
  /** The caller has the key, or none is asked for. Always true where a key is needed to come in. */
  readonly isTrusted: boolean;
  /** Set when the caller is a web page on an allowed origin. */
  readonly origin: string | undefined;
  /** True when a browser sent the request: its content type is then held against it. */
  readonly isBrowser: boolean;
  readonly arrival: Arrival;
}

type AccessOptions = Pick<RelayOptions, "host" | "otherHosts" | "apiKey" | "apiKeyName" | "allowHosts" | "corsOrigins">;

/** Checks `Host`, `Origin` and the API key of a request before anything else. Throws RelayError when one is refused. */
export class AccessCheck {
  readonly #options: AccessOptions;
  readonly #ring: KeyRing | undefined;
  readonly #now: () => number;
  /** The relay's own key, and its digest. */
  readonly #own: { readonly key: CallerKey; readonly digest: Buffer } | undefined;

  /** `ring` has the clients' keys beside the relay's own. */
  constructor(options: AccessOptions, ring?: KeyRing, now: () => number = Date.now) {
    this.#options = options;
    this.#ring = ring;
    this.#now = now;
    const { apiKey, apiKeyName: name = OWNER } = options;
    if (apiKey === undefined) return;
    const digest = keyDigest(apiKey);
    this.#own = { digest, key: { id: idOfDigest(digest), name } };
  }

  /** True where requests must bring a key. */
  get isKeyNeeded(): boolean {
    return this.#own !== undefined || this.#ring?.isInUse === true;
  }

  /** True for the text of the relay's own key. */
  isOwnKey(text: string): boolean {
    return this.#own !== undefined && crypto.timingSafeEqual(keyDigest(text), this.#own.digest);
  }

  /**
   * `isOpen` routes (health) need no key; `Host` and `Origin` are checked on every route. `arrival` has the host that a
   * trusted proxy was asked for, which is judged beside the proxy's own.
   */
  admit(headers: Headers, isOpen: boolean, arrival: Arrival = directly(headers)): Caller {
    this.#checkHost(arrival.host);
    // A browser on a trusted machine can be made to send a proxy's headers; its Host it cannot choose.
    const direct = headers.get("host");
    if (direct !== arrival.host) this.#checkHost(direct);
    const origin = this.#checkOrigin(headers, arrival.host);
    const { isKeyNeeded } = this;
    const key = isKeyNeeded ? this.#keyOf(headers, isOpen) : undefined;
    const site = headers.get("sec-fetch-site");
    return {
      key,
      isTrusted: !isKeyNeeded || key !== undefined,
      origin,
      isBrowser: origin !== undefined || (site !== null && site !== "none"),
      arrival,
    };
  }

  /**
   * A web page can point a name of its own at this machine (DNS rebinding); its requests then carry that name. Only
   * names that are known to mean this machine, or that the owner allowed, are answered.
   */
  #checkHost(host: string | null): void {
    const name = host === null ? "" : hostName(host);
    const { host: own, otherHosts = [] } = this.#options;
    if (isLoopbackName(name) || [own, ...otherHosts].some((one) => one.toLowerCase() === name)) return;
    // No page can point an address elsewhere, and without the key whoever comes by it gets nothing.
    if (isAddress(name) && this.isKeyNeeded) return;
    if (this.#options.allowHosts.some((allowed) => allowed === "*" || (name !== "" && hostName(allowed) === name)))
      return;
    const shown = printable(name);
    throw new RelayError("host_not_allowed", `The host name '${shown}' is not allowed.`, {
      hint: `If it is yours, start the relay with --allow-host ${shown || "NAME"}.`,
    });
  }

  #checkOrigin(headers: Headers, host: string | null): string | undefined {
    const origin = headers.get("origin");
    const site = headers.get("sec-fetch-site");
    const isElsewhere = site !== null && site !== "same-origin" && site !== "none";
    if (origin === null) {
      // Without Origin a page can still reach us by images, forms or links; browsers label those.
      if (isElsewhere) throw originRefused("of another site");
      return undefined;
    }
    const isOwn = origin === `http://${host}` || origin === `https://${host}`;
    const isAllowed = this.#options.corsOrigins.some((allowed) => allowed === "*" || sameOrigin(allowed, origin));
    if (!isAllowed && (!isOwn || isElsewhere)) throw originRefused(`'${printable(origin)}'`);
    return origin;
  }

  /** The key in a request's headers. Throws `invalid_api_key` and `keys_unreadable`, unless the route is open. */
  #keyOf(headers: Headers, isOpen: boolean): CallerKey | undefined {
    const given = keysIn(headers).map((text) => this.#lookUp(text));
    const errors: RelayError[] = [];
    for (const result of given) {
      if (result instanceof RelayError) errors.push(result);
      else if (result !== undefined) return result;
    }
    if (isOpen) return undefined;
    throw errors[0] ?? this.#wrongKey(given.length);
  }

  /**
   * The key that a text is, or why it is none any more; undefined for any other text. A refusal has made every
   * comparison that there is: digests have one length, and none is left out for a name, a place or a state.
   */
  #lookUp(text: string): CallerKey | RelayError | undefined {
    const digest = keyDigest(text);
    if (this.#own && crypto.timingSafeEqual(digest, this.#own.digest)) return this.#own.key;
    try {
      const found = this.#ring?.find(digest);
      const state = found && stateOf(found, this.#now());
      return found && state !== undefined && state !== "usable" ? endedKey(found.name, state) : found;
    } catch (thrown) {
      return toRelayError(thrown);
    }
  }

  #wrongKey(given: number): RelayError {
    return new RelayError(
      "invalid_api_key",
      given === 0 ? "This relay asks for an API key, and the request has none." : "Incorrect API key provided.",
      {
        hint:
          this.#ring?.isInUse === true
            ? "Send a key that `plansocket keys add NAME` made as 'Authorization: Bearer KEY'."
            : "Send the relay's own key (its --api-key) as 'Authorization: Bearer KEY'.",
        headers: { "www-authenticate": "Bearer" },
      },
    );
  }
}

/** Refusal of a key that was good once. */
export function endedKey(name: string, state: "revoked" | "expired"): RelayError {
  return new RelayError(
    "invalid_api_key",
    `The API key '${name}' ${state === "revoked" ? "was revoked" : "has expired"}.`,
    {
      shouldRetry: false,
      hint: `\`plansocket keys add ${name}\` makes a new one.`,
      headers: { "www-authenticate": "Bearer" },
    },
  );
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

function directly(headers: Headers): Arrival {
  return { host: headers.get("host"), isSecure: false, basePath: "", address: undefined };
}

/** IPv4, or IPv6 without its brackets. */
function isAddress(name: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name) || /^[0-9a-f]*:[0-9a-f:.]*$/.test(name);
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
