import { objectsOf, responseOf } from "../../codex/wire/lenient.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import type { OutputItem } from "../../codex/wire/schema.ts";
import { isObject } from "../../lib/json.ts";

/** The items that a reply has brought, in order. */
export class WholeOutput {
  readonly #items = new Map<number, OutputItem>();

  notice({ type, event }: WireEvent): void {
    if (type !== "response.output_item.done" || event.type !== type || !isObject(event.item)) return;
    this.#items.set(event.output_index ?? this.#items.size, event.item);
  }

  /** What the backend has once this terminal event has come; undefined unless the answer is whole. */
  complete({ type, event }: WireEvent): { readonly id: string; readonly output: readonly OutputItem[] } | undefined {
    const response = responseOf(event);
    const isWhole = type === "response.completed" || type === "response.done";
    if (!isWhole || !response.id || (response.status ?? "completed") !== "completed") return undefined;
    const told = [...this.#items].toSorted(([a], [b]) => a - b).map(([, item]) => item);
    const final = objectsOf(response.output);
    return { id: response.id, output: final.length > told.length ? final : told };
  }
}
