import { isObject, type JsonObject } from "../../../lib/json.ts";
import { repairStrict } from "../tools/strict-tool.ts";
import { fitsKeyword, HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, isSchema } from "./keywords.ts";
import { plainRoot } from "./root.ts";

/** A tool as more backends take it, and the paths inside it of what changed. */
interface RepairedTool {
  readonly tool: unknown;
  readonly changed: readonly string[];
}

/** True where a repair left something out, rather than only saying it in another way. */
export function losesRules(changed: readonly string[]): boolean {
  return changed.some((path) => !path.endsWith("parameters"));
}

/** Deeper schemas stay as they are: no model follows them, and no server takes them. */
const DEEPEST = 64;

/**
 * A tool without what some models of the backend refuse in its schema: choices and references at its top, keywords with
 * values that are none, and what strict mode does not know. Choices lose no branch; a tool without a fault stays the
 * very same object.
 */
export function repairTool(tool: unknown): RepairedTool {
  if (!isObject(tool)) return { tool, changed: [] };
  if (tool["type"] === "namespace" && Array.isArray(tool["tools"])) return repairNamespace(tool, tool["tools"]);
  const { parameters } = tool;
  if (tool["type"] !== "function" || !isObject(parameters)) return { tool, changed: [] };
  const changed: string[] = [];
  const plain = plainRoot(parameters);
  if (plain !== parameters) changed.push("parameters");
  const sound = repairSchema(plain, "parameters", changed, 0);
  const repaired = sound === parameters ? tool : { ...tool, parameters: sound };
  const result = repaired["strict"] === true && isObject(sound) ? repairStrict(repaired, sound, changed) : repaired;
  return { tool: result, changed };
}

function repairNamespace(tool: JsonObject, inner: readonly unknown[]): RepairedTool {
  const repaired = inner.map((entry) => repairTool(entry));
  const changed = repaired.flatMap((entry, index) => entry.changed.map((path) => `tools[${index}].${path}`));
  return changed.length === 0
    ? { tool, changed }
    : { tool: { ...tool, tools: repaired.map((entry) => entry.tool) }, changed };
}

function repairSchema(schema: unknown, at: string, changed: string[], depth: number): unknown {
  if (!isObject(schema) || depth > DEEPEST) return schema;
  const changes: JsonObject = {};
  for (const [keyword, value] of Object.entries(schema)) {
    const repaired = repairKeyword(keyword, value, `${at}.${keyword}`, changed, depth);
    if (repaired !== value) changes[keyword] = repaired;
  }
  if (isList(schema) && { ...schema, ...changes }["items"] === undefined) {
    // Else it was there, is no schema and has been noted.
    if (!("items" in changes)) changed.push(`${at}.items`);
    changes["items"] = {};
  }
  if (Object.keys(changes).length === 0) return schema;
  return Object.fromEntries(Object.entries({ ...schema, ...changes }).filter(([, value]) => value !== undefined));
}

function isList({ type }: JsonObject): boolean {
  return type === "array" || (Array.isArray(type) && type.includes("array"));
}

/** The value itself where nothing is wrong with it; undefined where it has to go. */
function repairKeyword(keyword: string, value: unknown, at: string, changed: string[], depth: number): unknown {
  // One schema for each place, as it was written before 2020: now one for all places.
  if (keyword === "items" && Array.isArray(value)) {
    changed.push(at);
    const places = value.filter(isSchema).map((place) => repairSchema(place, at, changed, depth + 1));
    return places.length === 0 ? {} : { anyOf: places };
  }
  if (!fitsKeyword(keyword, value)) {
    changed.push(at);
    return undefined;
  }
  if (HOLDS_ONE.some((name) => name === keyword)) return repairSchema(value, at, changed, depth + 1);
  if (HOLDS_LIST.some((name) => name === keyword) && Array.isArray(value)) return repairList(value, at, changed, depth);
  const isNamed = HOLDS_NAMED.some((name) => name === keyword) && isObject(value);
  return isNamed ? repairNamed(value, at, changed, depth) : value;
}

function repairList(list: unknown[], at: string, changed: string[], depth: number): unknown[] {
  const whole = list.map((schema, index) => repairSchema(schema, `${at}[${index}]`, changed, depth + 1));
  return whole.every((schema, index) => schema === list[index]) ? list : whole;
}

function repairNamed(named: JsonObject, at: string, changed: string[], depth: number): JsonObject {
  const whole = Object.entries(named).map(([name, schema]) => {
    if (isSchema(schema)) return [name, repairSchema(schema, `${at}.${name}`, changed, depth + 1)] as const;
    changed.push(`${at}.${name}`);
    return [name, {}] as const;
  });
  return whole.every(([name, schema]) => schema === named[name]) ? named : Object.fromEntries(whole);
}
