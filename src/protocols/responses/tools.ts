import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { isGiven } from "../unread-fields.ts";

/** Tools of the public API that the backend does not run (Soju06/codex-lb). */
const NOT_RUN = /^(file_search|code_interpreter|computer_use|computer_use_preview|computer)$/;

/** A tool under the name and in the form that the backend knows. Throws `unsupported_value` for those that it has not. */
export function wireTool(tool: JsonObject, index: number): JsonObject {
  const type = tool["type"];
  if (typeof type === "string" && NOT_RUN.test(type)) {
    throw new RelayError("unsupported_value", `The Codex backend has no tool '${type}'.`, {
      param: `tools[${index}].type`,
      hint: "Leave it out; web_search, image_generation, functions and custom tools are there.",
    });
  }
  return currentTool(withoutEmpty(flat(tool)));
}

/** SDKs print what was left open as null. The tool itself where nothing was. */
function withoutEmpty(tool: JsonObject): JsonObject {
  if (Object.values(tool).every(isGiven)) return tool;
  return Object.fromEntries(Object.entries(tool).filter(([, value]) => isGiven(value)));
}

/** As Chat Completions writes it, in an object of its own; here it stands at the top. */
function flat(tool: JsonObject): JsonObject {
  if (tool["type"] !== "function" || !isObject(tool["function"]) || nonEmptyString(tool["name"])) return tool;
  const { function: definition, ...rest } = tool;
  return { strict: false, ...rest, ...definition };
}

/** The choice speaks of tools by the names that they go upstream under. */
export function wireChoice(choice: unknown): unknown {
  if (!isObject(choice)) return choice;
  const { tools } = choice;
  const allowed = Array.isArray(tools)
    ? { tools: tools.map((tool: unknown) => (isObject(tool) ? currentTool(tool) : tool)) }
    : {};
  return { ...currentTool(choice), ...allowed };
}

/** Dated and preview names mean the same tool; the backend knows only the plain one. */
function currentTool(tool: JsonObject): JsonObject {
  const { type } = tool;
  return typeof type === "string" && type.startsWith("web_search") ? { ...tool, type: "web_search" } : tool;
}
