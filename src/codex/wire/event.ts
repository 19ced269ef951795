import { isObject, type JsonObject, unquoted } from "../../lib/json.ts";
import { sseText } from "../../lib/sse.ts";
import { isBulkDeltaAt } from "./event-types.ts";
import type { CodexEvent } from "./schema.ts";

/** Type sniffing saves a JSON.parse for every delta that is only passed on. */
const TYPE_PREFIX = '{"type":"';

/** Of a frame, between the name and the data. */
const DATA_LINE = "\ndata: ";

/**
 * What deltas of one part of an answer have in common, one after the other. How they are found in the stream is told in
 * `upstream/event-cutter.ts`.
 */
export interface DeltaRun {
  /** Their event without number and text: its `delta` is empty. */
  readonly event: CodexEvent;
}

/** Where a delta stands in a text. */
export interface DeltaPlace {
  /** Of its first character, behind the quote. */
  readonly from: number;
  /** Of the quote at its end. */
  readonly to: number;
  /** Of the frame. */
  readonly end: number;
}

/** One upstream event: its type and text at once, its parsed form only if somebody asks. */
export class WireEvent {
  readonly type: string;
  /** One of the many deltas, which nobody has parsed yet. */
  readonly isBulk: boolean;
  /** True for an event that the relay made. */
  readonly isMade: boolean;
  /** Of a delta: two with the same run are of the same part of the answer. */
  readonly run: DeltaRun | undefined;
  #data: string | undefined;
  /** As upstream wrote it; undefined where only the data is known. */
  #frame: string | undefined;
  /** Of a run's delta with escapes, as JSON without its quotes. */
  #raw: string | undefined;
  /** Of a run's delta without them, and of any other once it was asked for. */
  #delta: string | undefined;
  #parsed: CodexEvent | undefined;

  private constructor(type: string, data: string | undefined, parsed?: CodexEvent, run?: DeltaRun) {
    this.type = type;
    this.isBulk = parsed === undefined;
    this.isMade = data === undefined && parsed !== undefined;
    this.run = run;
    this.#data = data;
    this.#parsed = parsed;
  }

  /** From an SSE data field. Undefined for anything that is not a JSON object with a `type` (such as `[DONE]`). */
  static from(field: string): WireEvent | undefined {
    // JSON may be split over several `data:` lines; passed on as it is, only the first would be read as data.
    const data = field.includes("\n") ? field.replaceAll("\n", " ") : field;
    if (data.startsWith(TYPE_PREFIX) && data.endsWith("}")) {
      const end = data.indexOf('"', TYPE_PREFIX.length);
      if (end > 0 && isBulkDeltaAt(data, TYPE_PREFIX.length, end)) {
        return new WireEvent(data.slice(TYPE_PREFIX.length, end), data);
      }
    }
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      return undefined;
    }
    return isCodexEvent(value) ? new WireEvent(value.type, data, value) : undefined;
  }

  /** From the frame at `at`, whose delta was found by its run; plain is one without escapes. */
  static ofRun(run: DeltaRun, text: string, at: number, { from, to, end }: DeltaPlace, isPlain: boolean): WireEvent {
    const wire = new WireEvent(run.event.type, undefined, undefined, run);
    wire.#frame = text.slice(at, end);
    if (isPlain) wire.#delta = text.slice(from, to);
    else wire.#raw = text.slice(from, to);
    return wire;
  }

  /** From an event object: one that the relay itself makes. */
  static of(event: CodexEvent): WireEvent {
    return new WireEvent(event.type, undefined, event);
  }

  /** From fields that are an event's. Throws TypeError for those without a type. */
  static made(fields: JsonObject): WireEvent {
    if (isCodexEvent(fields)) return WireEvent.of(fields);
    throw new TypeError("An event must have a type.");
  }

  /** Length of its text, in characters. */
  get size(): number {
    return (this.#frame ?? this.#data ?? "").length;
  }

  /** The JSON text, on one line: as upstream sent it, if it did. */
  get data(): string {
    return (this.#data ??= this.#frame === undefined ? JSON.stringify(this.#parsed) : dataOf(this.#frame));
  }

  /** The event as a stream has it: `event:` line, `data:` line, blank line. */
  get sse(): string {
    return this.#frame ?? sseText(this.type, this.data);
  }

  /**
   * The parsed event; of a run's deltas the text and whose it is, and no more. Trusted rather than validated: deltas are
   * most of the traffic and a strict schema would refuse tomorrow's fields. A test holds the schema against every
   * recorded event. Throws SyntaxError on broken JSON.
   */
  get event(): CodexEvent {
    return (this.#parsed ??= this.run ? { ...this.run.event, delta: this.delta } : eventIn(this.data));
  }

  /** Of a delta, its text. Throws SyntaxError on broken JSON. */
  get delta(): string {
    return (this.#delta ??= this.#readDelta());
  }

  #readDelta(): string {
    if (this.#raw !== undefined) return unquoted(this.#raw);
    const { event } = this;
    return "delta" in event && typeof event.delta === "string" ? event.delta : "";
  }
}

function dataOf(frame: string): string {
  return frame.slice(frame.indexOf(DATA_LINE) + DATA_LINE.length, -2);
}

/** The event of a hosted call's progress names the call: `response.web_search_call.searching`. */
export function hostedTypeOf(type: string): string | undefined {
  return HOSTED_CALL.exec(type)?.[1];
}

const HOSTED_CALL = /^response\.([a-z_]+_call)[._]/;

/** True for an object that says of what type it is; what else it holds is read field by field. */
export function isCodexEvent(value: unknown): value is CodexEvent {
  return isObject(value) && typeof value["type"] === "string";
}

function eventIn(data: string): CodexEvent {
  const value: unknown = JSON.parse(data);
  if (isCodexEvent(value)) return value;
  throw new SyntaxError("An event must be an object with a type.");
}
