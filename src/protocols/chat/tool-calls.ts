import type { OutputItem } from "../../codex/schema.ts";
import type { ChatDelta } from "./delta.ts";
import { textOf } from "../../codex/trusted.ts";

interface Call {
  /** Position among the calls of the answer, from 0 without gaps. */
  readonly index: number;
  readonly isCustom: boolean;
  /** Arguments or input that came with the announcement; only needed when nothing else comes. */
  readonly announced: string;
  /** Arguments or input sent so far. */
  sent: string;
  /** All of it is sent: a delta that comes after is a repetition. */
  isWhole: boolean;
  isFinished: boolean;
}

/** The calls of one answer: who was announced, what was sent of each, what is still missing. */
export class ToolCalls {
  readonly #originalNames: ReadonlyMap<string, string>;
  readonly #isLegacy: boolean;
  readonly #bySlot = new Map<number, Call>();
  /** Deltas that came before their call was announced. */
  readonly #early = new Map<number, string>();

  constructor(originalNames: ReadonlyMap<string, string>, isLegacy: boolean) {
    this.#originalNames = originalNames;
    this.#isLegacy = isLegacy;
  }

  get any(): boolean {
    return this.#bySlot.size > 0;
  }

  get legacy(): boolean {
    return this.#isLegacy;
  }

  /** A call begins. Nothing when it has begun before. */
  announce(item: OutputItem, slot: number): ChatDelta[] {
    if (this.#bySlot.has(slot)) return [];
    // The legacy answer has room for one call; `parallel_tool_calls: false` has asked for no more.
    if (this.#isLegacy && this.any) return [];
    const isCustom = item.type === "custom_tool_call";
    const announced = wholeOf(item);
    const call: Call = { index: this.#bySlot.size, isCustom, announced, sent: "", isWhole: false, isFinished: false };
    this.#bySlot.set(slot, call);
    const early = this.#early.get(slot) ?? "";
    this.#early.delete(slot);
    return [this.#first(call, item), ...this.#pieces(call, early)];
  }

  /** More of a call's arguments or input. */
  delta(slot: number, text: string): ChatDelta[] {
    const call = this.#bySlot.get(slot);
    if (call) return call.isWhole || call.isFinished ? [] : this.#pieces(call, text);
    this.#early.set(slot, (this.#early.get(slot) ?? "") + text);
    return [];
  }

  /** The whole arguments or input as upstream has them: sends what is missing. */
  settle(slot: number, whole: string): ChatDelta[] {
    const call = this.#bySlot.get(slot);
    return !call || call.isFinished ? [] : this.#rest(call, whole);
  }

  /** A call is complete, announced or not. */
  finish(item: OutputItem, slot: number): ChatDelta[] {
    const begun = this.announce(item, slot);
    const call = this.#bySlot.get(slot);
    if (!call || call.isFinished) return [];
    call.isFinished = true;
    return [...begun, ...this.#rest(call, wholeOf(item)), ...this.#unlessEmpty(call)];
  }

  /** The answer ends: calls that nobody finished get what was announced, or at least what can be parsed. */
  close(): ChatDelta[] {
    return [...this.#bySlot.values()].flatMap((call) =>
      call.isFinished ? [] : [...this.#rest(call, call.announced), ...this.#unlessEmpty(call)],
    );
  }

  #rest(call: Call, whole: string): ChatDelta[] {
    if (whole === "" || !whole.startsWith(call.sent)) return [];
    call.isWhole = true;
    return this.#pieces(call, whole.slice(call.sent.length));
  }

  /** Clients parse arguments as JSON, which an empty string is not. */
  #unlessEmpty(call: Call): ChatDelta[] {
    return call.sent === "" && !call.isCustom ? this.#pieces(call, "{}") : [];
  }

  #first(call: Call, item: OutputItem): ChatDelta {
    const name = this.#originalNames.get(item.name ?? "") ?? item.name ?? "";
    if (this.#isLegacy) return { function_call: { name, arguments: "" } };
    const head = { index: call.index, id: item.call_id ?? item.id ?? `call_${call.index}` };
    return call.isCustom
      ? { tool_calls: [{ ...head, type: "custom", custom: { name, input: "" } }] }
      : { tool_calls: [{ ...head, type: "function", function: { name, arguments: "" } }] };
  }

  #pieces(call: Call, text: string): ChatDelta[] {
    if (text === "") return [];
    call.sent += text;
    if (this.#isLegacy) return [{ function_call: { arguments: text } }];
    return call.isCustom
      ? [{ tool_calls: [{ index: call.index, custom: { input: text } }] }]
      : [{ tool_calls: [{ index: call.index, function: { arguments: text } }] }];
  }
}

function wholeOf(item: OutputItem): string {
  return textOf(item.type === "custom_tool_call" ? item.input : item.arguments);
}
