import { isAscii } from "node:buffer";
import { unquoted } from "./json.ts";
import { DEEPEST, MANY, MOST_VALUES, refuseDepth, refuseShapes, tooDeep, tooMany } from "./json-shape.ts";
import { LARGE, NOTABLE, PIECE, turn } from "./large-json.ts";

/** Longer strings are taken out before the rest is parsed, so that the rest is never much. */
const LONG_STRING_BYTES = 64;

/**
 * JSON text, parsed without holding up other requests: one of more than `large` characters in pieces, between which the
 * event loop turns. Throws SyntaxError, `invalid_request` when it is nested too deeply, and `request_too_large` when it
 * consists of very many small things.
 */
export async function parseJsonText(text: string, large = LARGE): Promise<unknown> {
  if (text.length > large) return parseJsonBytes(Buffer.from(text), large);
  if (text.length > MANY) refuseShapes(text);
  const value = JSON.parse(text) as unknown;
  if (text.length <= MANY) refuseDepth(value);
  return value;
}

/** The same for a text in UTF-8. */
export async function parseJsonBytes(bytes: Uint8Array, large = LARGE): Promise<unknown> {
  if (bytes.length <= large) return parseJsonText(new TextDecoder().decode(bytes), bytes.length);
  const strings = await findLongStrings(bytes);
  const mark = crypto.randomUUID().slice(0, 13);
  const rest = await textAround(bytes, strings, mark);
  const texts: string[] = [];
  let nextTurn = PIECE;
  for (const string of strings) {
    const text = textOf(bytes, string);
    // Awaiting costs more than reading a short string.
    texts.push(text instanceof Promise ? await text : text);
    if (string.end < nextTurn) continue;
    await turn();
    nextTurn = string.end + PIECE;
  }
  await turn();
  const value = JSON.parse(rest) as unknown;
  await turn();
  return putBack(value, mark, texts);
}

/** A string's content, without its quotes. `cuts` are places where it may be cut: between characters and escapes. */
interface LongString {
  readonly start: number;
  readonly cuts: readonly number[];
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
const COLON = 0x3a;
const COMMA = 0x2c;
const [ARRAY, ARRAY_END] = [0x5b, 0x5d];
const [OBJECT, OBJECT_END] = [0x7b, 0x7d];
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Throws SyntaxError. */
function textOf(bytes: Uint8Array, { start, cuts, end }: LongString): string | Promise<string> {
  if (cuts.length === 0) return unescaped(decoded(bytes, start, end));
  const content = bytes.subarray(start, end);
  // An image is taken as it is: to put its pieces together would copy it once more.
  const isAsItIs = isAscii(content) && !content.includes(BACKSLASH);
  return isAsItIs ? unescaped(decoded(bytes, start, end)) : textOfPieces(bytes, [start, ...cuts, end]);
}

async function textOfPieces(bytes: Uint8Array, bounds: readonly number[]): Promise<string> {
  let text = "";
  for (const [index, end] of bounds.entries()) {
    if (index === 0) continue;
    text += unescaped(decoded(bytes, bounds[index - 1] ?? 0, end));
    await turn();
  }
  return text;
}

/** The text that stands between quotes as `content`. Throws SyntaxError. */
function unescaped(content: string): string {
  // The look costs a third of what parsing does, and most texts are neither escaped nor wrong.
  return NOTABLE.test(content) ? unquoted(content) : content;
}

/** Where the long strings are. Wrong in places when the text is no JSON: parsing it then fails all the same. */
async function findLongStrings(bytes: Uint8Array): Promise<LongString[]> {
  const found: LongString[] = [];
  let values = 1;
  let depth = 0;
  for (let at = 0, nextTurn = PIECE; at < bytes.length;) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) {
      const scanned = stringAt(bytes, at + 1);
      // Awaiting costs more than scanning a short string.
      const string = scanned instanceof Promise ? await scanned : scanned;
      if (string.end - string.start > LONG_STRING_BYTES && !isKey(bytes, string.end)) found.push(string);
      at = string.end + 1;
    } else {
      const isOpening = byte === ARRAY || byte === OBJECT;
      if (isOpening || byte === COMMA) values += 1;
      if (isOpening) depth += 1;
      else if (byte === ARRAY_END || byte === OBJECT_END) depth -= 1;
      if (depth > DEEPEST) throw tooDeep();
      at += 1;
    }
    if (at >= nextTurn) {
      if (values > MOST_VALUES) break;
      await turn();
      nextTurn = at + PIECE;
    }
  }
  if (values > MOST_VALUES) throw tooMany();
  return found;
}

/** The string whose content begins at `start`. */
function stringAt(bytes: Uint8Array, start: number): LongString | Promise<LongString> {
  const { end, isWhole } = pieceOfString(bytes, start);
  return isWhole ? { start, cuts: [], end } : longStringAt(bytes, start, end);
}

async function longStringAt(bytes: Uint8Array, start: number, firstCut: number): Promise<LongString> {
  const cuts = [firstCut];
  for (let from = firstCut; ;) {
    await turn();
    const { end, isWhole } = pieceOfString(bytes, from);
    if (isWhole) return { start, cuts, end };
    cuts.push(end);
    from = end;
  }
}

/** Up to the closing quote, or to the first place beyond a piece's length where a string may be cut. */
function pieceOfString(bytes: Uint8Array, start: number): { readonly end: number; readonly isWhole: boolean } {
  let at = start;
  while (at < bytes.length) {
    if (at === start + LONG_STRING_BYTES) at = nextOfNote(bytes, at, start + PIECE);
    const byte = bytes[at];
    if (byte === QUOTE) break;
    // Bytes 10xxxxxx are inside a character.
    if (at >= start + PIECE && ((byte ?? 0) & 0xc0) !== 0x80) return { end: at, isWhole: false };
    at += byte !== BACKSLASH ? 1 : bytes[at + 1] === LETTER_U ? 6 : 2;
  }
  return { end: Math.min(at, bytes.length), isWhole: true };
}

/** The first quote or backslash, or `to` when there is none before it: an image has none for millions of bytes. */
function nextOfNote(bytes: Uint8Array, from: number, to: number): number {
  const part = bytes.subarray(from, to);
  const quote = part.indexOf(QUOTE);
  // No further than the quote: other strings follow it.
  const before = quote < 0 ? part : part.subarray(0, quote);
  const backslash = before.indexOf(BACKSLASH);
  return from + (backslash < 0 ? before.length : backslash);
}

function isKey(bytes: Uint8Array, end: number): boolean {
  let at = end + 1;
  while (SPACES.has(bytes[at] ?? 0)) at += 1;
  return bytes[at] === COLON;
}

/** The text with a mark in place of each long string. */
async function textAround(bytes: Uint8Array, strings: readonly LongString[], mark: string): Promise<string> {
  let text = "";
  let from = 0;
  let nextTurn = PIECE;
  for (const [index, { start, end }] of strings.entries()) {
    text += `${decoded(bytes, from, start)}${mark}${index}`;
    from = end;
    if (from < nextTurn) continue;
    await turn();
    nextTurn = from + PIECE;
  }
  return text + decoded(bytes, from, bytes.length);
}

/** Made once: a body has thousands of strings. */
const FROM_START = new TextDecoder();
const INSIDE = new TextDecoder("utf-8", { ignoreBOM: true });

function decoded(bytes: Uint8Array, start: number, end: number): string {
  return (start > 0 ? INSIDE : FROM_START).decode(bytes.subarray(start, end));
}

/** The value with its long strings where the marks are. Not recursive: a body may be nested deeper than the stack. */
function putBack(root: unknown, mark: string, texts: readonly string[]): unknown {
  const original = (value: unknown) =>
    typeof value === "string" && value.startsWith(mark) ? texts[Number(value.slice(mark.length))] : undefined;
  const waiting: unknown[] = [root];
  while (waiting.length > 0) {
    const holder = waiting.pop();
    if (typeof holder !== "object" || holder === null) continue;
    for (const [key, value] of entriesOf(holder)) {
      const text = original(value);
      if (text !== undefined) Reflect.set(holder, key, text);
      else if (typeof value === "object" && value !== null) waiting.push(value);
    }
  }
  return original(root) ?? root;
}

function entriesOf(holder: object): Iterable<[string | number, unknown]> {
  return Array.isArray(holder) ? holder.entries() : Object.entries(holder);
}
