/** Cookies of the backend's load balancer: which machine answers, and that a network was checked. No others are kept. */
const KEPT = new Set(["__cf_bm", "_cfuvid", "cf_clearance", "__cflb", "__oailb"]);
/** Browsers' own limit for name and value. */
const MAX_LENGTH = 4096;

interface Cookie {
  readonly value: string;
  /** Epoch milliseconds; undefined lasts as long as the process. */
  readonly endsAtMs: number | undefined;
}

/** The load balancer's cookies as the Codex CLI keeps them: for chatgpt.com only, never on disk (contract 0.13). */
export class CookieJar {
  readonly #cookies = new Map<string, Cookie>();
  readonly #isOn: () => boolean;
  readonly #now: () => number;
  /** The address that was asked about last, which hardly ever is another: to take it apart costs more than the rest here. */
  #asked = { url: "", isOurs: false };

  constructor(isOn: () => boolean, now: () => number) {
    this.#isOn = isOn;
    this.#now = now;
  }

  /** The `cookie` header for a URL; empty when there is nothing to send. */
  headersFor(url: string): Readonly<Record<string, string>> {
    if (!this.#isOn() || !this.#isOurs(url)) return NO_HEADERS;
    const nowMs = this.#now();
    const pairs: string[] = [];
    for (const [name, { value, endsAtMs }] of this.#cookies) {
      if (endsAtMs !== undefined && endsAtMs <= nowMs) this.#cookies.delete(name);
      else pairs.push(`${name}=${value}`);
    }
    return pairs.length === 0 ? NO_HEADERS : { cookie: pairs.join("; ") };
  }

  /** Keeps what a reply sets. */
  notice(url: string, headers: Headers): void {
    if (!this.#isOn() || !this.#isOurs(url)) return;
    for (const line of headers.getSetCookie()) this.#keep(line);
  }

  #isOurs(url: string): boolean {
    if (this.#asked.url !== url) this.#asked = { url, isOurs: isOurs(url) };
    return this.#asked.isOurs;
  }

  #keep(line: string): void {
    const [pair = "", ...attributes] = line.split(";");
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trim();
    const value = pair.slice(at + 1).trim();
    if (at < 0 || !KEPT.has(name) || !/^[\x21-\x3a\x3c-\x7e]*$/.test(value) || pair.length > MAX_LENGTH) return;
    const endsAtMs = this.#endOf(attributes);
    if (value === "" || (endsAtMs !== undefined && endsAtMs <= this.#now())) this.#cookies.delete(name);
    else this.#cookies.set(name, { value, endsAtMs });
  }

  /** Max-Age in seconds wins over Expires (RFC 6265, 5.3). */
  #endOf(attributes: readonly string[]): number | undefined {
    const valueOf = (wanted: string) =>
      attributes.map((entry) => entry.trim().split("=")).find(([name]) => name?.toLowerCase() === wanted)?.[1];
    const maxAge = valueOf("max-age");
    if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return this.#now() + Number(maxAge) * 1000;
    const date = Date.parse(valueOf("expires") ?? "");
    return Number.isNaN(date) ? undefined : date;
  }
}

const NO_HEADERS = {};

function isOurs(url: string): boolean {
  const { hostname, protocol } = new URL(url);
  return /^(https|wss):$/.test(protocol) && (hostname === "chatgpt.com" || hostname.endsWith(".chatgpt.com"));
}
