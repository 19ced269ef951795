import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { asObject, shown } from "../../src/demo/json.ts";
import type { Views } from "./views.ts";

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];
/** Branches and references that current models take at the root, instead of or beside `type: "object"`. */
const ROOT_BRANCHES = ["oneOf", "anyOf", "allOf", "$ref"];
const NEVER_AT_ROOT = ["enum", "not"];

/** What is wrong with the schema of any function, strict or not, in the server's words; undefined when nothing is. */
export function schemaFault(schema: JsonObject, view: Views["schemas"]): string | undefined {
  const has = (keyword: string) => schema[keyword] !== undefined;
  const isBranched = view === "current" && ROOT_BRANCHES.some(has);
  if (schema["type"] !== "object" && !(isBranched && schema["type"] === undefined)) {
    return `schema must be a JSON Schema of 'type: "object"', got 'type: "${shown(schema["type"])}"'.`;
  }
  if ([...NEVER_AT_ROOT, ...(view === "older" ? ROOT_BRANCHES.slice(0, 3) : [])].some(has)) {
    return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.";
  }
  if (view === "older" && !has("properties")) return "In context=(), object schema missing properties.";
  return faultIn(schema, []);
}

function faultIn(schema: unknown, path: readonly string[]): string | undefined {
  if (!isObject(schema)) return undefined;
  const fault = ownFault(schema);
  if (fault !== undefined)
    return path.length === 0 ? fault : `In context=(${path.map((step) => `'${step}'`).join(", ")}), ${fault}`;
  for (const [keyword, value] of Object.entries(schema)) {
    const below = faultBelow(keyword, value, [...path, keyword]);
    if (below !== undefined) return below;
  }
  return undefined;
}

function ownFault(schema: JsonObject): string | undefined {
  const { type, items, required, pattern, enum: values } = schema;
  const types: unknown[] = Array.isArray(type) ? type : [type ?? "object"];
  const odd = types.find((name) => !TYPES.some((known) => known === name));
  if (odd !== undefined) return `'${shown(odd)}' is not valid under any of the given schemas.`;
  if (types.includes("array") && items === undefined) return "array schema missing items.";
  if (Array.isArray(items)) return `${JSON.stringify(items)} is not of type 'object', 'boolean'.`;
  if (required !== undefined && !Array.isArray(required)) return `${shown(required)} is not of type 'array'.`;
  if (values !== undefined && (!Array.isArray(values) || values.length === 0)) return "[] should be non-empty.";
  const isForeign = typeof pattern === "string" && /\\p\{|\(\?<[a-z]/i.test(pattern);
  return isForeign ? `'${pattern}' is not a 'regex'.` : undefined;
}

function faultBelow(keyword: string, value: unknown, path: readonly string[]): string | undefined {
  if (["properties", "$defs", "definitions"].includes(keyword)) {
    for (const [name, child] of Object.entries(asObject(value))) {
      const fault = faultIn(child, [...path, name]);
      if (fault !== undefined) return fault;
    }
  }
  if (["anyOf", "oneOf", "allOf"].includes(keyword) && Array.isArray(value)) {
    for (const [index, child] of value.entries()) {
      const fault = faultIn(child, [...path, String(index)]);
      if (fault !== undefined) return fault;
    }
  }
  return keyword === "items" ? faultIn(value, path) : undefined;
}
