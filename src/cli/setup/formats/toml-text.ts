import { isObject, objectOf } from "../../../lib/json.ts";

/**
 * TOML as plain data that can be copied and compared: Bun gives dates and times as Temporal objects, which can be
 * neither, so that they become text of their type and value. So do integers above 2^53, which Bun refuses although TOML
 * has 64 bits. Throws SyntaxError.
 */
export function parseToml(text: string): Record<string, unknown> {
  return plainTable(objectOf(Bun.TOML.parse(withoutLargeIntegers(text))));
}

/** Texts of both kinds over one and several lines, comments, and what stands between: keys, numbers, words. */
const TOKEN = /"""(?:\\[\s\S]|[^\\])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|[^\s,=[\]{}"'#]+/g;
const INTEGER = /^([+-]?)(0x[\da-f_]+|0o[0-7_]+|0b[01_]+|[1-9][\d_]*)$/i;
const LARGEST = 2n ** 63n - 1n;

/** Integers that no JavaScript number holds, as quoted text in their place; a key of digits is the same with quotes. */
function withoutLargeIntegers(text: string): string {
  return text.replace(TOKEN, (token) => {
    const [, sign = "", digits = ""] = INTEGER.exec(token) ?? [];
    if (digits.length < 14) return token;
    const value = BigInt(digits.replaceAll("_", ""));
    const isLarge = value > BigInt(Number.MAX_SAFE_INTEGER) && value <= LARGEST + (sign === "-" ? 1n : 0n);
    return isLarge ? `"${token}"` : token;
  });
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
