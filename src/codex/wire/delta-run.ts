import { isObject, parseJson } from "../../lib/json.ts";
import { isBulkDelta } from "./event-types.ts";
import type { CodexEvent } from "./schema.ts";

/**
 * A delta's frame as upstream writes it up to the delta itself: both names, and then only what says of which part of
 * the answer it is. Nothing behind the delta says more of that.
 */
const OPENING =
  /^event: ([a-z_.]+)\ndata: (\{"type":"\1"(?:,"(?:sequence_number|output_index|content_index|summary_index)":\d+|,"item_id":"[^"\\\n]*")*,"delta":")/;

/** What may stand behind the delta, its number and padding and whatever is as plain, and the end of the frame. */
const CLOSING =
  /(?:,"(?!type"|delta"|item_id"|output_index"|content_index"|summary_index")\w+":(?:\d+|null|\[\]|"[^"\\\n]*"))*\}\n\n/y;

const NUMBER = '"sequence_number":';
const BACKSLASH = 0x5c;

/** Where a delta stands in a text. */
export interface DeltaPlace {
  /** Of its first character, behind the quote. */
  readonly from: number;
  /** Of the quote at its end. */
  readonly to: number;
  /** Of the frame. */
  readonly end: number;
}

/**
 * Deltas of one part of an answer, one after the other. All that matters and differs between them is their text, so that
 * only the first has to be parsed: they are most of the traffic.
 */
export class DeltaRun {
  /** What their events have in common; its `delta` is empty. */
  readonly event: CodexEvent;
  /** How each frame begins, up to its number if that comes first. */
  readonly #opening: string;
  /** What follows the number, if it comes first. */
  readonly #more: string | undefined;

  private constructor(event: CodexEvent, opening: string, more: string | undefined) {
    this.event = event;
    this.#opening = opening;
    this.#more = more;
  }

  /** The run that begins with the delta in `frame`; undefined for a delta that upstream writes in another way. */
  static from(frame: string): DeltaRun | undefined {
    const [opening, type, data] = OPENING.exec(frame) ?? [];
    if (opening === undefined || type === undefined || data === undefined || !isBulkDelta(type)) return undefined;
    const first = parseJson(`${data}"}`);
    if (!isObject(first)) return undefined;
    const { sequence_number: _number, ...shared } = first;
    const event = shared as CodexEvent;
    const numberAt = opening.indexOf(NUMBER) + NUMBER.length;
    if (numberAt < NUMBER.length) return new DeltaRun(event, opening, undefined);
    return new DeltaRun(event, opening.slice(0, numberAt), opening.slice(skipDigits(opening, numberAt)));
  }

  /** Of the delta whose frame begins at `at`; undefined when that is no delta of this run, or not all of it is there. */
  placeIn(text: string, at: number): DeltaPlace | undefined {
    if (!text.startsWith(this.#opening, at)) return undefined;
    let from = at + this.#opening.length;
    if (this.#more !== undefined) {
      from = skipDigits(text, from);
      if (!text.startsWith(this.#more, from)) return undefined;
      from += this.#more.length;
    }
    const to = endOfString(text, from);
    CLOSING.lastIndex = to + 1;
    if (to < 0 || !CLOSING.test(text)) return undefined;
    const end = CLOSING.lastIndex;
    // A line break inside would have ended the line, whatever comes then.
    return text.indexOf("\n", from) === end - 2 ? { from, to, end } : undefined;
  }
}

function skipDigits(text: string, at: number): number {
  let end = at;
  for (let code = text.charCodeAt(end); code >= 0x30 && code <= 0x39; code = text.charCodeAt(end)) end += 1;
  return end;
}

/** Of the quote that ends the JSON string at `from`; -1 when it does not end. */
function endOfString(text: string, from: number): number {
  let end = text.indexOf('"', from);
  while (end > from && text.charCodeAt(end - 1) === BACKSLASH && isEscaped(text, end, from)) {
    end = text.indexOf('"', end + 1);
  }
  return end;
}

/** True for a character behind an odd number of backslashes. */
function isEscaped(text: string, at: number, from: number): boolean {
  let first = at;
  while (first > from && text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}
