import type { OutputItem } from "../../codex/schema.ts";
import type { ChatDelta } from "./delta.ts";

interface Call {
  /** Position among the calls of the answer, from 0 without gaps. */
  readonly index: number;
  readonly isCustom: boolean;
  /** Arguments or input sent so far. */
  sent: string;
  isFinished: boolean;
}

/** Where a delta says it belongs. */
export interface CallKey {
  readonly output_index?: number | undefined;
  readonly item_id?: string | null | undefined;
}

/** The calls of one answer: who was announced, what was sent of each, what is still missing. */
export class ToolCalls {
  readonly #originalNames: ReadonlyMap<string, string>;
  readonly #isLegacy: boolean;
  readonly #byIndex = new Map<number, Call>();
  readonly #byItem = new Map<string, Call>();
  /** Deltas that came before their call was announced. */
  readonly #early = new Map<string, string>();
  #count = 0;

  constructor(originalNames: ReadonlyMap<string, string>, isLegacy: boolean) {
    this.#originalNames = originalNames;
    this.#isLegacy = isLegacy;
  }

  get any(): boolean {
    return this.#count > 0;
  }

  get legacy(): boolean {
    return this.#isLegacy;
  }

  /** A call begins. Nothing when it has begun before. */
  announce(item: OutputItem, outputIndex: number): ChatDelta[] {
    if (this.#find({ output_index: outputIndex, item_id: item.id })) return [];
    // The legacy answer has room for one call; `parallel_tool_calls: false` has asked for no more.
    if (this.#isLegacy && this.#count > 0) return [];
    const call: Call = { index: this.#count, isCustom: item.type === "custom_tool_call", sent: "", isFinished: false };
    this.#count += 1;
    this.#byIndex.set(outputIndex, call);
    if (item.id) this.#byItem.set(item.id, call);
    return [this.#first(call, item), ...this.#pieces(call, this.#takeEarly(outputIndex, item.id))];
  }

  /** More of a call's arguments or input. */
  delta(key: CallKey, text: string): ChatDelta[] {
    const call = this.#find(key);
    if (call) return this.#pieces(call, text);
    for (const name of earlyNames(key)) this.#early.set(name, (this.#early.get(name) ?? "") + text);
    return [];
  }

  /** The whole arguments or input as upstream has them: sends what is missing. */
  settle(key: CallKey, whole: string): ChatDelta[] {
    const call = this.#find(key);
    if (!call || call.isFinished) return [];
    return whole.startsWith(call.sent) ? this.#pieces(call, whole.slice(call.sent.length)) : [];
  }

  /** A call is complete, announced or not. */
  finish(item: OutputItem, outputIndex: number): ChatDelta[] {
    const key = { output_index: outputIndex, item_id: item.id };
    const known = this.#find(key);
    if (known?.isFinished) return [];
    const begun = known ? [] : this.announce(item, outputIndex);
    const call = this.#find(key);
    if (!call) return [];
    const deltas = [...begun, ...this.settle(key, (call.isCustom ? item.input : item.arguments) ?? "")];
    call.isFinished = true;
    // Clients parse arguments as JSON, which an empty string is not.
    return call.sent === "" && !call.isCustom ? [...deltas, ...this.#pieces(call, "{}")] : deltas;
  }

  /** The answer ends: calls that nobody finished get arguments that can be parsed. */
  close(): ChatDelta[] {
    return [...this.#byIndex.values()].flatMap((call) =>
      call.isFinished || call.isCustom || call.sent !== "" ? [] : this.#pieces(call, "{}"),
    );
  }

  #find({ output_index: outputIndex, item_id: itemId }: CallKey): Call | undefined {
    return (
      (outputIndex === undefined ? undefined : this.#byIndex.get(outputIndex)) ??
      (itemId ? this.#byItem.get(itemId) : undefined)
    );
  }

  #takeEarly(outputIndex: number, itemId: string | null | undefined): string {
    const [first = "", second = ""] = earlyNames({ output_index: outputIndex, item_id: itemId }).map((name) => {
      const text = this.#early.get(name) ?? "";
      this.#early.delete(name);
      return text;
    });
    return first === "" ? second : first;
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

function earlyNames({ output_index: outputIndex, item_id: itemId }: CallKey): string[] {
  return [outputIndex === undefined ? "" : `#${outputIndex}`, itemId ?? ""].filter((name) => name !== "");
}
