import { roughJsonSize, type JsonSize } from "../lib/large-json.ts";
import type { InputItem } from "./wire/request.ts";

const MAX_CALLS = 2048;
/** Encrypted reasoning is a few KB an item; this bounds a long-lived relay. Counted in characters. */
const MAX_CHARACTERS = 16 * 1024 * 1024;

/** Reasoning items as one request keeps and finds them. */
export interface ReasoningMemory {
  /** `callId` is the id of the first tool call after the reasoning items. */
  remember(callId: string, items: readonly InputItem[]): void;
  /** The items of a call; none when they are not known any more. */
  recall(callId: string): readonly InputItem[];
  forget(callId: string): void;
}

/**
 * Reasoning items by the tool call that they led to. Dialects without a slot for encrypted reasoning lose it between
 * the turns of a tool loop, and with it answer quality; this puts it back. Memory only, least recently used goes first.
 */
export class ReasoningStore implements ReasoningMemory {
  readonly #items = new Map<string, { items: readonly InputItem[]; size: JsonSize }>();
  #characters = 0;

  remember(callId: string, items: readonly InputItem[]): void {
    this.forget(callId);
    const size = roughJsonSize(items);
    if (size.characters > MAX_CHARACTERS) return;
    this.#items.set(callId, { items, size });
    this.#characters += size.characters;
    for (const oldest of this.#items.keys()) {
      if (this.#items.size <= MAX_CALLS && this.#characters <= MAX_CHARACTERS) break;
      this.forget(oldest);
    }
  }

  /**
   * The store for one request of a client, which sees what that client's answers held: what is recalled is counted before
   * it is taken in. `reserve` may throw.
   */
  within(clientId: string, reserve: (size: JsonSize) => void): ReasoningMemory {
    // A client's id holds no line break, so no call of one client is one of another.
    const own = (callId: string) => `${clientId}\n${callId}`;
    return {
      remember: (callId, items) => this.remember(own(callId), items),
      recall: (callId) => {
        const size = this.#items.get(own(callId))?.size;
        if (size) reserve(size);
        return this.recall(own(callId));
      },
      forget: (callId) => this.forget(own(callId)),
    };
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
    this.#characters -= found.size.characters;
  }
}
