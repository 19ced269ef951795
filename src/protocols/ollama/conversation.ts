import type { InputItem } from "../../codex/wire/request.ts";
import { wireCallId, wireToolName } from "../../codex/request/tools/wire-names.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Context } from "../protocol.ts";
import type { Place } from "../place.ts";
import type { OllamaMessage } from "./schema.ts";

/** A conversation as the backend takes it. */
export interface Conversation {
  /** Text of the system messages that open it; "" when none do. */
  readonly instructions: string;
  readonly input: InputItem[];
  /** For each input item, the place of the message that it comes from, counted from 0; undefined for one of no message. */
  readonly origins: readonly (number | undefined)[];
}

/** Roles of neighbouring APIs. Ollama takes any role in any case; those that say nothing here speak as the user. */
const ROLES: Readonly<Record<string, string>> = {
  system: "system",
  developer: "system",
  assistant: "assistant",
  model: "assistant",
  tool: "tool",
  function: "tool",
};

function roleOf({ role }: OllamaMessage): string {
  const name = (role ?? "").trim().toLowerCase();
  return Object.hasOwn(ROLES, name) ? (ROLES[name] ?? "user") : "user";
}

/** Where messages say first what the model is not told: images of others than users and tools, and earlier thoughts. */
export function unreadInside(messages: readonly OllamaMessage[]): {
  readonly dropped: string[];
  readonly changed: string[];
} {
  const pictured = messages.findIndex((message) => (message.images ?? []).length > 0 && !takesImages(roleOf(message)));
  // Of the relay's own answers it has kept what means something to the backend.
  const thought = messages.findIndex((message) => Boolean(message.thinking) && roleOf(message) === "assistant");
  return {
    dropped: pictured < 0 ? [] : [`messages[${pictured}].images`],
    changed: thought < 0 ? [] : [`messages[${thought}].thinking`],
  };
}

function takesImages(role: string): boolean {
  return role === "user" || role === "tool";
}

/** Messages as instructions and input items. */
export function toConversation(messages: readonly OllamaMessage[], memory: Context["memory"]): Conversation {
  const leading = messages.findIndex((message) => roleOf(message) !== "system");
  const opening = messages.slice(0, leading < 0 ? messages.length : leading);
  const translator = new ItemTranslator(memory);
  messages.forEach((message, index) => {
    if (index >= opening.length) translator.add(message, index);
  });
  const texts = opening.map((message) => message.content ?? "").filter((text) => text !== "");
  return { instructions: texts.join("\n\n"), ...translator.finish() };
}

interface OpenCall {
  readonly id: string;
  /** As the client gave it; older clients give none. */
  readonly given: string | undefined;
  readonly name: string;
}

/**
 * Walks the messages once. Ollama asks for no order: a result may come late, twice or without its call, and a call may
 * have none; the backend wants exactly one for each.
 */
class ItemTranslator {
  readonly #memory: Context["memory"];
  readonly #items: InputItem[] = [];
  readonly #origins: number[] = [];
  #open: OpenCall[] = [];
  #calls = 0;

  constructor(memory: Context["memory"]) {
    this.#memory = memory;
  }

  add(message: OllamaMessage, index: number): void {
    const text = message.content ?? "";
    switch (roleOf(message)) {
      case "system":
        if (text !== "") this.#message("developer", [{ type: "input_text", text }]);
        break;
      case "assistant":
        if (text !== "") this.#message("assistant", [{ type: "output_text", text }]);
        for (const call of message.tool_calls ?? []) this.#call(call.id, call.function);
        break;
      case "tool":
        this.#result(message, index);
        break;
      default:
        this.#message("user", parts(message, index));
    }
    while (this.#origins.length < this.#items.length) this.#origins.push(index);
  }

  /** The items; an empty conversation still asks something, and a call without a result gets an empty one. */
  finish(): Pick<Conversation, "input" | "origins"> {
    if (this.#items.length === 0) this.#message("user", [{ type: "input_text", text: "" }]);
    if (this.#open.length === 0) return { input: this.#items, origins: this.#origins };
    const open = new Set(this.#open.map(({ id }) => id));
    const input: InputItem[] = [];
    const origins: (number | undefined)[] = [];
    this.#items.forEach((item, index) => {
      const origin = this.#origins[index];
      input.push(item);
      origins.push(origin);
      if (item.type !== "function_call" || !open.has(String(item["call_id"]))) return;
      input.push({ type: "function_call_output", call_id: item["call_id"], output: "" });
      origins.push(origin);
    });
    return { input, origins };
  }

  #message(role: string, content: JsonObject[]): void {
    if (content.length > 0) this.#items.push({ type: "message", role, content });
  }

  #call(given: string | null | undefined, call: { readonly name: string; readonly arguments?: unknown }): void {
    const id = given ? wireCallId(given) : `call_${this.#calls}`;
    this.#calls += 1;
    const text = typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments ?? {});
    this.#items.push(...this.#memory.recall(id));
    this.#items.push({ type: "function_call", call_id: id, name: wireToolName(call.name), arguments: text });
    this.#open.push({ id, given: given ?? undefined, name: call.name });
  }

  #result(message: OllamaMessage, index: number): void {
    const name = message.tool_name ?? (typeof message["name"] === "string" ? message["name"] : undefined);
    const call = this.#callOf(message.tool_call_id, name);
    if (!call) {
      // Nothing is lost, and the model is told what it is.
      const heading = name ? `Result of the tool ${name}:` : "Result of a tool:";
      this.#message("user", [{ type: "input_text", text: heading }, ...parts(message, index)]);
      return;
    }
    const hasImages = (message.images ?? []).length > 0;
    const output = hasImages ? parts(message, index) : (message.content ?? "");
    this.#items.push({ type: "function_call_output", call_id: call.id, output });
  }

  /** The open call that a result belongs to: by id, by name, or the oldest one for a result that says neither. */
  #callOf(id: string | null | undefined, name: string | undefined): OpenCall | undefined {
    const byId = this.#open.find(({ given }) => given !== undefined && given === id);
    const call = byId ?? this.#open.find((open) => name === undefined || name === "" || open.name === name);
    this.#open = this.#open.filter((open) => open !== call);
    return call;
  }
}

/** Text and images of the message that stands at `index`. */
function parts({ content, images }: OllamaMessage, index: number): JsonObject[] {
  const found: JsonObject[] = content ? [{ type: "input_text", text: content }] : [];
  images?.forEach((data, at) => found.push(imagePart(data, () => `messages[${index}].images[${at}]`)));
  return found;
}

/** Beginnings of base64 by kind of image. */
const IMAGES: readonly (readonly [string, string])[] = [
  ["/9j/", "jpeg"],
  ["R0lGOD", "gif"],
  ["UklGR", "webp"],
  ["iVBORw", "png"],
];

function imagePart(data: string, at: Place): JsonObject {
  if (data === "") throw new RelayError("invalid_value", "an image is empty", { param: at() });
  const kind = IMAGES.find(([start]) => data.startsWith(start))?.[1] ?? "png";
  const url = data.startsWith("data:") ? data : `data:image/${kind};base64,${data}`;
  return { type: "input_image", image_url: url, detail: "auto" };
}
