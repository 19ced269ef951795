/** What an event says about which output item it belongs to. */
export interface ItemKey {
  readonly output_index?: number | null | undefined;
  readonly item_id?: string | null | undefined;
}

/**
 * Which events speak of the same output item. Position first, then id: ids may be missing, and the terminal event may
 * leave items out, so that positions in it are not those of the stream.
 */
export class ItemSlots {
  readonly #byIndex = new Map<number, number>();
  readonly #byName = new Map<string, number>();
  #count = 0;
  #last: ItemKey = {};
  #lastSlot = -1;

  /** The slot of an event's item; a new one for an item not seen before. */
  of(key: ItemKey): number {
    // Nearly every delta belongs to the item of the one before.
    if (key.output_index === this.#last.output_index && key.item_id === this.#last.item_id && this.#lastSlot >= 0) {
      return this.#lastSlot;
    }
    const index = key.output_index ?? undefined;
    const known = (index === undefined ? undefined : this.#byIndex.get(index)) ?? this.#named(key.item_id);
    const slot = known ?? this.#next();
    if (index !== undefined) this.#byIndex.set(index, slot);
    this.name(slot, key.item_id);
    this.#last = { output_index: key.output_index, item_id: key.item_id };
    this.#lastSlot = slot;
    return slot;
  }

  /** Another name of an item, such as the id of a call. */
  name(slot: number, name: string | null | undefined): void {
    if (name) this.#byName.set(name, slot);
  }

  /** The slot of an item in the terminal event's `output`. */
  ofFinal(item: { readonly id?: string | null | undefined; call_id?: string | null | undefined }, position: number) {
    const known = this.#named(item.id) ?? this.#named(item.call_id);
    if (known !== undefined) return known;
    const there = this.#byIndex.get(position);
    const isTaken = Boolean(item.id) && there !== undefined && [...this.#byName.values()].includes(there);
    return isTaken ? this.#next() : this.of({ output_index: position, item_id: item.id });
  }

  #named(name: string | null | undefined): number | undefined {
    return name ? this.#byName.get(name) : undefined;
  }

  #next(): number {
    this.#count += 1;
    return this.#count - 1;
  }
}
