import type { AnswerCall } from "../../codex/output/events.ts";
import type { ChatDelta } from "./delta.ts";

/** The calls of one answer as deltas. */
export class ToolCalls {
  readonly #originalNames: ReadonlyMap<string, string>;
  readonly isLegacy: boolean;
  /** Some call has begun. */
  any = false;

  constructor(originalNames: ReadonlyMap<string, string>, isLegacy: boolean) {
    this.#originalNames = originalNames;
    this.isLegacy = isLegacy;
  }

  first(call: AnswerCall): ChatDelta | undefined {
    if (this.#hasNoRoom(call)) return undefined;
    this.any = true;
    const name = this.#originalNames.get(call.name) ?? call.name;
    if (this.isLegacy) return { function_call: { name, arguments: "" } };
    const head = { index: call.index, id: call.id };
    return call.isCustom
      ? { tool_calls: [{ ...head, type: "custom", custom: { name, input: "" } }] }
      : { tool_calls: [{ ...head, type: "function", function: { name, arguments: "" } }] };
  }

  more(call: AnswerCall, text: string): ChatDelta | undefined {
    if (this.#hasNoRoom(call)) return undefined;
    if (this.isLegacy) return { function_call: { arguments: text } };
    return call.isCustom
      ? { tool_calls: [{ index: call.index, custom: { input: text } }] }
      : { tool_calls: [{ index: call.index, function: { arguments: text } }] };
  }

  /** The legacy answer has room for one call; `parallel_tool_calls: false` has asked for no more. */
  #hasNoRoom(call: AnswerCall): boolean {
    return this.isLegacy && call.index > 0;
  }
}
