import { clampEffort } from "../../codex/models.ts";
import { resolveModel, type ResolvedModel } from "../../codex/model-names.ts";
import { wireCallId, wireToolName } from "../../codex/request/tools/wire-names.ts";
import { codexRequest } from "../../codex/request/build.ts";
import type { InputItem } from "../../codex/wire/schema.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import type { OllamaChatRequest, OllamaGenerateRequest, OllamaMessage, OllamaRequest, OllamaTool } from "./schema.ts";

/** Fields of a request that change nothing here. `keep_alive` is true of the backend anyway. */
const DROPPED = ["template", "raw", "context", "suffix", "logprobs", "top_logprobs"] as const;

/** POST /api/chat as a backend body. */
export function chatToCodex(request: OllamaChatRequest, context: Context): Translation {
  const messages = request.messages ?? [];
  const leading = messages.findIndex((message) => message.role !== "system");
  const opening = messages.slice(0, leading < 0 ? messages.length : leading);
  const instructions = opening.map((message) => message.content ?? "").filter((text) => text !== "");
  const input = new Conversation(context).of(messages.slice(opening.length), opening.length);
  return translation(request, context, { instructions: instructions.join("\n\n"), input, tools: request.tools ?? [] });
}

/** POST /api/generate as a backend body. */
export function generateToCodex(request: OllamaGenerateRequest, context: Context): Translation {
  const message = { role: "user", content: request.prompt ?? "", images: request.images };
  const input = new Conversation(context).of([message], 0);
  return translation(request, context, { instructions: request.system ?? "", input, tools: [] });
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

interface Parts {
  readonly instructions: string;
  readonly input: InputItem[];
  readonly tools: readonly OllamaTool[];
}

function translation(request: OllamaRequest, context: Context, parts: Parts): Translation {
  const model = resolveModel(context, request.model);
  const changed: string[] = [];
  const { effort, isChanged } = effortOf(request.think, model);
  if (isChanged) changed.push("think");
  if (stopSequences(request).length > 0) changed.push("options.stop");
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
  return { body, dropped: droppedFields(request), changed };
}

const LEVELS = new Set(["low", "medium", "high"]);

function effortOf(
  think: OllamaRequest["think"],
  model: ResolvedModel,
): { effort: string | undefined; isChanged: boolean } {
  if (typeof think === "string" && !LEVELS.has(think)) {
    throw new RelayError(
      "invalid_value",
      `invalid think value: "${think.slice(0, 40)}" (must be "high", "medium", "low", true, or false)`,
      {
        param: "think",
      },
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

function droppedFields(request: OllamaRequest): string[] {
  const fields = DROPPED.filter((name) => {
    const value = request[name];
    return value !== undefined && value !== null && value !== false && value !== "";
  });
  const options = Object.entries(request.options ?? {}).filter(([name, value]) => name !== "stop" && value !== null);
  return [...fields, ...options.map(([name]) => `options.${name}`)].toSorted();
}

/** Messages as input items. Calls have no ids in older clients, so results find their call by name, else by order. */
class Conversation {
  readonly #context: Context;
  readonly #items: InputItem[] = [];
  #open: { readonly id: string; readonly given: string | undefined; readonly name: string }[] = [];
  #calls = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  of(messages: readonly OllamaMessage[], first: number): InputItem[] {
    messages.forEach((message, index) => this.#add(message, `messages[${first + index}]`));
    if (this.#items.length === 0) this.#message("user", [{ type: "input_text", text: "" }]);
    this.#closeOpen();
    return this.#items;
  }

  #add(message: OllamaMessage, path: string): void {
    if (message.role !== "tool") this.#closeOpen();
    const text = message.content ?? "";
    switch (message.role) {
      case "system":
        if (text !== "") this.#message("developer", [{ type: "input_text", text }]);
        break;
      case "user":
        this.#message("user", parts(message, path));
        break;
      case "assistant":
        if (text !== "") this.#message("assistant", [{ type: "output_text", text }]);
        for (const call of message.tool_calls ?? []) this.#call(call.id, call.function);
        break;
      case "tool":
        this.#result(message, path);
        break;
      default:
        throw new RelayError("invalid_value", `invalid role: "${message.role.slice(0, 40)}"`, {
          param: `${path}.role`,
        });
    }
  }

  #message(role: string, content: JsonObject[]): void {
    if (content.length > 0) this.#items.push({ type: "message", role, content });
  }

  #call(given: string | null | undefined, call: { readonly name: string; readonly arguments?: unknown }): void {
    const id = given ? wireCallId(given) : `call_${this.#calls}`;
    this.#calls += 1;
    const text = typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments ?? {});
    this.#items.push(...this.#context.memory.recall(id));
    this.#items.push({ type: "function_call", call_id: id, name: wireToolName(call.name), arguments: text });
    this.#open.push({ id, given: given ?? undefined, name: call.name });
  }

  #result(message: OllamaMessage, path: string): void {
    const name = message.tool_name ?? message["name"];
    const byId = this.#open.findIndex((call) => call.given !== undefined && call.given === message.tool_call_id);
    const byName = this.#open.findIndex((call) => call.name === name);
    const at = byId >= 0 ? byId : byName >= 0 ? byName : 0;
    const call = this.#open[at];
    if (!call) {
      throw new RelayError("invalid_request", "a tool message must follow the assistant message with its call", {
        param: path,
      });
    }
    this.#open.splice(at, 1);
    const hasImages = (message.images ?? []).length > 0;
    const output = hasImages ? parts(message, path) : (message.content ?? "");
    this.#items.push({ type: "function_call_output", call_id: call.id, output });
  }

  /** Ollama does not insist on results; the backend does. */
  #closeOpen(): void {
    for (const { id } of this.#open) this.#items.push({ type: "function_call_output", call_id: id, output: "" });
    this.#open = [];
  }
}

/** Text and images of a message. */
function parts({ content, images }: OllamaMessage, path: string): JsonObject[] {
  return [
    ...(content ? [{ type: "input_text", text: content }] : []),
    ...(images ?? []).map((data, index) => imagePart(data, `${path}.images[${index}]`)),
  ];
}

/** Beginnings of base64 by kind of image. */
const IMAGES: readonly (readonly [string, string])[] = [
  ["/9j/", "jpeg"],
  ["R0lGOD", "gif"],
  ["UklGR", "webp"],
  ["iVBORw", "png"],
];

function imagePart(data: string, path: string): JsonObject {
  if (data === "") throw new RelayError("invalid_value", "an image is empty", { param: path });
  const kind = IMAGES.find(([start]) => data.startsWith(start))?.[1] ?? "png";
  const url = data.startsWith("data:") ? data : `data:image/${kind};base64,${data}`;
  return { type: "input_image", image_url: url, detail: "auto" };
}
