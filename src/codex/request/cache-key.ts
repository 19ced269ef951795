import { sha256Hex } from "../../lib/hash.ts";
import type { CodexRequest } from "../wire/schema.ts";

/**
 * A cache key for clients that send none. Stable over the turns of one conversation, which all begin alike, so that
 * the backend finds its prompt cache again; different between clients with different keys.
 */
export function conversationKey(body: CodexRequest, clientId: string): string {
  const opening = body.input.find((item) => item["role"] === "user") ?? body.input[0] ?? {};
  return uuidOf(JSON.stringify([clientId, body.instructions ?? "", opening], beginningOfLongTexts));
}

/** An image or a pasted book is told from others by how it begins and how long it is. In characters. */
const TELLING = 16 * 1024;

function beginningOfLongTexts(_key: string, value: unknown): unknown {
  if (typeof value !== "string" || value.length <= TELLING) return value;
  return `${value.slice(0, TELLING)}${value.length}`;
}

/** A cache key as the UUID that the backend expects in its conversation headers; a UUID stays itself. */
export function conversationId(key: string): string {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(key) ? key : uuidOf(key);
}

function uuidOf(text: string): string {
  const hex = sha256Hex(text);
  // Version 8 is the one for hashes of one's own making (RFC 9562).
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
