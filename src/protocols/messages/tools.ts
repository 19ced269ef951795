import { wireToolName } from "../../codex/request/tools/wire-names.ts";
import { textOf } from "../../codex/wire/lenient.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { unreadFields } from "../unread-fields.ts";
import { CLIENT_TOOL_FIELDS, clientToolFunction } from "./client-tools.ts";
import { TOOL_SEARCH, type OfferedTool } from "./offered-tools.ts";
import { fault, missing, unsupported } from "./refuse.ts";
import type { MessagesRequest } from "./schema.ts";

/** The tool part of a translated request. */
export interface WireTools {
  readonly tools: JsonObject[];
  /** For each tool, where the client defines it. */
  readonly toolPaths: readonly string[];
  readonly toolChoice: unknown;
  readonly parallelToolCalls: false | undefined;
  /** What the tools asked for and will not get. */
  readonly dropped: readonly string[];
}

/** Dated and preview names mean the same tool; the backend knows only the plain one. */
const WEB_SEARCH = /^web_search/;

/** The client's tools as Responses tools. Throws RelayError with the path at fault. */
export function toWireTools(request: MessagesRequest, offered: readonly OfferedTool[]): WireTools {
  const made = offered.flatMap(({ tool, path }) => wireTool(tool, path).map((one) => ({ one, path })));
  const tools = made.map(({ one }) => one);
  const dropped = offered.flatMap(({ tool }) => droppedOf(tool));
  return {
    tools,
    toolPaths: made.map(({ path }) => path),
    toolChoice: wireChoice(request, tools),
    parallelToolCalls:
      tools.length > 0 && request.tool_choice?.["disable_parallel_tool_use"] === true ? false : undefined,
    dropped: [...new Set(dropped)],
  };
}

/** Backend name → the client's own, for the names that had to change. */
export function renamedTools(offered: readonly OfferedTool[]): Map<string, string> {
  const names = offered.flatMap(({ tool }) => nonEmptyString(tool["name"]) ?? []);
  return new Map(names.map((name) => [wireToolName(name), name] as const).filter(([wire, name]) => wire !== name));
}

function wireTool(tool: JsonObject, path: string): JsonObject[] {
  const type = tool["type"] ?? "custom";
  if (type === "custom") return [functionTool(tool, path)];
  if (typeof type === "string" && WEB_SEARCH.test(type)) return [searchTool(tool)];
  if (typeof type === "string" && TOOL_SEARCH.test(type)) return [];
  const definition = typeof type === "string" ? clientToolFunction(type, tool) : undefined;
  if (definition) return [{ type: "function", name: nameOf(tool, path), ...definition, strict: false }];
  const named = textOf(type).slice(0, 60);
  throw unsupported(
    `${path}.type`,
    /_toolset_\d+$/.test(named)
      ? `'${named}' is a set of tools that only Anthropic's own models know; define the tools one by one`
      : `'${named}' runs on Anthropic's own machines; here there are tools that the client runs, and web_search`,
  );
}

function functionTool(tool: JsonObject, path: string): JsonObject {
  const name = nameOf(tool, path);
  const schema = tool["input_schema"];
  if (!isObject(schema)) throw missing(`${path}.input_schema`);
  const description = nonEmptyString(tool["description"]);
  return {
    type: "function",
    name,
    ...(description === undefined ? {} : { description }),
    parameters: schema,
    // Left out, it would mean yes upstream and make every optional argument mandatory.
    strict: tool["strict"] === true,
  };
}

function nameOf(tool: JsonObject, path: string): string {
  const name = nonEmptyString(tool["name"]);
  if (name === undefined) throw missing(`${path}.name`);
  return wireToolName(name);
}

function searchTool(tool: JsonObject): JsonObject {
  const { user_location: location, allowed_domains: domains } = tool;
  return {
    type: "web_search",
    ...(Array.isArray(domains) && domains.length > 0 ? { filters: { allowed_domains: domains as unknown[] } } : {}),
    ...(isObject(location) ? { user_location: { ...location, type: "approximate" } } : {}),
  };
}

/** What is read of a tool, by its kind. `eager_input_streaming` asks for what happens anyway. */
const READ_OF_ANY = ["type", "name", "cache_control", "defer_loading"];
const READ_OF_FUNCTION = new Set([...READ_OF_ANY, "description", "eager_input_streaming", "input_schema", "strict"]);
const READ_OF_SEARCH = new Set([...READ_OF_ANY, "allowed_domains", "user_location"]);
const READ_OF_CLIENT_TOOL = new Set([...READ_OF_ANY, ...CLIENT_TOOL_FIELDS]);

function droppedOf(tool: JsonObject): string[] {
  const type = nonEmptyString(tool["type"]) ?? "custom";
  if (TOOL_SEARCH.test(type)) return [`tools.${type.replace(/_\d+$/, "")}`];
  const isSearch = WEB_SEARCH.test(type);
  const read = type === "custom" ? READ_OF_FUNCTION : isSearch ? READ_OF_SEARCH : READ_OF_CLIENT_TOOL;
  return unreadFields(tool, read)
    .filter((name) => tool[name] !== false)
    .map((name) => `tools.${name}`);
}

function wireChoice(request: MessagesRequest, tools: readonly JsonObject[]): unknown {
  const choice = request.tool_choice;
  const type = choice?.type ?? "auto";
  if (type !== "auto" && type !== "none" && type !== "any" && type !== "tool") {
    throw fault("tool_choice.type", "must be auto, any, tool or none");
  }
  if (tools.length === 0) {
    if (type === "any" || type === "tool") throw fault("tool_choice", "needs tools to choose from");
    return undefined;
  }
  if (type === "any") return "required";
  if (type !== "tool") return type;
  const name = nonEmptyString(choice?.["name"]);
  if (name === undefined) throw missing("tool_choice.name");
  const known = tools.find((tool) => tool["name"] === wireToolName(name));
  if (known) return { type: "function", name: known["name"] };
  if (name === "web_search" && tools.some((tool) => tool["type"] === "web_search")) return { type: "web_search" };
  throw fault("tool_choice.name", `'${name.slice(0, 60)}' is not among the tools`);
}
