import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { wireToolName } from "../../codex/request/tools/wire-names.ts";
import type { ChatRequest } from "./schema.ts";
import { missing, unknownValue, wrongType } from "../refuse.ts";

/** The tool part of a translated request. */
export interface WireTools {
  readonly tools: JsonObject[];
  /** For each tool, where the client defines it. */
  readonly toolPaths: readonly string[];
  readonly toolChoice: unknown;
  readonly parallelToolCalls: boolean | undefined;
  /** True when the client still speaks of `functions`, and is answered with `function_call`. */
  readonly isLegacy: boolean;
  /** Fields that others took the place of: the client's own tools, or today's way to say the same. */
  readonly ignored: readonly string[];
}

/** The client's tools, functions and search wishes as Responses tools. Throws RelayError with the path at fault. */
export function toWireTools(request: ChatRequest): WireTools {
  const isLegacy = usesLegacyFunctions(request);
  const tools = isLegacy
    ? (request.functions ?? []).map((definition, index) => functionTool(definition, `functions[${index}]`))
    : (request.tools ?? []).map(wireTool);
  const search = request.web_search_options;
  // Tools that the client chose itself say what may be used; the option is for clients without any.
  const ignoresSearchOptions = Boolean(search) && tools.length > 0;
  if (search && !ignoresSearchOptions) tools.push(searchTool(search));
  const param = choiceField(request);
  const choice = param === "function_call" ? legacyChoice(request["function_call"]) : request["tool_choice"];
  return {
    tools,
    toolPaths: [
      ...(isLegacy ? [] : (request.tools ?? [])).map((tool, index) => definitionPath(tool, index)),
      ...(isLegacy ? (request.functions ?? []) : []).map((_definition, index) => `functions[${index}]`),
      "web_search_options",
    ],
    toolChoice: wireChoice(choice, tools, param),
    // One function_call is all that a legacy answer has room for.
    parallelToolCalls: tools.length === 0 ? undefined : isLegacy ? false : (request.parallel_tool_calls ?? undefined),
    isLegacy,
    ignored: [
      ...(ignoresSearchOptions ? ["web_search_options"] : []),
      ...(!isLegacy && (request.functions?.length ?? 0) > 0 ? ["functions"] : []),
      ...(param === "tool_choice" && isGiven(request["function_call"]) ? ["function_call"] : []),
    ],
  };
}

/** Most clients define a function in an object of its own. */
function definitionPath(tool: JsonObject, index: number): string {
  const nested = ["function", "custom"].find((kind) => isObject(tool[kind]));
  return `tools[${index}]${nested === undefined ? "" : `.${nested}`}`;
}

export function usesLegacyFunctions(request: ChatRequest): boolean {
  return (request.functions?.length ?? 0) > 0 && (request.tools?.length ?? 0) === 0;
}

/** Backend name → the client's own, for the names that had to change. */
export function renamedTools(request: ChatRequest): Map<string, string> {
  const names = usesLegacyFunctions(request)
    ? (request.functions ?? []).map((definition) => definition.name)
    : (request.tools ?? []).map(toolName);
  const renamed = names.flatMap((name) =>
    name !== undefined && wireToolName(name) !== name ? [[wireToolName(name), name] as const] : [],
  );
  return new Map(renamed);
}

function toolName(tool: JsonObject): string | undefined {
  const nested = tool["type"] === "custom" ? tool["custom"] : tool["function"];
  return nonEmptyString(isObject(nested) ? nested["name"] : tool["name"]);
}

function wireTool(tool: JsonObject, index: number): JsonObject {
  const path = `tools[${index}]`;
  const type = tool["type"] ?? (isObject(tool["function"]) ? "function" : undefined);
  if (type === "function") {
    // Some clients send the flat Responses form on the chat route.
    const { function: nested } = tool;
    return isObject(nested) ? functionTool(nested, `${path}.function`) : functionTool(tool, path);
  }
  if (type === "custom") return customTool(tool, path);
  // Dated and preview names mean the same tool; the backend knows only the plain one.
  if (typeof type === "string" && type.startsWith("web_search")) return searchTool(tool);
  if (type === "image_generation") {
    const { cache_control: _unknownUpstream, ...options } = tool;
    return options;
  }
  if (!isGiven(type)) throw missing(`${path}.type`);
  throw unknownValue(type, "'function', 'custom', 'web_search', and 'image_generation'", `${path}.type`);
}

/**
 * `strict` is always written: where it is left out, Responses makes the schema strict, so that optional arguments
 * become mandatory, while Chat Completions leaves it alone.
 */
function functionTool(definition: JsonObject, path: string): JsonObject {
  const { description, strict } = definition;
  return {
    type: "function",
    name: requiredName(definition, path),
    ...(typeof description === "string" ? { description } : {}),
    parameters: schemaOf(definition["parameters"], path),
    strict: strict === true,
  };
}

/** The schema as the client wrote it; without one the tool has no arguments. */
function schemaOf(parameters: unknown, path: string): JsonObject {
  if (!isGiven(parameters)) return {};
  if (!isObject(parameters)) throw wrongType(`${path}.parameters`, "an object", parameters);
  return parameters;
}

function customTool(tool: JsonObject, path: string): JsonObject {
  const { custom } = tool;
  const isNested = isObject(custom);
  const definition = isNested ? custom : tool;
  const { description, format } = definition;
  return {
    type: "custom",
    name: requiredName(definition, isNested ? `${path}.custom` : path),
    ...(typeof description === "string" ? { description } : {}),
    ...(isObject(format) ? { format: flatFormat(format) } : {}),
  };
}

function flatFormat(format: JsonObject): JsonObject {
  const { grammar } = format;
  if (format["type"] !== "grammar" || !isObject(grammar)) return format;
  return { type: "grammar", syntax: grammar["syntax"], definition: grammar["definition"] };
}

function requiredName(definition: JsonObject, path: string): string {
  const name = nonEmptyString(definition["name"]);
  if (name === undefined) throw missing(`${path}.name`);
  return wireToolName(name);
}

/** What the backend takes beside `type` on its search tool, and what needs no change. */
const SEARCH_OPTIONS = ["search_context_size", "filters", "external_web_access", "search_content_types"] as const;

/** The hosted search, from the client's own tool or from `web_search_options`; both may nest the location. */
function searchTool(options: JsonObject): JsonObject {
  const { user_location: location } = options;
  const place = isObject(location)
    ? isObject(location["approximate"])
      ? location["approximate"]
      : location
    : undefined;
  return {
    type: "web_search",
    ...Object.fromEntries(SEARCH_OPTIONS.flatMap((name) => (isGiven(options[name]) ? [[name, options[name]]] : []))),
    ...(place ? { user_location: { ...place, type: "approximate" } } : {}),
  };
}

/** Which of the two generations of fields says what to call. */
function choiceField(request: ChatRequest): "function_call" | "tool_choice" {
  if (usesLegacyFunctions(request)) return "function_call";
  const isModern = (request.tools?.length ?? 0) > 0 || isGiven(request["tool_choice"]);
  return isModern || !isGiven(request["function_call"]) ? "tool_choice" : "function_call";
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function legacyChoice(choice: unknown): unknown {
  return isObject(choice) ? { type: "function", function: choice } : choice;
}

function wireChoice(choice: unknown, tools: readonly JsonObject[], param: string): unknown {
  const isPlain = !isGiven(choice) || choice === "none" || choice === "auto";
  if (tools.length === 0) {
    if (isPlain) return undefined;
    const lists = param === "tool_choice" ? "tools" : "functions";
    throw new RelayError(
      "invalid_value",
      `Invalid value for '${param}': '${param}' is only allowed when '${lists}' are specified.`,
      { param },
    );
  }
  if (!isGiven(choice)) return "auto";
  if (choice === "none" || choice === "auto" || choice === "required") return choice;
  if (choice === "any") return "required";
  if (isObject(choice)) return namedChoice(choice, tools, param);
  throw unknownValue(choice, "'none', 'auto', and 'required'", param);
}

function namedChoice(choice: JsonObject, tools: readonly JsonObject[], param: string): JsonObject {
  const { type } = choice;
  if (type === "allowed_tools") {
    const allowed = isObject(choice["allowed_tools"]) ? choice["allowed_tools"] : choice;
    const list = Array.isArray(allowed["tools"]) ? (allowed["tools"] as unknown[]) : [];
    return {
      type,
      mode: allowed["mode"] ?? "auto",
      tools: list.map((tool) => knownTool(isObject(tool) ? tool : {}, tools, param)),
    };
  }
  return knownTool(choice, tools, param);
}

/** `{type, name}` of a tool that is in the list. */
function knownTool(choice: JsonObject, tools: readonly JsonObject[], param: string): JsonObject {
  const type = nonEmptyString(choice["type"]) ?? "function";
  if (type !== "function" && type !== "custom") {
    const hosted = type.startsWith("web_search") ? "web_search" : type;
    if (tools.some((tool) => tool["type"] === hosted)) return { type: hosted };
    throw notAmongTools(type, param);
  }
  const nested = choice[type];
  const name = nonEmptyString(isObject(nested) ? nested["name"] : choice["name"]);
  if (name === undefined) throw missing(`${param}.${type}.name`);
  const known = tools.find((tool) => tool["name"] === wireToolName(name) && tool["type"] === type);
  if (!known) throw notAmongTools(name, param);
  return { type, name: known["name"] };
}

function notAmongTools(name: string, param: string): RelayError {
  return new RelayError("invalid_value", `Tool choice '${name.slice(0, 100)}' not found in 'tools' parameter.`, {
    param,
  });
}
