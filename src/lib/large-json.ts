import { isObject } from "./json.ts";

/** Smaller texts are parsed and written in one go: that takes some ten milliseconds. In bytes or characters. */
export const LARGE = 8 * 1024 * 1024;
/** Work between two turns of the event loop. */
export const PIECE = 1024 * 1024;
/** Longer strings are written in pieces. */
const LONG_STRING_CHARACTERS = 64 * 1024;

/** Lets everything else that waits have its turn. */
export function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
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
        const entry = value[key];
        if (typeof entry === "string") {
          characters += entry.length + 2;
          values += 1;
        } else waiting.push(entry);
      }
    } else characters += 5;
  }
  return { characters, values };
}

/** An object as JSON for the wire. A large one is written in pieces, between which the event loop turns. */
export async function writeJson(value: object, large = LARGE): Promise<string | Uint8Array<ArrayBuffer>> {
  const { characters } = roughJsonSize(value);
  if (characters <= large) return JSON.stringify(value);
  const encoder = new TextEncoder();
  // Each piece is encoded to its place: whole copies of such bodies are what takes time and memory.
  let bytes = new Uint8Array(ROOM * characters);
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

/**
 * Bytes to set aside for each character of a rough size, which counts neither escapes nor characters of several bytes:
 * most texts have few of both, and the others get more room later.
 */
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

/** What stands between quotes only when it is escaped, and what escapes it (RFC 8259, 7). */
// eslint-disable-next-line no-control-regex -- control characters are part of what is meant
export const NOTABLE = /[\0-\x1f"\\]/;

/** `text` as it stands between quotes. */
function escaped(text: string): string {
  return NOTABLE.test(text) || !text.isWellFormed() ? JSON.stringify(text).slice(1, -1) : text;
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
