import { createParser, type EventSourceParser } from "eventsource-parser";
import { DeltaRun } from "../codex/wire/delta-run.ts";
import { WireEvent } from "../codex/wire/event.ts";

/** One event may carry an image; beyond this the stream is broken. In characters. */
const MAX_EVENT_CHARACTERS = 64 * 1024 * 1024;

/** An event as upstream writes it. */
const FRAME = /event: [^\n]*\ndata: ([^\n]*)\n\n/y;

interface CutterOptions {
  /** Called for every data field that is no event (`[DONE]`, broken JSON). */
  readonly onIgnored?: (() => void) | undefined;
  /** Called with every event but the many deltas; it is returned all the same. */
  readonly onNotable?: ((event: WireEvent) => void) | undefined;
}

/**
 * Text of a stream → its events. Upstream writes each as one `event:` line, one `data:` line and a blank one: looking
 * for just that is less work than reading all that the standard allows, and tells deltas of one part from others. At the
 * first sight of anything else the standard's parser takes over, for the rest of the stream.
 */
export class EventCutter {
  /** An event was too large to be real; nothing more comes. */
  isOversize = false;
  readonly #options: CutterOptions;
  #events: WireEvent[] = [];
  /** The beginning of an event whose end has not come. */
  #rest = "";
  /** That of the last delta, to which nearly every next one belongs. */
  #run: DeltaRun | undefined;
  #parser: EventSourceParser | undefined;

  constructor(options: CutterOptions = {}) {
    this.#options = options;
  }

  /** The events that end in this piece of the stream. */
  feed(piece: string): WireEvent[] {
    if (this.#parser) this.#parser.feed(piece);
    else if (this.#rest !== "" && !piece.includes("\n") && !piece.includes("\r")) this.#wait(this.#rest + piece);
    else this.#cut(this.#rest + piece);
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #cut(text: string): void {
    if (text.includes("\r")) return this.#parse(text);
    let at = 0;
    for (let end = this.#takeAt(text, at); end !== undefined; end = this.#takeAt(text, at)) at = end;
    const rest = text.slice(at);
    if (isBegun(rest)) this.#wait(rest);
    else this.#parse(rest);
  }

  #wait(rest: string): void {
    this.#rest = rest;
    this.isOversize = rest.length > MAX_EVENT_CHARACTERS;
  }

  /** Takes the event that stands there and returns where it ends; undefined when it is not whole or looks otherwise. */
  #takeAt(text: string, at: number): number | undefined {
    const next = this.#takeDelta(text, at);
    if (next !== undefined) return next;
    FRAME.lastIndex = at;
    const [frame, data] = FRAME.exec(text) ?? [];
    if (frame === undefined || data === undefined) return undefined;
    const run = DeltaRun.from(frame);
    if (run) this.#run = run;
    const first = run && this.#takeDelta(text, at);
    if (first !== undefined) return first;
    this.#take(data);
    return at + frame.length;
  }

  /** The same for a delta that goes on where the last one ended. */
  #takeDelta(text: string, at: number): number | undefined {
    const place = this.#run?.placeIn(text, at);
    if (!place || !this.#run) return undefined;
    this.#events.push(WireEvent.ofRun(this.#run, text, at, place));
    return place.end;
  }

  #take(data: string): void {
    const event = WireEvent.from(data);
    if (!event) return this.#options.onIgnored?.();
    if (!event.isBulk) this.#options.onNotable?.(event);
    this.#events.push(event);
  }

  #parse(text: string): void {
    this.#rest = "";
    this.#parser = createParser({
      maxBufferSize: MAX_EVENT_CHARACTERS,
      onEvent: ({ data }) => this.#take(data),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") this.isOversize = true;
      },
    });
    this.#parser.feed(text);
  }
}

/** True for what may become an event in upstream's form. */
function isBegun(rest: string): boolean {
  const first = rest.indexOf("\n");
  if (!begins(rest, "event: ") || first < 0) return begins(rest, "event: ");
  const second = rest.indexOf("\n", first + 1);
  const isWhole = second < 0 || (second > first + 1 && second === rest.length - 1);
  return isWhole && begins(rest.slice(first + 1), "data: ");
}

/** True for text that begins with the word, and for a beginning of the word. */
function begins(text: string, word: string): boolean {
  return text.startsWith(word) || word.startsWith(text);
}
