import { isObject } from "../../../lib/json.ts";
import { objectOf } from "../../../lib/json.ts";

/**
 * TOML as plain data that can be copied and compared: Bun gives dates and times as Temporal objects, which can be
 * neither, so that they become text of their type and value. Throws SyntaxError.
 */
export function parseToml(text: string): Record<string, unknown> {
  return plainTable(objectOf(Bun.TOML.parse(text)));
}

function plainTable(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, plain(value)]));
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const type: unknown = Reflect.get(value, Symbol.toStringTag);
  return typeof type === "string" ? `${type} ${JSON.stringify(value)}` : plainTable(value);
}
