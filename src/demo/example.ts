import { isObject, type JsonObject } from "../lib/json.ts";
import { asList, asObject, asObjects, asText } from "./json.ts";
import { exampleOfPattern } from "./pattern.ts";

export interface ExampleOptions {
  /**
   * Optional properties too. Off for tool calls: an optional argument such as `run_in_background` changes what the tool
   * does.
   */
  readonly withOptional?: boolean;
}

/** Beyond this depth optional properties and spare array members are left out, so that recursive schemas end. */
const MAX_OPTIONAL_DEPTH = 3;

const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "2026-01-02T03:04:05Z",
  date: "2026-01-02",
  time: "03:04:05Z",
  duration: "PT1S",
  email: "someone@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uuid: "123e4567-e89b-42d3-a456-426614174000",
  uri: "https://example.com/",
  "uri-reference": "/example",
  url: "https://example.com/",
};

/** A value that satisfies a JSON schema, as far as the schema uses the keywords that models are given. */
export function exampleFor(schema: unknown, options: ExampleOptions = {}): unknown {
  return valueOf(schema, { root: schema, depth: 0, withOptional: options.withOptional === true });
}

interface Walk {
  readonly root: unknown;
  readonly depth: number;
  readonly withOptional: boolean;
}

function valueOf(schemaOrFlag: unknown, walk: Walk): unknown {
  if (!isObject(schemaOrFlag)) return "example";
  const schema = flatten(schemaOrFlag, walk);
  if ("const" in schema) return schema["const"];
  const choices = asList(schema["enum"]);
  if (choices.length > 0) return choices.find((choice) => choice !== null) ?? null;
  if (schema["default"] !== undefined && schema["default"] !== null && !isObject(schema["default"])) {
    return schema["default"];
  }
  switch (typeOf(schema)) {
    case "object":
      return objectOf(schema, walk);
    case "array":
      return arrayOf(schema, walk);
    case "integer":
    case "number":
      return numberOf(schema);
    case "boolean":
      // A required flag of a tool (`is_background`, `requires_approval`) is safest off.
      return walk.withOptional;
    case "null":
      return null;
    default:
      return stringOf(schema);
  }
}

/** The schema with references followed, `allOf` merged and the first fitting alternative of `anyOf`/`oneOf` taken. */
function flatten(schema: JsonObject, walk: Walk, budget = 20): JsonObject {
  if (budget === 0) return schema;
  const { $ref: reference, allOf, anyOf, oneOf, ...rest } = schema;
  const parts: JsonObject[] = [rest];
  if (typeof reference === "string") parts.push(flatten(resolve(reference, walk.root), walk, budget - 1));
  for (const part of asObjects(allOf)) parts.push(flatten(part, walk, budget - 1));
  for (const alternatives of [asObjects(anyOf), asObjects(oneOf)]) {
    const chosen = chooseAlternative(alternatives, walk);
    if (chosen) parts.push(flatten(chosen, walk, budget - 1));
  }
  return parts.length === 1 ? rest : parts.reduce(merge);
}

/** Deep inside, a `null` or a scalar ends the recursion; near the top, content is more telling. */
function chooseAlternative(alternatives: readonly JsonObject[], walk: Walk): JsonObject | undefined {
  const isNull = (schema: JsonObject) => schema["type"] === "null" || schema["const"] === null;
  const isScalar = (schema: JsonObject) =>
    schema["$ref"] === undefined && !["object", "array"].includes(typeOf(schema));
  if (walk.depth > MAX_OPTIONAL_DEPTH)
    return alternatives.find(isNull) ?? alternatives.find(isScalar) ?? alternatives[0];
  return alternatives.find((schema) => !isNull(schema)) ?? alternatives[0];
}

function merge(left: JsonObject, right: JsonObject): JsonObject {
  const merged: JsonObject = { ...left, ...right };
  if (left["properties"] !== undefined && right["properties"] !== undefined) {
    merged["properties"] = { ...asObject(left["properties"]), ...asObject(right["properties"]) };
  }
  if (left["required"] !== undefined && right["required"] !== undefined) {
    merged["required"] = [...new Set([...asList(left["required"]), ...asList(right["required"])])];
  }
  return merged;
}

function resolve(reference: string, root: unknown): JsonObject {
  const steps = reference
    .replace(/^#\/?/, "")
    .split("/")
    .filter((step) => step !== "")
    .map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
  let found: unknown = root;
  for (const step of steps) found = asObject(found)[step];
  return asObject(found);
}

function typeOf(schema: JsonObject): string {
  const type = schema["type"];
  if (typeof type === "string") return type;
  const named = asList(type).find((name) => name !== "null");
  if (typeof named === "string") return named;
  if (Array.isArray(type) && type.length > 0) return "null";
  if (schema["properties"] !== undefined || schema["required"] !== undefined) return "object";
  if (schema["items"] !== undefined || schema["prefixItems"] !== undefined) return "array";
  if (schema["minimum"] !== undefined || schema["maximum"] !== undefined) return "number";
  return "string";
}

function objectOf(schema: JsonObject, walk: Walk): JsonObject {
  const properties = asObject(schema["properties"]);
  const required = asList(schema["required"]).map(String);
  const isRoomy = walk.withOptional && walk.depth < MAX_OPTIONAL_DEPTH;
  const names = new Set([...(isRoomy ? Object.keys(properties) : []), ...required]);
  const made: JsonObject = {};
  for (const name of names) made[name] = valueOf(properties[name], { ...walk, depth: walk.depth + 1 });
  for (let n = 1; Object.keys(made).length < Number(schema["minProperties"] ?? 0); n += 1) {
    made[`key${n}`] = valueOf(schema["additionalProperties"], { ...walk, depth: walk.depth + 1 });
  }
  return made;
}

function arrayOf(schema: JsonObject, walk: Walk): unknown[] {
  const inner = { ...walk, depth: walk.depth + 1 };
  const made = asList(schema["prefixItems"]).map((part) => valueOf(part, inner));
  const wanted = walk.depth < MAX_OPTIONAL_DEPTH ? 1 : 0;
  const least = Number(schema["minItems"] ?? Math.min(wanted, Number(schema["maxItems"] ?? wanted)));
  const choices = asList(asObject(schema["items"])["enum"]);
  while (made.length < least) {
    // Cycling through an enum keeps `uniqueItems` for as long as there are different members.
    made.push(
      choices.length > 0 ? choices[made.length % choices.length] : nth(valueOf(schema["items"], inner), made, schema),
    );
  }
  return made;
}

/** The same value again would break `uniqueItems`, so numbers count on. Strings are left alone: they may have a pattern. */
function nth(value: unknown, before: readonly unknown[], schema: JsonObject): unknown {
  const mustDiffer = schema["uniqueItems"] === true;
  return mustDiffer && typeof value === "number" && before.includes(value) ? value + before.length : value;
}

function numberOf(schema: JsonObject): number {
  const isWhole = typeOf(schema) === "integer";
  const step = typeof schema["multipleOf"] === "number" ? schema["multipleOf"] : undefined;
  const low = bound(schema["minimum"], schema["exclusiveMinimum"], isWhole ? 1 : 0.5);
  const high = bound(schema["maximum"], schema["exclusiveMaximum"], isWhole ? -1 : -0.5);
  let value = 1;
  if (low !== undefined && value < low) value = low;
  if (high !== undefined && value > high) value = low === undefined ? high : middle(low, high, isWhole);
  if (isWhole) value = low !== undefined && value <= low ? Math.ceil(value) : Math.floor(value);
  if (step === undefined) return value;
  return Math.ceil((low ?? Math.min(value, high ?? value)) / step) * step;
}

function middle(low: number, high: number, isWhole: boolean): number {
  return isWhole ? Math.ceil(low) : (low + high) / 2;
}

function bound(inclusive: unknown, exclusive: unknown, margin: number): number | undefined {
  if (typeof exclusive === "number") return exclusive + margin;
  return typeof inclusive === "number" ? inclusive : undefined;
}

function stringOf(schema: JsonObject): string {
  const pattern = schema["pattern"];
  const fitting = typeof pattern === "string" ? exampleOfPattern(pattern) : undefined;
  const text = fitting ?? FORMATS[asText(schema["format"])] ?? "example";
  const padded = text.padEnd(Number(schema["minLength"] ?? 0), text.at(-1) ?? "e");
  return padded.slice(0, Number(schema["maxLength"] ?? padded.length));
}
