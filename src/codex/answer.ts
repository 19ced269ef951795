import { isObject, parseJson, type JsonObject } from "../lib/json.ts";
import { eventFailure, truncated } from "./failure.ts";
import { ItemSlots } from "./item-slots.ts";
import type { ReasoningMemory } from "./reasoning-memory.ts";
import { ReasoningText } from "./reasoning-text.ts";
import type { ContentPart, InputItem, OutputItem, ResponseObject, Usage } from "./schema.ts";
import { StopScanner } from "./stop.ts";
import { objectsOf, readEvent, responseOf, textOf } from "./trusted.ts";
import { isFailure, type WireEvent } from "./wire-event.ts";

/** A tool call, whole. */
export interface AnswerCall {
  readonly id: string;
  /** As the backend knows it. */
  readonly name: string;
  readonly arguments: JsonObject;
}

/** Why an answer ended. */
export type AnswerReason = "stop" | "length" | "content_filter";

/** Where the pieces of an answer go. */
export interface AnswerSink {
  text(text: string): void;
  thought(text: string): void;
  call(call: AnswerCall): void;
  end(reason: AnswerReason, usage: Usage | undefined, response: ResponseObject): void;
}

export interface AnswerOptions {
  readonly stopSequences: readonly string[];
  readonly memory: ReasoningMemory;
  /** Epoch milliseconds. */
  readonly now: number;
}

/**
 * Upstream events → text, thoughts and whole tool calls, for dialects that know no more than these. Whatever arrives
 * only in a later event than usual is still told once, and nothing twice.
 */
export class AnswerReader {
  isDone = false;
  readonly #sink: AnswerSink;
  readonly #options: AnswerOptions;
  readonly #stop: StopScanner;
  readonly #slots = new ItemSlots();
  readonly #thoughts = new ReasoningText();
  /** Text told so far, by item and part. */
  readonly #told = new Map<string, string>();
  /** Parts of it that are known to be whole: a delta that comes after is a repetition. */
  readonly #whole = new Set<string>();
  readonly #called = new Set<number>();
  /** Calls that were announced, and what came of their arguments or input: all that is known of one that never ends. */
  readonly #begun = new Map<number, OutputItem>();
  readonly #pieces = new Map<number, string>();
  readonly #thoughtItems = new Set<number>();
  #pendingReasoning: InputItem[] = [];
  /** The message that text was last told of. */
  #textSlot = -1;

  constructor(options: AnswerOptions, sink: AnswerSink) {
    this.#options = options;
    this.#sink = sink;
    this.#stop = new StopScanner(options.stopSequences);
  }

  /** Throws RelayError when upstream reports a failure. */
  onEvent(wire: WireEvent): void {
    if (this.isDone) return;
    const event = readEvent(wire);
    if (!event) return;
    if (isFailure(wire.type)) throw eventFailure({ ...event, response: responseOf(event) }, this.#options.now);
    switch (event.type) {
      case "response.output_text.delta":
      case "response.refusal.delta":
        this.#text(this.#slots.of(event), `t${event.content_index ?? 0}`, event.delta);
        break;
      case "response.output_text.done":
        this.#restOfText(this.#slots.of(event), event.content_index ?? 0, event.text);
        break;
      case "response.refusal.done":
        this.#restOfText(this.#slots.of(event), event.content_index ?? 0, event.refusal);
        break;
      case "response.content_part.done":
        this.#part(this.#slots.of(event), event.content_index ?? 0, event.part);
        break;
      case "response.reasoning_summary_text.delta":
        this.#thought(`${this.#slots.of(event)}/s${event.summary_index ?? 0}`, event.delta);
        break;
      case "response.reasoning_text.delta":
        this.#thought(`${this.#slots.of(event)}/r${event.content_index ?? 0}`, event.delta);
        break;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        this.#pieces.set(this.#slots.of(event), (this.#pieces.get(this.#slots.of(event)) ?? "") + textOf(event.delta));
        break;
      case "response.function_call_arguments.done":
        this.#pieces.set(this.#slots.of(event), textOf(event.arguments));
        break;
      case "response.custom_tool_call_input.done":
        this.#pieces.set(this.#slots.of(event), textOf(event.input));
        break;
      case "response.output_item.added":
        if (isCall(event.item)) this.#begun.set(this.#slotOf(event.item, event.output_index), event.item);
        break;
      case "response.output_item.done":
        this.#item(event.item, this.#slotOf(event.item, event.output_index));
        break;
      case "response.completed":
      case "response.done":
      case "response.incomplete":
        this.#finish(event.type, responseOf(event));
        break;
      default:
      // Everything else is told again by the item's own end.
    }
    if (this.#stop.isHit && !this.isDone) this.#end("stop", undefined, {});
  }

  /** Upstream ended. Throws unless the answer was complete. */
  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  #slotOf(item: OutputItem, index: number): number {
    const slot = this.#slots.of({ output_index: index, item_id: item.id });
    this.#slots.name(slot, item.call_id);
    return slot;
  }

  #text(slot: number, part: string, text: string): void {
    if (!text || this.#whole.has(`${slot}/${part}`)) return;
    this.#remember(`${slot}/${part}`, text);
    this.#sayThought(this.#thoughts.flush());
    // Two messages of one answer are set apart.
    const separator = this.#textSlot >= 0 && this.#textSlot !== slot ? "\n\n" : "";
    this.#textSlot = slot;
    this.#say(this.#stop.push(separator + text));
  }

  #say(text: string): void {
    if (text !== "") this.#sink.text(text);
  }

  #restOfText(slot: number, index: number, whole: string): void {
    const key = `${slot}/t${index}`;
    const rest = this.#untold(key, whole);
    this.#text(slot, `t${index}`, rest);
    if (this.#told.get(key) === whole) this.#whole.add(key);
  }

  #thought(key: string, text: string): void {
    if (!text) return;
    this.#remember(key, text);
    this.#sayThought(this.#thoughts.push(key, text));
  }

  #sayThought(text: string): void {
    if (text !== "") this.#sink.thought(text);
  }

  /** A finished item: whatever of it has not been told. */
  #item(item: OutputItem, slot: number): void {
    switch (item.type) {
      case "message":
        objectsOf(item.content).forEach((part, index) => this.#part(slot, index, part));
        break;
      case "reasoning":
        this.#reasoning(item, slot);
        break;
      case "function_call":
      case "custom_tool_call":
        this.#call(item, slot);
        break;
      default:
    }
  }

  #part(slot: number, index: number, part: ContentPart): void {
    const text = part.type === "refusal" ? part.refusal : part.type === "output_text" ? part.text : "";
    this.#restOfText(slot, index, text ?? "");
  }

  #reasoning(item: OutputItem, slot: number): void {
    const summary = objectsOf(item.summary);
    const [parts, letter] = summary.length > 0 ? [summary, "s"] : [objectsOf(item.content), "r"];
    parts.forEach((part, index) => {
      const key = `${slot}/${letter}${index}`;
      this.#thought(key, this.#untold(key, textOf(part.text)));
    });
    if (!item.encrypted_content || this.#thoughtItems.has(slot)) return;
    this.#thoughtItems.add(slot);
    this.#pendingReasoning.push({ type: "reasoning", summary, encrypted_content: item.encrypted_content });
  }

  #call(item: OutputItem, slot: number): void {
    if (this.#called.has(slot)) return;
    this.#called.add(slot);
    const id = item.call_id ?? `call_${slot}`;
    if (this.#pendingReasoning.length > 0) this.#options.memory.remember(id, this.#pendingReasoning);
    this.#pendingReasoning = [];
    this.#sayThought(this.#thoughts.flush());
    this.#say(this.#stop.flush());
    this.#sink.call({ id, name: item.name ?? "", arguments: argumentsOf(item) });
  }

  #makeBegunCalls(): void {
    for (const [slot, item] of this.#begun) {
      const text = this.#pieces.get(slot);
      const key = item.type === "custom_tool_call" ? "input" : "arguments";
      this.#call(text === undefined ? item : { ...item, [key]: text }, slot);
    }
  }

  #finish(type: string, response: ResponseObject): void {
    if (response.status === "failed" || response.status === "cancelled") {
      throw eventFailure({ type: `response.${response.status}`, response }, this.#options.now);
    }
    const isShort = type === "response.incomplete" || response.status === "incomplete";
    objectsOf(response.output).forEach((item, position) => {
      // A call that was cut short must not look like one that can be made.
      if (!this.#stop.isHit && !(isShort && isCall(item))) this.#item(item, this.#slots.ofFinal(item, position));
    });
    if (this.#stop.isHit) return;
    if (!isShort) this.#makeBegunCalls();
    const reason = !isShort
      ? "stop"
      : response.incomplete_details?.reason === "content_filter"
        ? "content_filter"
        : "length";
    this.#end(reason, response.usage ?? undefined, response);
  }

  #end(reason: AnswerReason, usage: Usage | undefined, response: ResponseObject): void {
    this.#sayThought(this.#thoughts.flush());
    this.#say(this.#stop.flush());
    this.isDone = true;
    this.#sink.end(reason, usage, response);
  }

  #remember(key: string, text: string): void {
    this.#told.set(key, (this.#told.get(key) ?? "") + text);
  }

  #untold(key: string, whole: string): string {
    const told = this.#told.get(key) ?? "";
    return textOf(whole).startsWith(told) ? textOf(whole).slice(told.length) : "";
  }
}

function isCall(item: OutputItem): boolean {
  return item.type === "function_call" || item.type === "custom_tool_call";
}

/** A function's arguments as an object; a free-text tool's input under the name `input`. */
function argumentsOf(item: OutputItem): JsonObject {
  if (item.type === "custom_tool_call") return { input: textOf(item["input"]) };
  const parsed = parseJson(textOf(item.arguments));
  return isObject(parsed) ? parsed : {};
}
