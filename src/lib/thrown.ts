/** The `code` that Node and Bun put on a system error, such as `ENOENT`; undefined when the value has no such text. */
export function errorCode(thrown: unknown): string | undefined {
  return textField(thrown, "code");
}

/** The `name` of a thrown value, such as `TimeoutError`; undefined when the value has no such text. */
export function errorName(thrown: unknown): string | undefined {
  return textField(thrown, "name");
}

/** What a thrown value says of itself. */
export function messageOf(thrown: unknown): string {
  return textField(thrown, "message") ?? String(thrown);
}

/** A thrown value as an error: itself, or one that says what it was. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

/** A field of a thrown value; undefined where it has none. */
export function errorField(thrown: unknown, field: string): unknown {
  return typeof thrown === "object" && thrown !== null ? Reflect.get(thrown, field) : undefined;
}

/** Reads through the prototype, where a DOMException keeps its fields. */
function textField(thrown: unknown, field: string): string | undefined {
  const value = errorField(thrown, field);
  return typeof value === "string" ? value : undefined;
}
