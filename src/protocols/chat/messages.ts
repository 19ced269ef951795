import type { ReasoningMemory } from "../../codex/reasoning-store.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { assistantParts, inputParts, textOnly, toolOutput } from "./content.ts";
import { wireCallId, wireToolName } from "../../codex/request/tools/wire-names.ts";
import type { ChatMessage } from "./schema.ts";
import { missing, unknownValue, wrongType } from "../refuse.ts";
import { withSpeaker } from "../speaker.ts";
import { textOf } from "../../codex/wire/lenient.ts";

export interface Conversation {
  /** Text of the system messages that open the conversation; "" when none do. */
  readonly instructions: string;
  readonly input: InputItem[];
  /** For each input item, the message that it comes from, as in `messages[2]`. */
  readonly paths: readonly string[];
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
  const texts = opening.map((message, index) => textOnly(message["content"], `messages[${index}].content`));
  const instructions = texts.filter((text) => text !== "").join("\n\n");
  const translator = new ItemTranslator("messages", memory);
  // The check that a JSON mode's prompt speaks of JSON looks at the input alone.
  if (options.keepSystemInInput) texts.forEach((text, index) => translator.opening(text, index));
  messages.slice(opening.length).forEach((message, index) => translator.add(message, opening.length + index));
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
  readonly #paths: string[] = [];
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
    this.#note(`${this.#field}[${index}]`);
  }

  #developer(text: string): void {
    if (text !== "") this.#message("developer", [{ type: "input_text", text }]);
  }

  add(message: ChatMessage, index: number): void {
    const path = `${this.#field}[${index}]`;
    const { role } = message;
    if (role !== "tool" && role !== "function") this.#refuseUnanswered();
    switch (role) {
      case "system":
      case "developer":
        this.#developer(textOnly(message["content"], `${path}.content`));
        break;
      case "user":
        this.#message("user", withSpeaker(message["name"], inputParts(message["content"], `${path}.content`)));
        break;
      case "assistant":
        this.#message("assistant", assistantParts(message["content"], message["refusal"], `${path}.content`));
        this.#calls(message, path);
        break;
      case "tool":
        this.#toolResult(message, path);
        break;
      case "function":
        this.#functionResult(message, path);
        break;
      default:
        throw unknownValue(role, "'system', 'assistant', 'user', 'function', 'tool', and 'developer'", `${path}.role`);
    }
    this.#note(path);
    if (TOLD_ROLES.has(role) && nonEmptyString(message["name"])) this.#unnamed.push(`${path}.name`);
  }

  /** The items that were added since the last message come from this one. */
  #note(path: string): void {
    while (this.#paths.length < this.#items.length) this.#paths.push(path);
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
    this.#note(`${this.#field}[${index}]`);
  }

  /** The items; an empty conversation still asks something. */
  finish(): Omit<Conversation, "instructions"> {
    this.#refuseUnanswered();
    if (this.#items.length === 0) this.#message("user", [{ type: "input_text", text: "" }]);
    return { input: this.#items, paths: this.#paths, unnamed: this.#unnamed };
  }

  #message(role: string, content: JsonObject[]): void {
    if (content.length > 0) this.#items.push({ type: "message", role, content });
  }

  #calls(message: ChatMessage, path: string): void {
    const calls = Array.isArray(message["tool_calls"]) ? (message["tool_calls"] as unknown[]) : [];
    calls.forEach((call, index) => this.#call(isObject(call) ? call : {}, `${path}.tool_calls[${index}]`));
    const legacy = message["function_call"];
    if (calls.length > 0 || !isObject(legacy)) return;
    const name = nonEmptyString(legacy["name"]);
    if (name === undefined) throw missing(`${path}.function_call.name`);
    const wireId = `call_legacy_${this.#legacyCalls}`;
    this.#legacyCalls += 1;
    this.#items.push(functionCall(wireId, name, legacy["arguments"]));
    this.#open.push({ id: wireId, wireId, isCustom: false, legacyName: name });
  }

  #call(call: JsonObject, path: string): void {
    const isCustom = call["type"] === "custom" || (!call["type"] && isObject(call["custom"]));
    const definition = isCustom ? call["custom"] : call["function"];
    const kind = isCustom ? "custom" : "function";
    const name = isObject(definition) ? nonEmptyString(definition["name"]) : undefined;
    if (name === undefined || !isObject(definition)) throw missing(`${path}.${kind}.name`);
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

  #toolResult(message: ChatMessage, path: string): void {
    const id = message["tool_call_id"];
    if (typeof id !== "string") throw missing(`${path}.tool_call_id`);
    const at = this.#open.findIndex((call) => call.id === id);
    const call = this.#open[at];
    if (!call) {
      throw new RelayError(
        "invalid_request",
        "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        { param: `${path}.role` },
      );
    }
    this.#open.splice(at, 1);
    this.#output(call, message["content"], path);
  }

  /** Results of the old kind name only the function; the oldest open call of that name is meant. */
  #functionResult(message: ChatMessage, path: string): void {
    const at = this.#open.findIndex((call) => call.legacyName !== undefined && call.legacyName === message["name"]);
    const call = this.#open[at];
    if (!call) {
      throw new RelayError(
        "invalid_request",
        "messages with role 'function' must be a response to a preceeding message with 'function_call'.",
        { param: `${path}.role` },
      );
    }
    this.#open.splice(at, 1);
    this.#output(call, message["content"], path);
  }

  #output(call: OpenCall, content: unknown, path: string): void {
    this.#items.push({
      type: call.isCustom ? "custom_tool_call_output" : "function_call_output",
      call_id: call.wireId,
      output: toolOutput(content, `${path}.content`),
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
