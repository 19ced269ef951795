import { isAscii } from "node:buffer";
import { isObject, unquoted } from "./json.ts";
import { DEEPEST, MOST_VALUES, refuseShapes, tooDeep, tooMany } from "./json-shape.ts";

/** Smaller texts are parsed and written in one go: that takes some ten milliseconds. In bytes or characters. */
export const LARGE = 8 * 1024 * 1024;
/** Work between two turns of the event loop. */
const PIECE = 1024 * 1024;
/** Longer strings are taken out before the rest is parsed, so that the rest is never much. */
const LONG_STRING_BYTES = 64;
/** Longer ones are written in pieces. */
const LONG_STRING_CHARACTERS = 64 * 1024;

/** Lets everything else that waits have its turn. */
export function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}

/**
 * JSON text, parsed without holding up other requests: one of more than `large` characters in pieces, between which the
 * event loop turns. Throws SyntaxError, `invalid_request` when it is nested too deeply, and `request_too_large` when it
 * consists of very many small things.
 */
export async function parseJsonText(text: string, large = LARGE): Promise<unknown> {
  if (text.length > large) return parseJsonBytes(Buffer.from(text), large);
  refuseShapes(text);
  return JSON.parse(text) as unknown;
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

/** What stands between quotes only when it is escaped, and what escapes it (RFC 8259, 7). */
// eslint-disable-next-line no-control-regex -- control characters are part of what is meant
const NOTABLE = /[\0-\x1f"\\]/;

/** The text that stands between quotes as `content`. Throws SyntaxError. */
function unescaped(content: string): string {
  // The look costs a third of what parsing does, and most texts are neither escaped nor wrong.
  return NOTABLE.test(content) ? unquoted(content) : content;
}

/** `text` as it stands between quotes. */
function escaped(text: string): string {
  return NOTABLE.test(text) || !text.isWellFormed() ? JSON.stringify(text).slice(1, -1) : text;
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

/** How much a value is: characters of its JSON, and values in it, each of which costs time in every later step. */
export interface JsonSize {
  readonly characters: number;
  readonly values: number;
}

/** About the size of a value as JSON, without writing it; stops counting beyond `limit` characters. */
export function roughJsonSize(root: unknown, limit = Number.POSITIVE_INFINITY): JsonSize {
  const waiting: unknown[] = [root];
  let characters = 0;
  let values = 0;
  while (waiting.length > 0 && characters <= limit) {
    const value = waiting.pop();
    values += 1;
    if (typeof value === "string") characters += value.length + 2;
    else if (Array.isArray(value)) {
      characters += value.length + 2;
      for (const entry of value) waiting.push(entry);
    } else if (isObject(value)) {
      // A third of what Object.keys or Reflect.get would cost, and every request is measured several times.
      for (const key in value) {
        characters += key.length + 4;
        waiting.push(value[key]);
      }
    } else characters += 5;
  }
  return { characters, values };
}

/** An object as JSON for the wire. A large one is written in pieces, between which the event loop turns. */
export async function writeJson(value: object, large = LARGE): Promise<string | Uint8Array<ArrayBuffer>> {
  if (roughJsonSize(value, large).characters <= large) return JSON.stringify(value);
  const encoder = new TextEncoder();
  // Each piece is encoded to its place: whole copies of such bodies are what takes time and memory.
  let bytes = new Uint8Array(ROOM * roughJsonSize(value).characters);
  let length = 0;
  for (const piece of jsonPieces(value)) {
    for (let rest = piece; rest !== "";) {
      const { read, written } = encoder.encodeInto(rest, bytes.subarray(length));
      rest = rest.slice(read);
      length += written;
      if (rest !== "") bytes = await enlarged(bytes, length);
    }
    await turn();
  }
  return bytes.subarray(0, length);
}

/** Bytes that a rough size counts as one character: few are escaped in most texts, and few take more than a byte. */
const ROOM = 1.125;

/** Twice the room, with the first `length` bytes. */
async function enlarged(bytes: Uint8Array, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const larger = new Uint8Array(2 * bytes.length);
  for (let at = 0; at < length; at += PIECE) {
    larger.set(bytes.subarray(at, Math.min(at + PIECE, length)), at);
    await turn();
  }
  return larger;
}

/** An object as JSON in pieces of about so many characters, none of which is made before it is asked for. */
export function* jsonPieces(value: object, length = PIECE): Generator<string, void> {
  let text = "";
  for (const part of partsOf(value, length)) {
    if (part.length >= length && text !== "") {
      yield text;
      text = "";
    }
    text += part;
    if (text.length < length) continue;
    yield text;
    text = "";
  }
  yield text;
}

/** Entries of the object and of the lists in it one by one: a request is large by its messages. */
function* partsOf(value: object, length: number): Iterable<string> {
  let separator = "{";
  for (const [key, entry] of Object.entries(value) as [string, unknown][]) {
    if (entry === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:`;
    separator = ",";
    if (Array.isArray(entry) && entry.length > 0) {
      for (const [index, one] of entry.entries()) {
        yield index === 0 ? "[" : ",";
        yield* partsOfValue(one, length);
      }
      yield "]";
    } else yield* partsOfValue(entry, length);
  }
  yield separator === "{" ? "{}" : "}";
}

/** Stands for a long string while the value around it is written. */
const MARK = crypto.randomUUID();

/** One value, its long strings in pieces. */
function* partsOfValue(value: unknown, length: number): Iterable<string> {
  const long: string[] = [];
  const json = JSON.stringify(value, (_key, entry: unknown) =>
    typeof entry === "string" && entry.length > LONG_STRING_CHARACTERS ? `${MARK}${long.push(entry) - 1}` : entry,
  ) as string | undefined;
  const rest = json ?? "null";
  let from = 0;
  for (const [index, text] of long.entries()) {
    const place = `${MARK}${index}"`;
    const at = rest.indexOf(place, from);
    yield rest.slice(from, at);
    for (const piece of piecesOf(text, length)) yield escaped(piece);
    from = at + place.length - 1;
  }
  yield rest.slice(from);
}

/** A text in pieces that do not end inside a pair of surrogates. */
function* piecesOf(text: string, length: number): Iterable<string> {
  for (let start = 0; start < text.length;) {
    const end = start + length;
    const code = text.charCodeAt(end - 1);
    const cut = code >= 0xd800 && code <= 0xdbff ? end - 1 : end;
    yield text.slice(start, cut);
    start = cut;
  }
}

/** Parts in one, copied with a turn of the event loop after each. */
export async function joined(parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
    await turn();
  }
  return whole;
}
