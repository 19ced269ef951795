import { hash32, hash64 } from "../lib/hash.ts";
import { JsonMarker } from "../lib/json-mark.ts";
import type { Envelope } from "./request/lite.ts";
import type { CodexRequest } from "./wire/request.ts";

/** Four bytes each. Longer conversations are not watched. */
const MOST_ITEMS = 4096;
/** Larger requests are not watched: to read them would hold up the event loop. In characters of JSON. */
const LARGEST = 4 * 1024 * 1024;

/**
 * Stands for what the backend's prompt cache goes by, in the order in which it reads it: enough to tell where the next
 * request of the conversation departs from this one. Hashes, so that nothing of a conversation is kept.
 */
export interface PrefixMarks {
  readonly settings: Readonly<Record<"model" | "envelope" | "tools" | "instructions", number>>;
  readonly items: Uint32Array;
  /** Of the JSON text up to the end of its last item; undefined where it was not written, or another program wrote it. */
  readonly text: TextMark | undefined;
}

interface TextMark {
  /** In characters. */
  readonly length: number;
  readonly hash: bigint;
}

/** What marks are made of. */
export interface MarkedRequest {
  /** Before it was packed into its envelope. */
  readonly body: CodexRequest;
  readonly envelope: Envelope | "verbatim";
  /** The request as JSON as it was sent, where it was written in one text. */
  readonly text: string | undefined;
}

/**
 * Marks of a request; undefined for one that is too large to be watched. One that goes on from `last`, as nearly all do,
 * is told so by a hash of its text, which costs a tenth of reading its items again.
 */
export function prefixMarks(request: MarkedRequest, last?: PrefixMarks): PrefixMarks | undefined {
  const { body, envelope } = request;
  if (body.input.length > MOST_ITEMS || (request.text?.length ?? 0) > LARGEST) return undefined;
  // What is passed on as it came may have its tools behind its input.
  const text = envelope === "verbatim" ? undefined : request.text;
  const isLonger = last !== undefined && last.settings.envelope === hash32(envelope) && goesOn(last.text, text);
  const marker = new JsonMarker(LARGEST);
  const settings = isLonger ? last.settings : settingsOf(request, marker);
  const items = new Uint32Array(body.input.length);
  const known = isLonger ? last.items.subarray(0, items.length) : [];
  items.set(known);
  for (let index = known.length; index < items.length; index += 1) items[index] = marker.mark(body.input[index]);
  return marker.isExhausted ? undefined : { settings, items, text: markOf(text) };
}

function settingsOf({ body, envelope }: MarkedRequest, marker: JsonMarker): PrefixMarks["settings"] {
  return {
    model: hash32(body.model),
    envelope: hash32(envelope),
    tools: marker.mark(body.tools ?? []),
    instructions: marker.mark(body.instructions ?? ""),
  };
}

/** Ends the text of a request whose input comes last, as it does in what the relay writes. */
const END = "]}";

function markOf(text: string | undefined): TextMark | undefined {
  if (!text?.endsWith(END)) return undefined;
  const length = text.length - END.length;
  return { length, hash: hash64(text.slice(0, length)) };
}

/** True when `text` is what `last` stands for with more items behind the last one, or with none. */
function goesOn(last: TextMark | undefined, text: string | undefined): boolean {
  if (!last || text === undefined || text.length < last.length + END.length) return false;
  const next = text.charAt(last.length);
  return (next === "," || next === "]") && hash64(text.slice(0, last.length)) === last.hash;
}

/**
 * The first part that differs, as `tools` or `input[12]`; undefined where the later request begins with the earlier one,
 * or is its beginning.
 */
export function prefixDeparture(earlier: PrefixMarks, later: PrefixMarks): string | undefined {
  for (const name of ["model", "envelope", "tools", "instructions"] as const) {
    if (earlier.settings[name] !== later.settings[name]) return name;
  }
  const common = Math.min(earlier.items.length, later.items.length);
  for (let index = 0; index < common; index += 1) {
    if (earlier.items[index] !== later.items[index]) return `input[${index}]`;
  }
  return undefined;
}
