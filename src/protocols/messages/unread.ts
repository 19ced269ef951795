import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { Place } from "../place.ts";
import { isGiven } from "../unread-fields.ts";
import type { ClientMessage, MessagesRequest } from "./schema.ts";
import { unseal } from "./thinking.ts";

/** What a request says inside its fields and nobody reads, by the place where it says so first. */
export interface UnreadInside {
  /** Of the question: it has no effect. */
  readonly dropped: readonly string[];
  /** Of earlier answers, as their clients replay them, and what happens anyway. */
  readonly changed: readonly string[];
}

/** What is read of each kind of block. Assistants' blocks of other kinds are left out whole. */
const BLOCKS: Readonly<Record<string, readonly string[]>> = {
  text: ["text", "citations"],
  image: ["source"],
  document: ["source", "title", "context", "citations"],
  search_result: ["source", "title", "content", "citations"],
  tool_use: ["id", "name", "input", "caller"],
  tool_result: ["tool_use_id", "content", "is_error"],
  tool_reference: ["tool_name"],
  thinking: ["thinking", "signature"],
  redacted_thinking: ["data"],
  compaction: ["content", "tool_changes"],
  tool_addition: ["tool"],
  tool_removal: ["tool"],
  output_config: ["output_config", "effort"],
};

const READ_BLOCKS = new Map(
  Object.entries(BLOCKS).map(([type, fields]) => [type, new Set(["type", "cache_control", ...fields])] as const),
);

/** Blocks that hold a list of others, and the field that it stands in. */
const LISTS: Readonly<Record<string, string>> = {
  tool_result: "content",
  search_result: "content",
  compaction: "tool_changes",
};

/** What is read of fields that hold several others. */
const READ_INSIDE = {
  output_config: new Set(["effort", "format"]),
  thinking: new Set(["type", "budget_tokens", "display"]),
  tool_choice: new Set(["type", "name", "disable_parallel_tool_use"]),
};

/** Names of what a request says in its messages, its system text and its smaller fields to no effect. */
export function unreadInside(request: MessagesRequest): UnreadInside {
  return new Reading(request).names();
}

class Reading {
  /** By field, or by kind of block. */
  readonly #dropped = new Map<string, string>();
  readonly #changed = new Map<string, string>();

  constructor(request: MessagesRequest) {
    // The backend caches what conversations begin with by itself.
    if (isGiven(request["cache_control"])) this.#cached();
    this.#blocks(request.system, () => "system", false);
    request.messages.forEach((message, index) => this.#message(message, index));
    for (const name of ["output_config", "thinking", "tool_choice"] as const) {
      this.#fields(request[name], READ_INSIDE[name], () => name);
    }
    // Thoughts are shown as they come, which is one way to hear of them.
    if (request.thinking?.display === "updates") this.#changed.set("display", "thinking.display");
    if (request.tools?.some((tool) => isGiven(tool["cache_control"]))) this.#cached();
  }

  names(): UnreadInside {
    return { dropped: [...this.#dropped.values()], changed: [...this.#changed.values()] };
  }

  #cached(): void {
    this.#changed.set("cache_control", "cache_control");
  }

  #message(message: ClientMessage, index: number): void {
    const { role, content } = message;
    if (Array.isArray(content)) this.#blocks(content, () => `messages.${index}.content`, role === "assistant");
    for (const name in message) {
      if (name === "role" || name === "content") continue;
      this.#messageField(name, message[name], () => `messages.${index}.${name}`);
    }
  }

  #messageField(name: string, value: unknown, at: Place): void {
    if (name === "output_config") this.#fields(value, READ_INSIDE.output_config, at);
    // All messages stay.
    else if (saysSomething(value) && !(name === "clear_at" && value === "never")) note(this.#dropped, name, at);
  }

  #blocks(content: unknown, at: Place, isAnswer: boolean): void {
    if (!Array.isArray(content)) return;
    content.forEach((block: unknown, index) => {
      if (isObject(block)) this.#block(block, () => `${at()}.${index}`, isAnswer);
    });
  }

  #block(block: JsonObject, at: Place, isAnswer: boolean): void {
    if (isGiven(block["cache_control"])) this.#cached();
    const type = nonEmptyString(block["type"]) ?? "";
    const read = READ_BLOCKS.get(type);
    if (!read || isForeign(block)) {
      note(isAnswer ? this.#changed : this.#dropped, type, at);
      return;
    }
    this.#fields(block, read, at, isAnswer);
    const list = LISTS[type];
    if (list !== undefined) this.#blocks(block[list], () => `${at()}.${list}`, isAnswer);
    const { source } = block;
    if (isObject(source)) this.#blocks(source["content"], () => `${at()}.source.content`, isAnswer);
  }

  #fields(fields: unknown, read: ReadonlySet<string>, at: Place, isAnswer = false): void {
    if (!isObject(fields)) return;
    for (const name in fields) {
      if (read.has(name) || !saysSomething(fields[name])) continue;
      note(isAnswer ? this.#changed : this.#dropped, name, () => `${at()}.${name}`);
    }
  }
}

/** Thoughts of another model, calls that a program of its service made, and tools of servers that nobody calls here. */
function isForeign({ type, signature, data, caller, tool }: JsonObject): boolean {
  if (type === "thinking") return unseal(signature) === undefined;
  if (type === "redacted_thinking") return unseal(data) === undefined;
  if (type === "tool_use") return isObject(caller) && caller["type"] !== "direct";
  return isObject(tool) && String(tool["type"]).startsWith("mcp_");
}

/** Each name once: conversations repeat themselves. */
function note(names: Map<string, string>, name: string, at: Place): void {
  if (!names.has(name)) names.set(name, at());
}

/** Clients write what is usual as null, false or empty. */
function saysSomething(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return isGiven(value) && value !== false;
}
