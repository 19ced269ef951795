import { isObject, type JsonObject } from "../../../lib/json.ts";
import { HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, isGeneratable } from "../schema/keywords.ts";

/** Rules that strict mode cannot hold a model to. Without them an answer still has its shape. */
const LOOSE = new Set([
  "contains",
  "default",
  "maxContains",
  "maxProperties",
  "minContains",
  "minProperties",
  "not",
  "propertyNames",
  "unevaluatedItems",
  "unevaluatedProperties",
  "uniqueItems",
]);

/** Shapes that strict mode does not know: without them an answer would be another one. */
const SHAPES = ["allOf", "if", "then", "else", "patternProperties", "dependentRequired", "dependentSchemas"];

/**
 * A strict tool as strict mode takes it: without the rules that it does not know; no longer strict where its schema has
 * a shape that strict mode does not have, or leaves something open.
 */
export function repairStrict(tool: JsonObject, parameters: JsonObject, changed: string[]): JsonObject {
  if (!isClosed(parameters)) {
    changed.push("strict");
    return { ...tool, strict: false };
  }
  const closed = withoutLoose(parameters, "parameters", changed);
  return closed === parameters ? tool : { ...tool, parameters: closed };
}

/** Every object names all its properties, asks for all of them, and has no others. */
function isClosed(schema: unknown): boolean {
  if (!isObject(schema)) return typeof schema !== "boolean";
  if (SHAPES.some((keyword) => schema[keyword] !== undefined)) return false;
  const { type, properties, required } = schema;
  if (type === "object" || (Array.isArray(type) && type.includes("object"))) {
    const names = isObject(properties) ? Object.keys(properties) : [];
    const asked = Array.isArray(required) ? (required as unknown[]) : [];
    if (schema["additionalProperties"] !== false || names.length !== asked.length) return false;
    if (!names.every((name) => asked.includes(name))) return false;
  }
  return inner(schema).every(isClosed);
}

function inner(schema: JsonObject): unknown[] {
  return [
    ...(schema["items"] === undefined ? [] : [schema["items"]]),
    ...HOLDS_LIST.flatMap((keyword) => (Array.isArray(schema[keyword]) ? (schema[keyword] as unknown[]) : [])),
    ...HOLDS_NAMED.flatMap((keyword) => (isObject(schema[keyword]) ? Object.values(schema[keyword]) : [])),
  ];
}

function withoutLoose(schema: JsonObject, at: string, changed: string[]): JsonObject {
  let isChanged = false;
  const kept: [keyword: string, value: unknown][] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (LOOSE.has(keyword) || (keyword === "pattern" && !isGeneratable(value))) {
      changed.push(`${at}.${keyword}`);
      isChanged = true;
      continue;
    }
    // Strict mode has one word for "one of these".
    const name = keyword === "oneOf" && schema["anyOf"] === undefined ? "anyOf" : keyword;
    if (name !== keyword) changed.push(`${at}.${keyword}`);
    const inside = below(keyword, value, `${at}.${keyword}`, changed);
    kept.push([name, inside]);
    isChanged ||= name !== keyword || inside !== value;
  }
  // Not by assignment, which would take a keyword `__proto__` for the prototype.
  return isChanged ? Object.fromEntries(kept) : schema;
}

function below(keyword: string, value: unknown, at: string, changed: string[]): unknown {
  const one = (schema: unknown, path: string) => (isObject(schema) ? withoutLoose(schema, path, changed) : schema);
  if (HOLDS_ONE.some((name) => name === keyword)) return one(value, at);
  if (HOLDS_LIST.some((name) => name === keyword) && Array.isArray(value)) {
    const list = value.map((schema: unknown, index) => one(schema, `${at}[${index}]`));
    return list.every((schema, index) => schema === value[index]) ? value : list;
  }
  if (HOLDS_NAMED.some((name) => name === keyword) && isObject(value)) {
    const named = Object.entries(value).map(([name, schema]) => [name, one(schema, `${at}.${name}`)] as const);
    return named.every(([name, schema]) => schema === value[name]) ? value : Object.fromEntries(named);
  }
  return value;
}
