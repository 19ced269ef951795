import { isObject } from "../lib/json.ts";

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
 * Patterns of JavaScript that the backend's own engine has no words for: classes by Unicode property, looking around,
 * referring back. One of them has the whole request refused.
 */
const FOREIGN = /\\[pP]\{|\(\?<?[=!]|\\k<|\\[1-9]/;

function isPortable(pattern: string): boolean {
  // A doubled backslash is one of the text, and begins nothing.
  if (FOREIGN.test(pattern.replaceAll("\\\\", ""))) return false;
  try {
    return new RegExp(pattern) instanceof RegExp;
  } catch {
    return false;
  }
}
