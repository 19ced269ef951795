import { isObject, type JsonObject } from "./json.ts";

/**
 * JSON with the keys of its objects in order, so that the same values have the same text whoever wrote them: the maps of
 * some clients have no order of their own. Goes as deep as its value does.
 */
export function canonicalJson(value: object): string {
  return JSON.stringify(inOrder(value));
}

/** The value itself where all of it is in order: a replacer is called for each part, which takes twice as long. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return listInOrder(value);
  return isObject(value) ? objectInOrder(value) : value;
}

function listInOrder(list: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < list.length; index += 1) {
    const entry = inOrder(list[index]);
    if (entry !== list[index]) (copy ??= [...list])[index] = entry;
  }
  return copy ?? list;
}

function objectInOrder(object: JsonObject): JsonObject {
  const keys = Object.keys(object);
  const isInOrder = keys.every((key, index) => index === 0 || (keys[index - 1] ?? "") < key);
  if (!isInOrder) keys.sort();
  const entries = keys.map((key) => inOrder(object[key]));
  if (isInOrder && entries.every((entry, index) => entry === object[keys[index] ?? ""])) return object;
  // Also `__proto__` as a key of its own.
  return Object.fromEntries(keys.map((key, index) => [key, entries[index]]));
}
