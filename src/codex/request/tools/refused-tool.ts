import type { RelayError } from "../../../lib/errors.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";

/** A tool with less in it, and what it lost: a keyword, or "" for all but the plainest of its schema. */
export interface SimplerTool {
  readonly tool: JsonObject;
  readonly lost: string;
}

/**
 * The place among `tools` of the one whose schema the backend refused: by its name in the text, else by its place in
 * `param` or the text. Undefined for refusals of something else.
 */
export function refusedTool({ message, param, wireCode }: RelayError, tools: readonly unknown[]): number | undefined {
  const isAboutSchema =
    wireCode === "invalid_function_parameters" || /\bschema\b/i.test(message) || /\.parameters\b/.test(param ?? "");
  if (!isAboutSchema) return undefined;
  const names = new Set([...message.matchAll(/['"`]([A-Za-z0-9_-]+)['"`]/g)].map(([, name]) => name));
  const named = tools.findIndex(
    (tool) => isObject(tool) && tool["type"] === "function" && names.has(String(tool["name"])),
  );
  const [, placed] = /\btools\[(\d+)\]/.exec(`${param ?? ""} ${message}`) ?? [];
  const place = placed === undefined ? -1 : Number(placed);
  const there = tools[place];
  // Where tools were left out on the way, the place is another one's.
  const isThere = isObject(there) && (named < 0 || names.has(String(there["name"])));
  if (isThere) return place;
  return named >= 0 ? named : undefined;
}

/** Without the keyword that the refusal names, else only what every server knows, else no schema at all. */
export function simplerTool(tool: unknown, message: string): SimplerTool | undefined {
  if (!isObject(tool) || tool["type"] !== "function" || !isObject(tool["parameters"])) return undefined;
  const { parameters } = tool;
  const before = JSON.stringify(tool);
  const keyword = namedKeyword(message);
  const steps: (() => SimplerTool)[] = [
    ...(keyword === undefined || NEEDED.has(keyword)
      ? []
      : [() => ({ tool: { ...tool, parameters: pruned(parameters, (name) => name !== keyword) }, lost: keyword })]),
    () => ({ tool: { ...tool, parameters: pruned(parameters, (name) => PLAIN.has(name)), strict: false }, lost: "" }),
    () => ({ tool: { ...tool, parameters: { type: "object", properties: {} }, strict: false }, lost: "" }),
  ];
  return steps.map((step) => step()).find((simpler) => JSON.stringify(simpler.tool) !== before);
}

/** The keyword that a refusal is about, as far as it says so. */
function namedKeyword(message: string): string | undefined {
  if (/is not a '?regex/.test(message)) return "pattern";
  if (/is not a valid format/.test(message)) return "format";
  return /'([A-Za-z$]+)' is not (?:permitted|supported|allowed)/.exec(message)?.[1];
}

const NEEDED = new Set(["type", "properties"]);

const PLAIN = new Set([
  "type",
  "description",
  "properties",
  "required",
  "items",
  "enum",
  "anyOf",
  "additionalProperties",
]);

/** A schema of these keywords only, at every depth. */
function pruned(schema: JsonObject, isKept: (keyword: string) => boolean): JsonObject {
  const kept = Object.entries(schema).flatMap(([keyword, value]) => {
    if (!isKept(keyword)) return [];
    const isNamed = keyword === "properties" || keyword === "$defs" || keyword === "definitions";
    return [[keyword, isNamed && isObject(value) ? prunedNamed(value, isKept) : prunedValue(value, isKept)] as const];
  });
  return Object.fromEntries(kept);
}

function prunedNamed(named: JsonObject, isKept: (keyword: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, prunedValue(schema, isKept)]));
}

function prunedValue(value: unknown, isKept: (keyword: string) => boolean): unknown {
  if (Array.isArray(value)) return value.map((entry: unknown) => prunedValue(entry, isKept));
  return isObject(value) ? pruned(value, isKept) : value;
}
