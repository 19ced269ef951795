import type { JsonObject } from "../lib/json.ts";
import { asList, asObject, asObjects, asText } from "./json.ts";

/** One tool that the client offers, taken out of its namespace. */
export interface OfferedTool {
  /** `function`, `custom`, or the type of a hosted tool. */
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly description: string;
  readonly parameters: JsonObject;
  /** The tool as the client sent it. */
  readonly options: JsonObject;
}

/** What the stand-in knows about a request: the reading that a model would do. */
export interface Conversation {
  readonly model: string;
  readonly effort: string | undefined;
  readonly tools: readonly OfferedTool[];
  readonly messageCount: number;
  readonly imageCount: number;
  readonly fileCount: number;
  /** The user's last words, without what agent programs wrap around them. */
  readonly userText: string;
  /** Texts of the tool outputs that came after the user's last words. */
  readonly outputs: readonly string[];
  /** Rounds of calls since the user's last words; parallel calls are one round. */
  readonly rounds: number;
  /** The working directory that an agent program mentions somewhere. */
  readonly directory: string | undefined;
}

/** Notes that agent programs slip into user messages. They are not what the user asked for. */
const WRAPPED_NOTE =
  /<(system-reminder|environment_context|environment_details|user_instructions|permissions instructions|skills_instructions|collaboration_mode|env|INSTRUCTIONS|multi_agent_mode|recommended_plugins|turn_aborted)>[\s\S]*?<\/\1>/g;

const DIRECTORY = [
  /<cwd>([^<\n]+)<\/cwd>/,
  /(?:primary |current )?working (?:directory|dir)(?: is)?\s*[:=(]?\s*[`"']?((?:\/|[A-Za-z]:\\)[^\s`"')<]*)/i,
  /working in the directory\s*:?\s*[`"']?(\/[^\s`"')<]*)/i,
  /\bcwd\s*[:=]\s*[`"']?(\/[^\s`"')<]*)/i,
];

const CALL_TYPES = new Set(["function_call", "custom_tool_call", "local_shell_call", "tool_search_call"]);

export function readConversation(body: JsonObject): Conversation {
  const items = asObjects(body["input"]);
  const lastUser = items.findLastIndex((item) => item["role"] === "user" && plainText(item) !== "");
  const since = items.slice(lastUser + 1);
  const messages = items.filter((item) => item["role"] !== undefined && item["type"] !== "additional_tools");
  const parts = messages.flatMap((item) => asObjects(item["content"]));
  const isCall = (item: JsonObject | undefined) => CALL_TYPES.has(asText(item?.["type"]));
  const everything = [asText(body["instructions"]), ...messages.map(textOf)].join("\n");
  return {
    model: asText(body["model"]),
    effort: asText(asObject(body["reasoning"])["effort"]) || undefined,
    tools: offeredTools(body),
    messageCount: messages.length,
    imageCount: parts.filter((part) => part["type"] === "input_image").length,
    fileCount: parts.filter((part) => part["type"] === "input_file").length,
    userText: plainText(items[lastUser]),
    outputs: since.filter((item) => asText(item["type"]).endsWith("_output")).map(outputText),
    rounds: since.filter((item, index) => isCall(item) && !isCall(since[index - 1])).length,
    directory: DIRECTORY.map((pattern) => pattern.exec(everything)?.[1]?.trim()).find(Boolean),
  };
}

/** Tools of the request, also those of a Responses-Lite envelope, where hosted ones do nothing. */
export function offeredTools(body: JsonObject): OfferedTool[] {
  const lite = asObjects(body["input"])
    .filter((item) => item["type"] === "additional_tools")
    .flatMap((item) => flattenTools(asList(item["tools"]), undefined))
    .filter((tool) => tool.kind !== "web_search" && tool.kind !== "image_generation");
  return [...flattenTools(asList(body["tools"]), undefined), ...lite];
}

function flattenTools(tools: readonly unknown[], namespace: string | undefined): OfferedTool[] {
  return asObjects(tools).flatMap((tool) => {
    const kind = asText(tool["type"]);
    const name = asText(tool["name"]);
    if (kind === "namespace") return flattenTools(asList(tool["tools"]), name);
    return [
      {
        kind,
        name: name || kind,
        namespace,
        description: asText(tool["description"]),
        parameters: asObject(tool["parameters"]),
        options: tool,
      },
    ];
  });
}

function plainText(item: JsonObject | undefined): string {
  if (!item) return "";
  const text = textOf(item).replaceAll(WRAPPED_NOTE, "").trim();
  // The Codex CLI sends the project's notes for agents as a message of the user.
  return text.startsWith("# AGENTS.md") ? "" : text;
}

function textOf(item: JsonObject): string {
  if (typeof item["content"] === "string") return item["content"];
  return asObjects(item["content"])
    .map((part) => asText(part["text"]))
    .join("\n");
}

function outputText(item: JsonObject): string {
  if (typeof item["output"] === "string") return item["output"];
  const parts = asObjects(item["output"]).map((part) => asText(part["text"]) || `[${asText(part["type"])}]`);
  return parts.length > 0 ? parts.join("\n") : JSON.stringify(item["tools"] ?? item["output"] ?? "");
}
