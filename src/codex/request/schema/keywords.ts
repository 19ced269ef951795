import { isObject } from "../../../lib/json.ts";

/** What the backend calls a schema: anything goes, nothing goes, or rules. */
export function isSchema(value: unknown): boolean {
  return typeof value === "boolean" || isObject(value);
}

const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

const isType = (value: unknown) => typeof value === "string" && TYPES.has(value);
const isText = (value: unknown) => typeof value === "string";
const isNumber = (value: unknown): value is number => typeof value === "number";
const isCount = (value: unknown) => Number.isInteger(value) && Number(value) >= 0;
const isBoolean = (value: unknown) => typeof value === "boolean";
const isListOf = (fits: (value: unknown) => boolean) => (value: unknown) => Array.isArray(value) && value.every(fits);
const isFullListOf = (fits: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length > 0 && value.every(fits);

/** Keywords whose value is a schema, a list of them, or schemas by name. */
export const HOLDS_ONE = [
  "items",
  "additionalProperties",
  "additionalItems",
  "contains",
  "not",
  "if",
  "then",
  "else",
  "propertyNames",
  "unevaluatedItems",
  "unevaluatedProperties",
] as const;
export const HOLDS_LIST = ["anyOf", "oneOf", "allOf", "prefixItems"] as const;
export const HOLDS_NAMED = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"] as const;

/** What a keyword's value must be; one of another kind has the whole request refused. */
const FITS: Readonly<Record<string, (value: unknown) => boolean>> = {
  type: (value) => isType(value) || isFullListOf(isType)(value),
  required: isListOf(isText),
  enum: isFullListOf(() => true),
  pattern: (value) => typeof value === "string" && isPortable(value),
  uniqueItems: isBoolean,
  ...each(["title", "description", "format", "$ref", "$id", "$schema", "$comment", "$anchor"], isText),
  ...each(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], isNumber),
  multipleOf: (value) => isNumber(value) && value > 0,
  ...each(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"], isCount),
  ...each(HOLDS_ONE, isSchema),
  ...each(HOLDS_LIST, isFullListOf(isSchema)),
  ...each(HOLDS_NAMED, isObject),
};

function each(names: readonly string[], fits: (value: unknown) => boolean) {
  return Object.fromEntries(names.map((name) => [name, fits]));
}

/** False for what no server could make sense of. Keywords that the relay does not know are not its business. */
export function fitsKeyword(keyword: string, value: unknown): boolean {
  return Object.hasOwn(FITS, keyword) ? FITS[keyword]?.(value) === true : true;
}

/**
 * What of JavaScript other engines do not know: classes by Unicode property, for which the backend is known to refuse
 * whole requests, groups with names, code points in braces.
 */
const FOREIGN = /\\[pP]\{|\\k<|\\u\{|\(\?<[A-Za-z_]/;

/** What strict mode cannot hold a model to: looking around, referring back. */
const UNGENERATABLE = /\(\?<?[=!]|\\[1-9]|\(\?P=/;

function isPortable(pattern: string): boolean {
  return !FOREIGN.test(unescaped(pattern)) && isPattern(pattern);
}

/** True for patterns that a model in strict mode can be led by. */
export function isGeneratable(pattern: unknown): boolean {
  return typeof pattern !== "string" || !UNGENERATABLE.test(unescaped(pattern));
}

/** A doubled backslash is one of the text, and begins nothing. */
function unescaped(pattern: string): string {
  return pattern.replaceAll("\\\\", "");
}

/** In characters. */
const LONGEST_PATTERN = 10_000;

/** Whether it is a regular expression at all; Python's own words are put into JavaScript's to find out. */
function isPattern(pattern: string): boolean {
  // Nobody writes these by hand, and to read them takes long.
  if (pattern.length > LONGEST_PATTERN) return true;
  const translated = pattern
    .replace(/^\(\?[aiLmsux]+\)/, "")
    .replaceAll("(?P<", "(?<")
    .replaceAll(/\(\?P=(\w+)\)/g, "\\k<$1>");
  try {
    return new RegExp(translated) instanceof RegExp;
  } catch {
    return false;
  }
}
