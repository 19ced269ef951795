import { clampEffort, EFFORTS } from "../../codex/models.ts";
import { resolveModel, type ResolvedModel } from "../../codex/model-names.ts";
import { wireToolName } from "../../codex/request/tools/wire-names.ts";
import { codexRequest } from "../../codex/request/build.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import { clientPathOf } from "../client-path.ts";
import { isGiven, unreadFields } from "../unread-fields.ts";
import { toConversation, unreadInside, type Conversation } from "./conversation.ts";
import type { OllamaChatRequest, OllamaGenerateRequest, OllamaRequest, OllamaTool } from "./schema.ts";

/** Fields that are honoured, or ask for what happens anyway. All others are named. */
const READ = new Set([
  "format",
  "images",
  "keep_alive",
  "messages",
  "model",
  "options",
  "prompt",
  "stream",
  "system",
  "think",
  "tools",
]);

/** Fields of this API by their names in the backend's body. */
const FIELDS = { input: "messages", instructions: "system", "reasoning.effort": "think", "text.format": "format" };

/** POST /api/chat as a backend body. */
export function chatToCodex(request: OllamaChatRequest, context: Context): Translation {
  const messages = request.messages ?? [];
  const { instructions, input, origins } = toConversation(messages, context.memory);
  const origin = (item: number) => (origins[item] === undefined ? "messages" : `messages[${origins[item]}]`);
  const tools = request.tools ?? [];
  const parts: Parts = { instructions, input, field: "messages", origin, tools };
  const { body, dropped, changed, ...rest } = translation(request, context, parts);
  const inside = unreadInside(messages);
  return { ...rest, body, dropped: [...dropped, ...inside.dropped], changed: [...changed, ...inside.changed] };
}

/** POST /api/generate as a backend body. */
export function generateToCodex(request: OllamaGenerateRequest, context: Context): Translation {
  const message = { role: "user", content: request.prompt ?? "", images: request.images };
  const { input } = toConversation([message], context.memory);
  const instructions = request.system ?? "";
  return translation(request, context, { instructions, input, field: "prompt", origin: () => "prompt", tools: [] });
}

/** The client's stop sequences; the backend has none, so the relay cuts the text itself. */
export function stopSequences(request: OllamaRequest): string[] {
  const stop = request.options?.stop;
  return [stop ?? []].flat().filter((sequence) => sequence !== "");
}

/** Backend name → the client's own, for the names that had to change. */
export function renamedTools(tools: readonly OllamaTool[]): Map<string, string> {
  return new Map(tools.map(({ function: { name } }) => [wireToolName(name), name]));
}

interface Parts extends Pick<Conversation, "instructions" | "input"> {
  /** The field that the conversation stands in, and where in it an input item comes from. */
  readonly field: "messages" | "prompt";
  readonly origin: (item: number) => string;
  readonly tools: readonly OllamaTool[];
}

function translation(request: OllamaRequest, context: Context, parts: Parts): Translation {
  const model = resolveModel(context, request.model);
  const changed: string[] = [];
  const { effort, isChanged } = effortOf(request.think, model);
  if (isChanged) changed.push("think");
  if (stopSequences(request).length > 0) changed.push("options.stop");
  // The backend refuses any limit: the relay cuts the answer itself.
  if (isLimit(request.options?.["num_predict"])) changed.push("options.num_predict");
  const format = formatOf(request.format);
  const body = codexRequest({
    model: model.slug,
    instructions: parts.instructions === "" ? context.defaultInstructions : parts.instructions,
    input: format?.["type"] === "json_object" ? withJsonWord(parts) : parts.input,
    tools: parts.tools.map(functionTool),
    toolChoice: "auto",
    effort,
    wantsSummary: request.think !== false,
    text: format && { format },
    serviceTier: model.serviceTier,
  });
  const tools = parts.tools.map((_tool, index) => `tools[${index}].function`);
  // Where a word about JSON was put in front, every item stands one place further on.
  const added = body.input.length - parts.input.length;
  const clientPath = clientPathOf({
    input: (item) => (item < added ? "format" : parts.origin(item - added)),
    tools,
    fields: { ...FIELDS, input: parts.field },
  });
  return { body, dropped: droppedFields(request), changed, clientPath };
}

/** Zero and less ask for no limit. */
function isLimit(value: unknown): boolean {
  return isGiven(value) && !(typeof value === "number" && value <= 0);
}

function effortOf(
  think: OllamaRequest["think"],
  model: ResolvedModel,
): { effort: string | undefined; isChanged: boolean } {
  if (typeof think === "string" && !(EFFORTS as readonly string[]).includes(think)) {
    throw new RelayError(
      "invalid_value",
      `invalid think value: "${think.slice(0, 40)}" (must be "high", "medium", "low", "max", true, or false)`,
      { param: "think" },
    );
  }
  const wanted = think === false ? "none" : typeof think === "string" ? think : (model.effort ?? undefined);
  if (wanted === undefined) return { effort: undefined, isChanged: false };
  const effort = clampEffort(wanted, model.info);
  return { effort, isChanged: effort !== wanted };
}

/** `json`, or a schema, as Responses' `text.format`; undefined for plain text. */
export function formatOf(format: OllamaRequest["format"]): JsonObject | undefined {
  if (format === undefined || format === null || format === "") return undefined;
  if (format === "json") return { type: "json_object" };
  if (isObject(format)) return { type: "json_schema", name: "response", schema: format, strict: false };
  throw new RelayError("invalid_value", `invalid format: "${format.slice(0, 40)}"; expected "json" or a JSON schema`, {
    param: "format",
  });
}

/** The backend wants to read of JSON in the conversation itself before it promises JSON; Ollama does not. */
function withJsonWord({ instructions, input }: Parts): InputItem[] {
  if (/json/i.test(JSON.stringify(input, endsOfLongTexts))) return input;
  const text = /json/i.test(instructions) ? instructions : "Answer in JSON.";
  return [{ type: "message", role: "developer", content: [{ type: "input_text", text }] }, ...input];
}

/** Nobody asks for JSON in the middle of a book; and to ask once more than needed does no harm. */
function endsOfLongTexts(_key: string, value: unknown): unknown {
  if (typeof value !== "string" || value.length <= 2 * TELLING) return value;
  return `${value.slice(0, TELLING)} ${value.slice(-TELLING)}`;
}

/** In characters. */
const TELLING = 16 * 1024;

function functionTool({ function: definition }: OllamaTool): JsonObject {
  const { name, description, parameters } = definition;
  return {
    type: "function",
    name: wireToolName(name),
    ...(description ? { description } : {}),
    parameters: parameters ?? {},
    // Left out, the backend would make every argument mandatory.
    strict: false,
  };
}

/** Clients of this API write what is usual as false or empty. */
function saysSomething(value: unknown): boolean {
  return value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);
}

const EMULATED = new Set(["stop", "num_predict"]);

function droppedFields(request: OllamaRequest): string[] {
  const fields = unreadFields(request, READ).filter((name) => saysSomething(request[name]));
  const options = Object.entries(request.options ?? {}).filter(
    ([name, value]) => !EMULATED.has(name) && value !== null,
  );
  return [...fields, ...options.map(([name]) => `options.${name}`)].toSorted();
}
