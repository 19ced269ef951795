import { sha256Hex } from "../../lib/hash.ts";
import { roughJsonSize } from "../../lib/large-json.ts";
import type { CodexRequest } from "../wire/request.ts";

/**
 * A cache key for clients that send none. Stable over the turns of one conversation, which all begin alike, so that
 * the backend finds its prompt cache again; different between clients with different keys.
 */
export function conversationKey(body: CodexRequest, clientId: string): string {
  const opening = body.input.find((item) => item["role"] === "user") ?? body.input[0] ?? {};
  const told = [clientId, body.instructions ?? "", opening];
  // Asked for every value, the function makes the writing of a short message three times as long.
  const hasLongText = roughJsonSize(told, COMPARED_LENGTH).characters > COMPARED_LENGTH;
  return uuidOf(JSON.stringify(told, hasLongText ? beginningOfLongTexts : undefined));
}

/** An image or a pasted book is told from others by how it begins and how long it is. In characters. */
const COMPARED_LENGTH = 16 * 1024;

function beginningOfLongTexts(_key: string, value: unknown): unknown {
  if (typeof value !== "string" || value.length <= COMPARED_LENGTH) return value;
  return `${value.slice(0, COMPARED_LENGTH)}${value.length}`;
}

/** In characters; the backend refuses longer cache keys. */
const LONGEST_KEY = 64;

/** A client's own cache key as the backend takes it: a longer one becomes its hash, so distinct keys stay distinct. */
export function acceptableKey(key: string): string {
  return key.length <= LONGEST_KEY ? key : sha256Hex(key).slice(0, LONGEST_KEY);
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** A cache key as the version 7 UUID that the backend expects in its conversation headers; such a UUID stays itself. */
export function conversationId(key: string): string {
  return UUID_V7.test(key) ? key : uuidOf(key);
}

/**
 * A UUID of version 7 made from a hash: some models are reported to want that version (earendil-works/pi#6831). The
 * leading digits of its time put it into the years 2024 to 2026; the rest has no meaning.
 */
function uuidOf(text: string): string {
  const hex = `019${sha256Hex(text)}`;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
