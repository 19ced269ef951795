import type { ReasoningMemory } from "../../codex/reasoning-store.ts";
import { wireToolName } from "../../codex/request/tools/wire-names.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { inputPart, inputParts, systemTexts, toolOutput } from "./content.ts";
import { fault, missing } from "./refuse.ts";
import type { Place } from "../place.ts";
import type { ClientMessage, MessagesRequest } from "./schema.ts";
import { unseal } from "./thinking.ts";
import { toCallId } from "./tool-ids.ts";

export interface Conversation {
  /** The system text; "" when there is none. */
  readonly instructions: string;
  readonly input: InputItem[];
  /** For each input item, the place of the message that it comes from, counted from 0. */
  readonly origins: readonly number[];
}

/** Claude Code's note to its own service; it changes with every release and would cost the prompt cache. */
const BILLING_NOTE = /^x-anthropic-billing-header:/;

/**
 * System text and messages as instructions and input items. Every tool use must have its result and every result its
 * use: the backend would refuse too, but in terms of items that the client never sent.
 */
export function toConversation(request: MessagesRequest, memory: ReasoningMemory): Conversation {
  const system = systemTexts(request.system, () => "system").filter((text) => !BILLING_NOTE.test(text));
  const translator = new ItemTranslator(memory);
  request.messages.forEach((message, index) => translator.add(message, index));
  const input = translator.finish();
  return { instructions: system.join("\n\n"), input, origins: translator.origins };
}

/** Walks the messages once and remembers which tool uses still wait for their results. */
class ItemTranslator {
  readonly #memory: ReasoningMemory;
  readonly #items: InputItem[] = [];
  /** Tool use ids as the client wrote them. */
  readonly #open = new Set<string>();
  /** Reasoning that goes before the next item of the same message: alone it means nothing to the backend. */
  #reasoning: InputItem[] = [];
  #lastRole: string | undefined;
  readonly #origins: number[] = [];
  /** Parts of the message that is being gathered. */
  #parts: JsonObject[] = [];

  constructor(memory: ReasoningMemory) {
    this.#memory = memory;
  }

  add(message: ClientMessage, index: number): void {
    const { role, content } = message;
    const at = () => `messages.${index}.content`;
    switch (role) {
      case "user":
        this.#user(content, at);
        break;
      case "assistant":
        // Turns of one role in a row are one turn.
        if (this.#lastRole !== "assistant") this.#refuseUnanswered(index);
        this.#assistant(content, at);
        break;
      case "system":
        this.#parts = inputParts(systemTexts(content, at).join("\n"), at);
        this.#flush("developer");
        break;
      default:
        throw fault(`messages.${index}.role`, "must be user, assistant or system");
    }
    if (role !== "system") this.#lastRole = role;
    while (this.#origins.length < this.#items.length) this.#origins.push(index);
  }

  /** For each item, the place of the message that it comes from. */
  get origins(): readonly number[] {
    return this.#origins;
  }

  /** The items; an empty conversation still asks something. */
  finish(): InputItem[] {
    this.#refuseUnanswered();
    if (this.#items.length === 0) {
      this.#items.push({ type: "message", role: "user", content: [{ type: "input_text", text: "" }] });
    }
    return this.#items;
  }

  #user(content: unknown, at: Place): void {
    if (!Array.isArray(content)) {
      this.#parts = inputParts(content, at);
    } else {
      content.forEach((block: unknown, index) => {
        const inBlock = () => `${at()}.${index}`;
        if (isObject(block) && block["type"] === "tool_result") this.#toolResult(block, inBlock);
        else this.#parts.push(...inputPart(block, inBlock));
      });
    }
    this.#flush("user");
  }

  #toolResult(block: JsonObject, at: Place): void {
    this.#flush("user");
    const id = nonEmptyString(block["tool_use_id"]);
    if (id === undefined) throw missing(`${at()}.tool_use_id`);
    if (!this.#open.delete(id)) {
      throw new RelayError(
        "invalid_request",
        `${at()}: the tool_use_id '${id.slice(0, 80)}' has no tool_use in the message before it that still waits for a result.`,
        { param: `${at()}.tool_use_id` },
      );
    }
    const output = toolOutput(block["content"], block["is_error"] === true, () => `${at()}.content`);
    this.#items.push({ type: "function_call_output", call_id: toCallId(id), output });
  }

  #assistant(content: unknown, at: Place): void {
    if (typeof content === "string") this.#text(content);
    else this.#blocks(toList(content, at), at);
    this.#flush("assistant");
    if (this.#reasoning.length > 0) this.#reasoning = [];
  }

  #blocks(blocks: readonly unknown[], at: Place): void {
    const bringsReasoning = blocks.some((block) => isObject(block) && sealedIn(block) !== undefined);
    blocks.forEach((block, index) => {
      if (!isObject(block)) throw fault(`${at()}.${index}`, "must be an object");
      this.#said(block, () => `${at()}.${index}`, bringsReasoning);
    });
  }

  #text(text: unknown): void {
    if (typeof text === "string" && text !== "") this.#parts.push({ type: "output_text", text });
  }

  #said(block: JsonObject, at: Place, bringsReasoning: boolean): void {
    const { type } = block;
    switch (type) {
      case "text":
        this.#text(block["text"]);
        break;
      case "compaction":
        this.#text(block["content"]);
        break;
      case "thinking":
      case "redacted_thinking":
        this.#thought(block);
        break;
      case "tool_use":
        this.#toolUse(block, at, bringsReasoning);
        break;
      case undefined:
        throw missing(`${at()}.type`);
      default:
        if (!PAST.has(String(type)) && !String(type).endsWith("_tool_result")) {
          throw fault(`${at()}.type`, `'${String(type).slice(0, 60)}' is not a block that can stand here`);
        }
    }
  }

  /** Thinking of other models is dropped: the backend cannot read it, and it is not what the assistant said. */
  #thought(block: JsonObject): void {
    const sealed = sealedIn(block);
    if (sealed === undefined) return;
    this.#flush("assistant");
    const text = nonEmptyString(block["thinking"]);
    const summary = text === undefined ? [] : [{ type: "summary_text", text }];
    this.#reasoning.push({ type: "reasoning", summary, encrypted_content: sealed });
  }

  #toolUse(block: JsonObject, at: Place, bringsReasoning: boolean): void {
    const id = nonEmptyString(block["id"]);
    const name = nonEmptyString(block["name"]);
    if (id === undefined) throw missing(`${at()}.id`);
    if (name === undefined) throw missing(`${at()}.name`);
    if (this.#open.has(id)) throw fault(`${at()}.id`, "tool_use ids must be unique");
    this.#open.add(id);
    this.#flush("assistant");
    const callId = toCallId(id);
    if (!bringsReasoning) this.#reasoning.push(...this.#memory.recall(callId));
    const input = block["input"] ?? {};
    const text = typeof input === "string" && input !== "" ? input : JSON.stringify(input === "" ? {} : input);
    this.#push({ type: "function_call", call_id: callId, name: wireToolName(name), arguments: text });
  }

  /** The parts gathered so far as one message. */
  #flush(role: "user" | "assistant" | "developer"): void {
    if (this.#parts.length === 0) return;
    this.#push({ type: "message", role, content: this.#parts });
    this.#parts = [];
  }

  #push(item: InputItem): void {
    if (this.#reasoning.length > 0) {
      this.#items.push(...this.#reasoning);
      this.#reasoning = [];
    }
    this.#items.push(item);
  }

  /** `next` is the message after those that may have brought the results; none at the end. */
  #refuseUnanswered(next?: number): void {
    if (this.#open.size === 0) return;
    const path = next === undefined ? "messages" : `messages.${next}`;
    throw new RelayError(
      "invalid_request",
      `${path}: every tool_use needs a tool_result in the next message; there is none for ${[...this.#open].join(", ").slice(0, 300)}.`,
      { param: path },
    );
  }
}

/** What another service and its tools did on the way; the text after it says what came of it. */
const PAST = new Set(["server_tool_use", "mcp_tool_use", "mcp_tool_listing", "container_upload", "fallback"]);

function toList(content: unknown, at: Place): unknown[] {
  if (content === undefined || content === null) return [];
  if (Array.isArray(content)) return content as unknown[];
  throw fault(at(), "must be a string or a list of blocks");
}

/** The relay's own encrypted reasoning in a block. */
function sealedIn(block: JsonObject): string | undefined {
  if (block["type"] === "thinking") return unseal(block["signature"]);
  return block["type"] === "redacted_thinking" ? unseal(block["data"]) : undefined;
}
