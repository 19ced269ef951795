import type { InputItem } from "./wire/schema.ts";

const MAX_CALLS = 2048;
/** Encrypted reasoning is a few KB an item; this bounds a long-lived relay. Counted in characters. */
const MAX_CHARACTERS = 16 * 1024 * 1024;

/**
 * Reasoning items by the tool call that they led to. Dialects without a slot for encrypted reasoning lose it between
 * the turns of a tool loop, and with it answer quality; this puts it back. Memory only, least recently used goes first.
 */
export class ReasoningStore {
  readonly #items = new Map<string, { items: readonly InputItem[]; size: number }>();
  #size = 0;

  /** `callId` is the id of the first tool call after the reasoning items. */
  remember(callId: string, items: readonly InputItem[]): void {
    this.forget(callId);
    const size = JSON.stringify(items).length;
    if (size > MAX_CHARACTERS) return;
    this.#items.set(callId, { items, size });
    this.#size += size;
    for (const oldest of this.#items.keys()) {
      if (this.#items.size <= MAX_CALLS && this.#size <= MAX_CHARACTERS) break;
      this.forget(oldest);
    }
  }

  recall(callId: string): readonly InputItem[] {
    const found = this.#items.get(callId);
    if (!found) return [];
    this.#items.delete(callId);
    this.#items.set(callId, found);
    return found.items;
  }

  forget(callId: string): void {
    const found = this.#items.get(callId);
    if (!found) return;
    this.#items.delete(callId);
    this.#size -= found.size;
  }
}
