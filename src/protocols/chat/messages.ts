import type { ReasoningMemory } from "../../codex/reasoning-store.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { assistantParts, inputParts, textOnly, toolOutput } from "./content.ts";
import { wireCallId, wireToolName } from "../../codex/request/tools/wire-names.ts";
import type { Place } from "../place.ts";
import type { ChatMessage } from "./schema.ts";
import { missing, unknownValue, wrongType } from "../refuse.ts";
import { withSpeaker } from "../speaker.ts";
import { textOf } from "../../codex/wire/lenient.ts";

export interface Conversation {
  /** Text of the system messages that open the conversation; "" when none do. */
  readonly instructions: string;
  readonly input: InputItem[];
  /** The message that an input item comes from, as in `messages[2]`; undefined for an item of no message. */
  readonly origin: (item: number) => string | undefined;
  /** Names of speakers that the model is not told. */
  readonly unnamed: readonly string[];
}

/**
 * Messages as instructions and input items. Every call must have its result and every result its call: the backend
 * would refuse too, but in terms of items that the client never sent.
 */
export function toConversation(
  messages: readonly ChatMessage[],
  memory: ReasoningMemory,
  options: { readonly keepSystemInInput: boolean },
): Conversation {
  const leading = messages.findIndex((message) => !isSystem(message));
  const opening = messages.slice(0, leading < 0 ? messages.length : leading);
  const unnamed = opening.flatMap((message, index) =>
    nonEmptyString(message["name"]) ? [`messages[${index}].name`] : [],
  );
  const texts = opening.map((message, index) => textOnly(message["content"], () => `messages[${index}].content`));
  const instructions = texts.filter((text) => text !== "").join("\n\n");
  const translator = new ItemTranslator("messages", memory);
  // The check that a JSON mode's prompt speaks of JSON looks at the input alone.
  if (options.keepSystemInInput) texts.forEach((text, index) => translator.opening(text, index));
  messages.forEach((message, index) => {
    if (index >= opening.length) translator.add(message, index);
  });
  const rest = translator.finish();
  return { ...rest, instructions, unnamed: [...unnamed, ...rest.unnamed] };
}

/** Responses-shaped `input` from a chat client, rebuilt like messages so that nothing unknown gets through. */
export function inputConversation(input: unknown, memory: ReasoningMemory): Omit<Conversation, "instructions"> {
  const translator = new ItemTranslator("input", memory);
  const items = typeof input === "string" ? [{ role: "user", content: input }] : Array.isArray(input) ? input : [input];
  items.forEach((item: unknown, index) => {
    if (!isObject(item)) throw wrongType(`input[${index}]`, "an object", item);
    const { role } = item;
    if (typeof role === "string" && (item["type"] ?? "message") === "message") {
      translator.add({ ...item, role }, index);
    } else {
      translator.pass(item, index);
    }
  });
  return translator.finish();
}

function isSystem(message: ChatMessage): boolean {
  return message.role === "system" || message.role === "developer";
}

/** A name before what these say would be taken for a part of it, and the model would write names itself. */
const TOLD_ROLES = new Set(["assistant", "system", "developer"]);

interface OpenCall {
  readonly id: string;
  readonly wireId: string;
  readonly isCustom: boolean;
  /** Set for calls of the `function_call` era, which have no ids. */
  readonly legacyName: string | undefined;
}

/** Walks the messages once and remembers which calls still wait for their results. */
class ItemTranslator {
  /** The field that the messages stand in, for error paths. */
  readonly #field: string;
  readonly #memory: ReasoningMemory;
  readonly #items: InputItem[] = [];
  /** For each item, the place of its message. */
  readonly #origins: number[] = [];
  readonly #unnamed: string[] = [];
  #open: OpenCall[] = [];
  #legacyCalls = 0;

  constructor(field: string, memory: ReasoningMemory) {
    this.#field = field;
    this.#memory = memory;
  }

  /** A system message that opens the conversation, also told as one of its items. */
  opening(text: string, index: number): void {
    this.#developer(text);
    this.#note(index);
  }

  #developer(text: string): void {
    if (text !== "") this.#message("developer", [{ type: "input_text", text }]);
  }

  add(message: ChatMessage, index: number): void {
    const { role, content, name } = message;
    const at = () => `${this.#place(index)}.content`;
    if (role !== "tool" && role !== "function") this.#refuseUnanswered();
    switch (role) {
      case "system":
      case "developer":
        this.#developer(textOnly(content, at));
        break;
      case "user":
        this.#message("user", withSpeaker(name, inputParts(content, at)));
        break;
      case "assistant":
        this.#message("assistant", assistantParts(content, message["refusal"], at));
        this.#calls(message, index);
        break;
      case "tool":
        this.#toolResult(message, index);
        break;
      case "function":
        this.#functionResult(message, index);
        break;
      default:
        throw unknownValue(
          role,
          "'system', 'assistant', 'user', 'function', 'tool', and 'developer'",
          `${this.#place(index)}.role`,
        );
    }
    this.#note(index);
    if (nonEmptyString(name) && TOLD_ROLES.has(role)) this.#unnamed.push(`${this.#place(index)}.name`);
  }

  #place(index: number): string {
    return `${this.#field}[${index}]`;
  }

  /** The items that were added since the last message come from this one. */
  #note(index: number): void {
    while (this.#origins.length < this.#items.length) this.#origins.push(index);
  }

  /** An item that is in the backend's language already, less what cannot be resolved there: ids and references. */
  pass(item: JsonObject, index: number): void {
    if (item["type"] === "item_reference") return;
    if (item["type"] === "reasoning" && !nonEmptyString(item["encrypted_content"])) return;
    const { id: _id, ...rest } = item;
    const { name, call_id: callId } = rest;
    this.#items.push({
      ...rest,
      ...(typeof name === "string" ? { name: wireToolName(name) } : {}),
      ...(typeof callId === "string" ? { call_id: wireCallId(callId) } : {}),
    });
    this.#note(index);
  }

  /** The items; an empty conversation still asks something. */
  finish(): Omit<Conversation, "instructions"> {
    this.#refuseUnanswered();
    if (this.#items.length === 0) this.#message("user", [{ type: "input_text", text: "" }]);
    const [field, origins] = [this.#field, this.#origins];
    const origin = (item: number) => (origins[item] === undefined ? undefined : `${field}[${origins[item]}]`);
    return { input: this.#items, origin, unnamed: this.#unnamed };
  }

  #message(role: string, content: JsonObject[]): void {
    if (content.length > 0) this.#items.push({ type: "message", role, content });
  }

  #calls(message: ChatMessage, index: number): void {
    const { tool_calls: calls, function_call: legacy } = message;
    if (Array.isArray(calls) && calls.length > 0) {
      calls.forEach((call: unknown, at) => {
        this.#call(isObject(call) ? call : {}, () => `${this.#place(index)}.tool_calls[${at}]`);
      });
      return;
    }
    if (!isObject(legacy)) return;
    const name = nonEmptyString(legacy["name"]);
    if (name === undefined) throw missing(`${this.#place(index)}.function_call.name`);
    const wireId = `call_legacy_${this.#legacyCalls}`;
    this.#legacyCalls += 1;
    this.#items.push(functionCall(wireId, name, legacy["arguments"]));
    this.#open.push({ id: wireId, wireId, isCustom: false, legacyName: name });
  }

  #call(call: JsonObject, at: Place): void {
    const isCustom = call["type"] === "custom" || (!call["type"] && isObject(call["custom"]));
    const definition = isCustom ? call["custom"] : call["function"];
    const kind = isCustom ? "custom" : "function";
    const name = isObject(definition) ? nonEmptyString(definition["name"]) : undefined;
    if (name === undefined || !isObject(definition)) throw missing(`${at()}.${kind}.name`);
    const id = typeof call["id"] === "string" ? call["id"] : "";
    const wireId = wireCallId(id);
    this.#items.push(...this.#memory.recall(wireId));
    this.#items.push(
      isCustom
        ? { type: "custom_tool_call", call_id: wireId, name: wireToolName(name), input: textOf(definition["input"]) }
        : functionCall(wireId, name, definition["arguments"]),
    );
    this.#open.push({ id, wireId, isCustom, legacyName: undefined });
  }

  #toolResult(message: ChatMessage, index: number): void {
    const id = message["tool_call_id"];
    if (typeof id !== "string") throw missing(`${this.#place(index)}.tool_call_id`);
    const at = this.#open.findIndex((call) => call.id === id);
    const call = this.#open[at];
    if (!call) {
      throw new RelayError(
        "invalid_request",
        "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        { param: `${this.#place(index)}.role` },
      );
    }
    this.#open.splice(at, 1);
    this.#output(call, message["content"], index);
  }

  /** Results of the old kind name only the function; the oldest open call of that name is meant. */
  #functionResult(message: ChatMessage, index: number): void {
    const at = this.#open.findIndex((call) => call.legacyName !== undefined && call.legacyName === message["name"]);
    const call = this.#open[at];
    if (!call) {
      throw new RelayError(
        "invalid_request",
        "messages with role 'function' must be a response to a preceeding message with 'function_call'.",
        { param: `${this.#place(index)}.role` },
      );
    }
    this.#open.splice(at, 1);
    this.#output(call, message["content"], index);
  }

  #output(call: OpenCall, content: unknown, index: number): void {
    this.#items.push({
      type: call.isCustom ? "custom_tool_call_output" : "function_call_output",
      call_id: call.wireId,
      output: toolOutput(content, () => `${this.#place(index)}.content`),
    });
  }

  #refuseUnanswered(): void {
    if (this.#open.length === 0) return;
    const ids = this.#open.map((call) => call.legacyName ?? call.id).join(", ");
    throw new RelayError(
      "invalid_request",
      `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${ids}`,
      { param: this.#field },
    );
  }
}

function functionCall(callId: string, name: string, callArguments: unknown): InputItem {
  const text = textOf(callArguments);
  return { type: "function_call", call_id: callId, name: wireToolName(name), arguments: text === "" ? "{}" : text };
}
