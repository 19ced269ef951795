import type { LiveEvents, RequestView } from "../../page/contract.ts";
import type { FrameSource } from "../../lib/body-stream.ts";
import type { RequestRecord } from "../record.ts";
import { adjustedNames } from "../request-log.ts";

/** Shown to a page that is opened. */
const MOST_RECENT = 50;
/** Events that wait for a page's connection. A page further behind gets the list of the last requests instead. */
const MOST_WAITING = 100;
/** Client's own words are shown this far. In characters. */
const LONGEST_NAME = 100;

type Listener = (view: RequestView) => void;

/** The last requests, and those that end from now on. Holds nothing of what was asked or answered. */
export class RequestFeed {
  readonly #recent: RequestView[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #streams = new Set<LiveStream>();

  /** A request has ended. */
  add(record: RequestRecord, endedAtMs: number): void {
    const view = viewOf(record, endedAtMs);
    this.#recent.push(view);
    if (this.#recent.length > MOST_RECENT) this.#recent.shift();
    for (const listener of this.#listeners) listener(view);
  }

  /** Oldest first. */
  get recent(): readonly RequestView[] {
    return this.#recent;
  }

  /** Returns what ends it. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Pages that are connected. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /** Server-sent events for one page. */
  open(): FrameSource {
    const stream = new LiveStream(this, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  /** Ends the connections of all pages, which would hold up the relay's end. */
  close(): void {
    for (const stream of this.#streams) stream.end();
  }
}

class LiveStream implements FrameSource {
  readonly #feed: RequestFeed;
  readonly #unsubscribe: () => void;
  readonly #atEnd: () => void;
  #waiting: string[];
  #wake: (() => void) | undefined;
  #hasEnded = false;

  constructor(feed: RequestFeed, atEnd: () => void) {
    this.#feed = feed;
    this.#atEnd = atEnd;
    this.#waiting = [this.#everything()];
    this.#unsubscribe = feed.subscribe((view) => {
      if (this.#waiting.length < MOST_WAITING) this.#waiting.push(frame("request", view));
      else this.#waiting = [this.#everything()];
      this.#wake?.();
    });
  }

  async next(): Promise<string | undefined> {
    if (this.#waiting.length === 0 && !this.#hasEnded) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    if (this.#hasEnded) return undefined;
    const text = this.#waiting.join("");
    this.#waiting = [];
    return text;
  }

  cancel(): void {
    this.end();
  }

  end(): void {
    this.#hasEnded = true;
    this.#unsubscribe();
    this.#atEnd();
    this.#wake?.();
  }

  #everything(): string {
    return frame("requests", this.#feed.recent);
  }
}

function frame<Name extends keyof LiveEvents>(name: Name, value: LiveEvents[Name]): string {
  return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
}

function viewOf(record: RequestRecord, endedAtMs: number): RequestView {
  const { start, tokens } = record;
  return {
    id: record.requestId.slice(0, LONGEST_NAME),
    endedAtMs,
    method: start.method.slice(0, LONGEST_NAME),
    route: start.route ?? start.path.slice(0, LONGEST_NAME),
    client: record.key ?? start.client,
    asked: record.modelAsked?.slice(0, LONGEST_NAME),
    model: record.model?.slice(0, LONGEST_NAME),
    effort: record.effort?.slice(0, LONGEST_NAME),
    status: record.errorStatus ?? record.status,
    code: record.code?.slice(0, LONGEST_NAME),
    fix: record.fix,
    firstTokenMs: record.firstTokenMs,
    totalMs: record.totalMs,
    tokens: tokens && { ...tokens },
    adjusted: adjustedNames(record),
    fallback: record.fallback?.slice(0, LONGEST_NAME),
    changedAt: record.prefixDeparture,
    hasClientLeft: record.hasClientLeft,
  };
}
