export type JsonObject = Record<string, unknown>;

/** True for `{…}`: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value where it is a list, else none of its entries. */
export function listOf(value: unknown): readonly unknown[] {
  const list: unknown = value;
  return Array.isArray(list) ? list : [];
}

/** The value where it is an object, else an empty one. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** What stands between the quotes of a JSON text, as text. Throws SyntaxError. */
export function unquoted(body: string): string {
  const text: unknown = JSON.parse(`"${body}"`);
  return typeof text === "string" ? text : "";
}

/** The parsed value, or undefined when the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The value if it is a string that is not empty. */
export function nonEmptyString(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
