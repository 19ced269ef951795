import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { Log } from "../lib/log.ts";
import { errorCode } from "../lib/thrown.ts";
import type { Destination } from "./settings.ts";

/** What sending takes; all of it leaves the way that the relay's own requests do. */
export interface OtlpDependencies {
  readonly fetch: (url: string, init: BunFetchRequestInit) => Promise<Response>;
  readonly log: Log;
  /** How long a stop waits for the last batches; two seconds when left out. */
  readonly closeMs?: number;
  /** Resolves early when `signal` ends. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now?: () => number;
}

/** Says that one signal does not arrive, once until it does: it would else be said with every batch. */
class Outage {
  readonly #log: Log;
  /** As in `Traces`. */
  readonly #what: string;
  readonly #host: string;
  #isTold = false;

  constructor(log: Log, what: string, host: string) {
    this.#log = log;
    this.#what = what;
    this.#host = host;
  }

  failed(reason: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const what = `${this.#what} do not arrive at ${this.#host}: ${reason}.`;
    this.#log.warn(`${what} Requests are answered as ever; this is said once until it works again.`);
  }

  worked(): void {
    if (this.#isTold) this.#log.info(`${this.#what} arrive at ${this.#host} again.`);
    this.#isTold = false;
  }
}

/** Asked to come again, by https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes. */
const TRY_AGAIN: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const MOST_TRIES = 5;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 5000;
/** A collector's answers are a few bytes; nobody needs more of another server's page. */
const MOST_REPLY_BYTES = 64 * 1024;

/** POSTs batches to one address, with repetitions within the destination's time. */
export class OtlpSender {
  readonly #destination: Destination;
  readonly #outage: Outage;
  readonly #deps: OtlpDependencies;
  readonly #closing: AbortSignal;
  #tls: object | undefined;

  /** `what` is told in the log, as in `Traces`. After `closing` nothing is sent again and no answer is waited for. */
  constructor(what: string, destination: Destination, deps: OtlpDependencies, closing: AbortSignal) {
    this.#destination = destination;
    // Of the address no more: some put a key into its path.
    this.#outage = new Outage(deps.log, what, new URL(destination.url).host);
    this.#deps = deps;
    this.#closing = closing;
  }

  /** The collector's answer, empty where it is no OTLP. Throws an Error that says why it did not arrive, and has told it. */
  async send(batch: Uint8Array): Promise<Uint8Array> {
    const now = this.#deps.now ?? Date.now;
    const endsAtMs = now() + this.#destination.timeoutMs;
    let reason: string | undefined;
    for (let tries = 1; ; tries += 1) {
      const tried = await this.#try(batch, Math.max(1, endsAtMs - now()));
      if ("reply" in tried) return tried.reply;
      const pauseMs = tried.pauseMs ?? Math.min(FIRST_PAUSE_MS * 1.5 ** (tries - 1), LONGEST_PAUSE_MS);
      const isOver = tries >= MOST_TRIES || now() + pauseMs >= endsAtMs || this.#closing.aborted;
      if (!tried.isTemporary || isOver) {
        // What a stop breaks off had a reason of its own before.
        const why = (this.#closing.aborted && reason) || tried.reason;
        this.#outage.failed(why);
        throw new Error(why);
      }
      await (this.#deps.sleep ?? pause)(pauseMs, this.#closing);
      reason = tried.reason;
    }
  }

  /** The collector has taken a batch; `reason` is why not all of it. */
  taken(reason: string | undefined): void {
    if (reason) this.#outage.failed(`it takes only a part (${reason.slice(0, LONGEST_REASON)})`);
    else this.#outage.worked();
  }

  async #try(batch: Uint8Array, limitMs: number): Promise<Tried> {
    const limit = AbortSignal.timeout(limitMs);
    try {
      const response = await this.#deps.fetch(this.#destination.url, {
        ...this.#request(batch),
        signal: AbortSignal.any([limit, this.#closing]),
      });
      const reply = await firstBytes(response);
      if (response.ok)
        return { reply: /protobuf|json/.test(response.headers.get("content-type") ?? "") ? reply : NOTHING };
      const hint = response.status === 401 || response.status === 403 ? " (see OTEL_EXPORTER_OTLP_HEADERS)" : "";
      return {
        reason: `it answers ${response.status}${hint}`,
        isTemporary: TRY_AGAIN.has(response.status),
        pauseMs: secondsIn(response.headers.get("retry-after")),
      };
    } catch (error) {
      if (this.#closing.aborted) return { reason: "it did not answer before the relay stopped", isTemporary: false };
      if (limit.aborted)
        return { reason: `it did not answer within ${this.#destination.timeoutMs} ms`, isTemporary: false };
      return { reason: `it cannot be reached (${errorCode(error) ?? "no connection"})`, isTemporary: true };
    }
  }

  #request(batch: Uint8Array): BunFetchRequestInit {
    const { encoding, isCompressed, headers, tls } = this.#destination;
    const body = isCompressed ? Bun.gzipSync(new Uint8Array(batch)) : new Uint8Array(batch);
    // Read with the first batch, so that a fault in them is told as any other.
    this.#tls ??= Object.fromEntries(Object.entries(tls).map(([what, path]) => [what, readFileSync(path, "utf8")]));
    return {
      method: "POST",
      headers: {
        ...headers,
        "content-type": encoding === "http/json" ? "application/json" : "application/x-protobuf",
        ...(isCompressed ? { "content-encoding": "gzip" } : {}),
      },
      body,
      ...(Object.keys(this.#tls).length > 0 ? { tls: this.#tls } : {}),
    };
  }
}

type Tried =
  | { readonly reply: Uint8Array }
  | { readonly reason: string; readonly isTemporary: boolean; readonly pauseMs?: number | undefined };

/** Of a collector's own words, in characters. */
const LONGEST_REASON = 200;
const NOTHING = new Uint8Array();

async function firstBytes(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MOST_REPLY_BYTES) return NOTHING;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Of a Retry-After header; dates, which clocks must agree on, are left aside. */
function secondsIn(text: string | null): number | undefined {
  return text !== null && /^\d{1,5}$/.test(text) ? Number(text) * 1000 : undefined;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => {});
}
