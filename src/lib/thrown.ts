/** The `code` that Node and Bun put on a system error, such as `ENOENT`; undefined when the value has no such text. */
export function errorCode(thrown: unknown): string | undefined {
  return textField(thrown, "code");
}

/** The `name` of a thrown value, such as `TimeoutError`; undefined when the value has no such text. */
export function errorName(thrown: unknown): string | undefined {
  return textField(thrown, "name");
}

/** Reads through the prototype, where a DOMException keeps its fields. */
function textField(thrown: unknown, field: string): string | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  const value: unknown = Reflect.get(thrown, field);
  return typeof value === "string" ? value : undefined;
}
