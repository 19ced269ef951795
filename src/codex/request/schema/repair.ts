import { isObject, nonEmptyString, type JsonObject } from "../../../lib/json.ts";
import { fitsKeyword, HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, isSchema } from "./keywords.ts";
import { mendStrict } from "../tools/strict-tool.ts";

/** Tools that the backend takes, and the paths of what had to give in them. */
export interface MendedTools {
  readonly tools: unknown[];
  readonly mended: readonly string[];
}

/** Deeper schemas stay as they are: no model follows them, and no server takes them. */
const DEEPEST = 64;

/**
 * One keyword that the backend does not take has it refuse the whole request, whichever of fifty tools has it. So it
 * goes, from that tool alone. Tools without a fault stay the very same objects.
 */
export function repairTools(tools: readonly unknown[], at = "tools"): MendedTools {
  const mended: string[] = [];
  const whole = tools.map((tool, index) => mendTool(tool, `${at}[${index}]`, mended));
  return { tools: whole, mended };
}

function mendTool(tool: unknown, at: string, mended: string[]): unknown {
  if (!isObject(tool)) return tool;
  if (tool["type"] === "namespace" && Array.isArray(tool["tools"])) {
    const inner = repairTools(tool["tools"], `${at}.tools`);
    mended.push(...inner.mended);
    return inner.mended.length === 0 ? tool : { ...tool, tools: inner.tools };
  }
  const { parameters } = tool;
  if (tool["type"] !== "function" || !isObject(parameters)) return tool;
  const path = `${at}.parameters`;
  const sound = mendSchema(mendTop(parameters, path, mended), path, mended, 0);
  const flat = sound === parameters ? tool : { ...tool, parameters: sound };
  return flat["strict"] === true && isObject(sound) ? mendStrict(flat, sound, at, mended) : flat;
}

/** At the top there must be an object, and no choice between several. */
const NOT_AT_TOP = ["anyOf", "oneOf", "allOf", "enum", "const", "not", "$ref"] as const;

function mendTop(schema: JsonObject, at: string, mended: string[]): JsonObject {
  const refused = NOT_AT_TOP.filter((keyword) => schema[keyword] !== undefined);
  const isObjectType = schema["type"] === "object";
  if (refused.length === 0 && isObjectType) return schema;
  mended.push(...refused.map((keyword) => `${at}.${keyword}`));
  if (!isObjectType) mended.push(`${at}.type`);
  const rest = Object.fromEntries(
    Object.entries(schema).filter(([key]) => !refused.some((keyword) => keyword === key)),
  );
  return { ...rest, type: "object", ...union(schema) };
}

/** The properties of all branches; asked for are only those that every branch asks for. */
function union(schema: JsonObject): JsonObject {
  const branches = [...listIn(schema, "anyOf"), ...listIn(schema, "oneOf")];
  const always = [schema, referred(schema), ...listIn(schema, "allOf")];
  // The first to name a property has the say.
  const properties = [...always, ...branches].toReversed().flatMap((branch) => Object.entries(propertiesOf(branch)));
  const shared = branches
    .map(requiredOf)
    .reduce<string[] | undefined>(
      (names, more) => (names ? names.filter((name) => more.includes(name)) : more),
      undefined,
    );
  const required = [...new Set([...always.flatMap(requiredOf), ...(shared ?? [])])];
  return { properties: Object.fromEntries(properties), ...(required.length > 0 ? { required } : {}) };
}

function propertiesOf(schema: JsonObject): JsonObject {
  return isObject(schema["properties"]) ? schema["properties"] : {};
}

function requiredOf({ required }: JsonObject): string[] {
  return Array.isArray(required) ? required.filter((name) => typeof name === "string") : [];
}

function listIn(schema: JsonObject, keyword: string): JsonObject[] {
  const list = schema[keyword];
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** What `$ref` stands for, as generators of schemas write it. */
function referred(schema: JsonObject): JsonObject {
  const [, group = "", name = ""] =
    /^#\/(\$defs|definitions)\/([^/]+)$/.exec(nonEmptyString(schema["$ref"]) ?? "") ?? [];
  const definitions = schema[group];
  const found = isObject(definitions) && Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  return isObject(found) ? found : {};
}

function mendSchema(schema: unknown, at: string, mended: string[], depth: number): unknown {
  if (!isObject(schema) || depth > DEEPEST) return schema;
  const changes: JsonObject = {};
  for (const [keyword, value] of Object.entries(schema)) {
    const mendedValue = mendKeyword(keyword, value, `${at}.${keyword}`, mended, depth);
    if (mendedValue !== value) changes[keyword] = mendedValue;
  }
  if (isList(schema) && { ...schema, ...changes }["items"] === undefined) {
    // Else it was there, is no schema and has been noted.
    if (!("items" in changes)) mended.push(`${at}.items`);
    changes["items"] = {};
  }
  if (Object.keys(changes).length === 0) return schema;
  return Object.fromEntries(Object.entries({ ...schema, ...changes }).filter(([, value]) => value !== undefined));
}

function isList({ type }: JsonObject): boolean {
  return type === "array" || (Array.isArray(type) && type.includes("array"));
}

/** The value itself where nothing is wrong with it; undefined where it has to go. */
function mendKeyword(keyword: string, value: unknown, at: string, mended: string[], depth: number): unknown {
  // One schema for each place, as it was written before 2020: now one for all places.
  if (keyword === "items" && Array.isArray(value)) {
    mended.push(at);
    const places = value.filter(isSchema).map((place) => mendSchema(place, at, mended, depth + 1));
    return places.length === 0 ? {} : { anyOf: places };
  }
  if (!fitsKeyword(keyword, value)) {
    mended.push(at);
    return undefined;
  }
  if (HOLDS_ONE.some((name) => name === keyword)) return mendSchema(value, at, mended, depth + 1);
  if (HOLDS_LIST.some((name) => name === keyword)) return mendList(value as unknown[], at, mended, depth);
  return HOLDS_NAMED.some((name) => name === keyword) ? mendNamed(value as JsonObject, at, mended, depth) : value;
}

function mendList(list: unknown[], at: string, mended: string[], depth: number): unknown[] {
  const whole = list.map((schema, index) => mendSchema(schema, `${at}[${index}]`, mended, depth + 1));
  return whole.every((schema, index) => schema === list[index]) ? list : whole;
}

function mendNamed(named: JsonObject, at: string, mended: string[], depth: number): JsonObject {
  const whole = Object.entries(named).map(([name, schema]) => {
    if (isSchema(schema)) return [name, mendSchema(schema, `${at}.${name}`, mended, depth + 1)] as const;
    mended.push(`${at}.${name}`);
    return [name, {}] as const;
  });
  return whole.every(([name, schema]) => schema === named[name]) ? named : Object.fromEntries(whole);
}
