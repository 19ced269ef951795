import { sha256Hex } from "../../lib/hash.ts";

/** A browser that has shown the key need not show it again for so long. */
const SESSION_MS = 12 * 3_600_000;
/** The way from `plansocket open` to the browser. */
const CODE_MS = 60_000;
/** Oldest out first. */
const MOST = 64;

/** Only below this path: other programs on the same host name, at other ports, are sent every cookie of a wider one. */
const COOKIE_PATH = "/page";
const COOKIE = "plansocket_session";

interface Grant {
  readonly untilMs: number;
  /** The Host that it was made for; "" for a code, which has none yet. */
  readonly host: string;
}

/** Browsers that may read the status page where a key is needed. Secrets are kept as hashes, in memory only. */
export class PageSessions {
  readonly #now: () => number;
  readonly #sessions = new Map<string, Grant>();
  readonly #codes = new Map<string, Grant>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A session for requests to `host`, as the value of Set-Cookie. */
  open(host: string, { isSecure, basePath }: { readonly isSecure: boolean; readonly basePath: string }): string {
    const token = this.#add(this.#sessions, { untilMs: this.#now() + SESSION_MS, host });
    const secure = isSecure ? "; Secure" : "";
    const path = `${basePath}${COOKIE_PATH}`;
    return `${COOKIE}=${token}; Path=${path}; Max-Age=${SESSION_MS / 1000}; HttpOnly; SameSite=Strict${secure}`;
  }

  /** A code that opens one session, once and soon. */
  newCode(): string {
    return this.#add(this.#codes, { untilMs: this.#now() + CODE_MS, host: "" });
  }

  /** True for a code that was made and not used; from now on it is used. */
  redeem(code: string): boolean {
    const key = sha256Hex(code);
    const grant = this.#codes.get(key);
    this.#codes.delete(key);
    return grant !== undefined && grant.untilMs > this.#now();
  }

  /** True when the request's cookies hold a session of the host that it was made to. */
  isOpen(headers: Headers, host: string | null): boolean {
    const value = new RegExp(`(?:^|;\\s*)${COOKIE}=([\\w-]+)`).exec(headers.get("cookie") ?? "")?.[1];
    const grant = value === undefined ? undefined : this.#sessions.get(sha256Hex(value));
    return grant !== undefined && grant.untilMs > this.#now() && grant.host === host;
  }

  /** Ends all: the key is another one now. */
  clear(): void {
    this.#sessions.clear();
    this.#codes.clear();
  }

  #add(grants: Map<string, Grant>, grant: Grant): string {
    const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
    grants.set(sha256Hex(secret), grant);
    for (const oldest of grants.keys()) {
      if (grants.size <= MOST) break;
      grants.delete(oldest);
    }
    return secret;
  }
}
