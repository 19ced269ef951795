import { isObject } from "../../src/lib/json.ts";

/** How much of a conversation's next request the backend has read before. */
export interface SharedPrefix {
  /** Bytes from the start that are the same. */
  readonly bytes: number;
  /** Of the shorter of the two. */
  readonly percent: number;
}

/**
 * A finished request as the model reads it, by which the backend's prompt cache goes: model, tools, instructions, then
 * the input item by item. What is no part of the prompt (ids of the request, limits, what to include) is left out.
 */
function promptText(body: unknown): string {
  const { model, tools, instructions, input } = isObject(body) ? body : {};
  const items = Array.isArray(input) ? input : [];
  return [model, tools ?? [], instructions ?? "", ...items].map((part) => JSON.stringify(part)).join("\n");
}

export function sharedPrefix(earlier: unknown, later: unknown): SharedPrefix {
  const [one, other] = [Buffer.from(promptText(earlier)), Buffer.from(promptText(later))];
  const shorter = Math.min(one.length, other.length);
  let bytes = 0;
  while (bytes < shorter && one[bytes] === other[bytes]) bytes += 1;
  return { bytes, percent: (bytes / shorter) * 100 };
}

/** Of each request of a conversation but the first, beside the one before. */
export function sharedPrefixes(bodies: readonly unknown[]): SharedPrefix[] {
  return bodies.slice(1).map((body, index) => sharedPrefix(bodies[index], body));
}
