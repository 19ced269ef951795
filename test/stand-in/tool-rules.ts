import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { offeredTools, type OfferedTool } from "../../src/demo/conversation.ts";
import { asObject, asObjects, asText } from "../../src/demo/json.ts";
import { firstRefusal, missing, refuse, refuseParam, type Refusal, wrongType, wrongValue } from "./refusal.ts";
import { schemaFault } from "./schema-fault.ts";
import { strictSchemaFault } from "./strict-schema.ts";
import { USUAL_VIEWS, type Views } from "./views.ts";

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const NAMED = ["function", "custom", "namespace"];
const HOSTED = ["web_search", "image_generation", "local_shell", "tool_search"];

/** Every rule about a list of tools; `at` is where it stands in the body. */
export function refuseTools(
  tools: unknown,
  at: string,
  views: Pick<Views, "schemas"> = USUAL_VIEWS,
): Refusal | undefined {
  if (tools === undefined) return undefined;
  if (!Array.isArray(tools)) return wrongType(at, "an array of objects");
  return firstRefusal(tools as unknown[], (tool, index) => refuseTool(tool, `${at}[${index}]`, views));
}

function refuseTool(tool: unknown, at: string, views: Pick<Views, "schemas">): Refusal | undefined {
  if (!isObject(tool)) return wrongType(at, "an object");
  const type = asText(tool["type"]);
  if (type === "") return missing(`${at}.type`);
  if (HOSTED.includes(type)) return undefined;
  if (!NAMED.includes(type)) return refuse(`Unsupported tool type: ${type}`);
  if (tool["name"] === undefined) return missing(`${at}.name`);
  if (!NAME.test(asText(tool["name"]))) {
    const message =
      `Invalid '${at}.name': string does not match pattern. ` +
      "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.";
    return refuseParam(message, `${at}.name`, "invalid_value");
  }
  if (type === "namespace") return refuseTools(tool["tools"], `${at}.tools`, views);
  return type === "function" ? refuseFunction(tool, at, views) : refuseFormat(tool["format"], `${at}.format`);
}

function refuseFunction(tool: JsonObject, at: string, views: Pick<Views, "schemas">): Refusal | undefined {
  const { parameters, strict } = tool;
  if (strict !== undefined && strict !== null && typeof strict !== "boolean") {
    return wrongType(`${at}.strict`, "a boolean");
  }
  if (parameters === undefined || parameters === null) return undefined;
  if (!isObject(parameters)) return wrongType(`${at}.parameters`, "an object");
  const fault = schemaFault(parameters, views.schemas) ?? (strict === true ? strictSchemaFault(parameters) : undefined);
  if (fault === undefined) return undefined;
  const message = `Invalid schema for function '${asText(tool["name"])}': ${fault}`;
  return refuseParam(message, `${at}.parameters`, "invalid_function_parameters");
}

/** The input language of a custom tool: free text, or a grammar in one of two syntaxes. */
function refuseFormat(format: unknown, at: string): Refusal | undefined {
  if (format === undefined || format === null) return undefined;
  if (!isObject(format)) return wrongType(at, "an object");
  if (format["type"] === "text") return undefined;
  if (format["type"] !== "grammar") return wrongValue(`${at}.type`, format["type"], ["text", "grammar"]);
  if (!["lark", "regex"].includes(asText(format["syntax"]))) {
    return wrongValue(`${at}.syntax`, format["syntax"], ["lark", "regex"]);
  }
  return asText(format["definition"]) === "" ? missing(`${at}.definition`) : undefined;
}

const MODES = ["none", "auto", "required"];

/** `tool_choice` must be a mode, or name a tool that the request brings. */
export function refuseToolChoice(body: JsonObject, isLite: boolean): Refusal | undefined {
  const choice = body["tool_choice"];
  if (choice === undefined) return undefined;
  const tools = offeredTools(body);
  if (typeof choice === "string") {
    if (!MODES.includes(choice)) return wrongValue("tool_choice", choice, MODES);
    if (choice !== "required" || tools.length > 0) return undefined;
    const message = "Tool choice 'required' must be specified with 'tools' parameter.";
    return refuseParam(message, "tool_choice", "invalid_value");
  }
  if (!isObject(choice)) return wrongType("tool_choice", "a string or an object");
  if (choice["type"] === "allowed_tools") {
    if (!["auto", "required"].includes(asText(choice["mode"]))) {
      return wrongValue("tool_choice.mode", choice["mode"], ["auto", "required"]);
    }
    return firstRefusal(asObjects(choice["tools"]), (tool, index) =>
      refuseChosen(tool, tools, `tool_choice.tools[${index}]`),
    );
  }
  if (isLite && HOSTED.includes(asText(choice["type"]))) {
    const message = `Tool choice '${asText(choice["type"])}' is not supported when using X-OpenAI-Internal-Codex-Responses-Lite.`;
    return refuseParam(message, "tool_choice", "unsupported_value");
  }
  return refuseChosen(choice, tools, "tool_choice");
}

function refuseChosen(choice: JsonObject, tools: readonly OfferedTool[], at: string): Refusal | undefined {
  const type = asText(choice["type"]);
  const isNamed = type === "function" || type === "custom";
  if (!isNamed && !HOSTED.includes(type)) return wrongValue(`${at}.type`, type, ["function", "custom", ...HOSTED]);
  if (isNamed && choice["name"] === undefined) return missing(`${at}.name`);
  const isKnown = tools.some((tool) => tool.kind === type && (!isNamed || tool.name === choice["name"]));
  if (isKnown) return undefined;
  const message = `Tool choice '${asText(choice["name"]) || type}' not found in 'tools' parameter.`;
  return refuseParam(message, at, "invalid_value");
}

/** Rules about `text`: verbosity and the format of structured answers. */
export function refuseTextOptions(body: JsonObject): Refusal | undefined {
  const text = body["text"];
  if (text === undefined) return undefined;
  if (!isObject(text)) return wrongType("text", "an object");
  const stranger = Object.keys(text).find((key) => key !== "format" && key !== "verbosity");
  if (stranger !== undefined) return refuse(`Unsupported parameter: text.${stranger}`);
  const levels = ["low", "medium", "high"];
  if (text["verbosity"] !== undefined && !levels.includes(asText(text["verbosity"]))) {
    return wrongValue("text.verbosity", text["verbosity"], levels);
  }
  return text["format"] === undefined ? undefined : refuseAnswerFormat(asObject(text["format"]), body);
}

function refuseAnswerFormat(format: JsonObject, body: JsonObject): Refusal | undefined {
  const types = ["text", "json_object", "json_schema"];
  const type = asText(format["type"]);
  if (!types.includes(type)) return wrongValue("text.format.type", format["type"], types);
  if (type === "json_object" && !/json/i.test(JSON.stringify(body["input"]))) {
    const message =
      "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.";
    return refuseParam(message, "input");
  }
  if (type !== "json_schema") return undefined;
  if (format["name"] === undefined) return missing("text.format.name");
  if (!NAME.test(asText(format["name"]))) {
    return refuseParam(
      "Invalid 'text.format.name': string does not match pattern.",
      "text.format.name",
      "invalid_value",
    );
  }
  if (!isObject(format["schema"])) return missing("text.format.schema");
  const fault = format["strict"] === true ? strictSchemaFault(format["schema"]) : undefined;
  if (fault === undefined) return undefined;
  const message = `Invalid schema for response_format '${asText(format["name"])}': ${fault}`;
  return refuseParam(message, "text.format.schema", "invalid_json_schema");
}
