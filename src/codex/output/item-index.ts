import { isCall } from "../wire/lenient.ts";
import type { OutputItem } from "../wire/schema.ts";

/** An output item as far as events tell which one they speak of. */
export interface KnownItem {
  /** Its `output_index` in the regular stream: upstream's own unless two items share one. */
  readonly index: number;
  /** Its `item_id` in the regular stream: upstream's first, or one that is made up. */
  readonly id: string;
  readonly type: string;
  readonly isAnnounced: boolean;
  readonly isDone: boolean;
  /** Of a call, as far as it is known. */
  readonly callId: string | undefined;
  /** True where the whole item says something else than what has been told of this one. */
  isContradictedBy(whole: OutputItem): boolean;
}

/** What an event says about its item. */
export interface ItemKey {
  readonly index: number | undefined;
  readonly id: string | undefined;
}

/** Reads the key of an event, whose fields may be missing or of another type. An event with the whole item has its id there. */
export function keyOf(event: { readonly [field: string]: unknown }, id: unknown = event["item_id"]): ItemKey {
  const index = event["output_index"];
  return {
    index: typeof index === "number" ? index : undefined,
    id: typeof id === "string" && id !== "" ? id : undefined,
  };
}

/**
 * Which events speak of the same item. Streams exist whose ids change with every event, whose items share an index or an
 * id, or that leave either out; so an id that is known decides, then the index, then the order.
 */
export class ItemIndex<Item extends KnownItem> {
  readonly #make: (index: number, id: string, type: string) => Item;
  readonly #items: Item[] = [];
  /** By upstream's index, the newest item that has it. */
  readonly #byIndex = new Map<number, Item>();
  readonly #byId = new Map<string, Item>();
  readonly #byCallId = new Map<string, Item>();
  /** Those that upstream has told a place of. */
  readonly #placed = new Set<Item>();
  /** Indexes and ids of the regular stream. */
  readonly #taken = new Set<number | string>();
  #next = 0;
  /** None came with an index below that of one before it. */
  #isInOrder = true;
  /** Ids of more than one item, which tell nothing. */
  readonly #sharedIds = new Set<string>();

  constructor(make: (index: number, id: string, type: string) => Item) {
    this.#make = make;
  }

  /** In the order of their indexes. */
  get inOrder(): readonly Item[] {
    return this.#isInOrder ? this.#items : this.#items.toSorted((one, other) => one.index - other.index);
  }

  /** The item that a piece belongs to, where only items of one type have such pieces. */
  ofPiece(key: ItemKey, type: string): Item {
    return this.#known(key, type) ?? this.#open(key, type) ?? this.#add(key, type);
  }

  /** The item that an announcement begins, or repeats. */
  ofAnnouncement(item: OutputItem, key: ItemKey): Item {
    return this.#calling(item, this.#announced(item, key));
  }

  #announced(item: OutputItem, key: ItemKey): Item {
    const named = this.#byCall(item) ?? this.#named(key.id);
    if (named && !this.#isOther(named, item, key)) return this.#called(named, key);
    if (named && key.id !== undefined) this.#share(key.id);
    const there = key.index === undefined ? undefined : this.#byIndex.get(key.index);
    if (
      there &&
      there !== named &&
      there.type === item.type &&
      (there.isAnnounced ? this.#isRepeated(there, item, key) : !(there.isDone && this.#isNew(key)))
    ) {
      return this.#called(there, key);
    }
    if (key.index === undefined && key.id === undefined) {
      const begun = this.#items.findLast((other) => other.type === item.type && !other.isAnnounced && !other.isDone);
      if (begun) return begun;
    }
    return this.#add(key, item.type);
  }

  /** The item that an item's end belongs to. */
  ofDone(item: OutputItem, key: ItemKey): Item {
    return this.#calling(item, this.#ended(item, key));
  }

  #ended(item: OutputItem, key: ItemKey): Item {
    const called = this.#byCall(item);
    if (called) return this.#called(called, key);
    // Where items share an index, or have none, one that only ends must not end another that is still open.
    const isAnother = (known: Item) =>
      (this.#isNew(key) || this.#isElsewhere(known, key)) && known.isContradictedBy(item);
    const known = this.#meant(key, item.type);
    const isOtherCall = isCall(item) && known?.callId !== undefined && item.call_id && known.callId !== item.call_id;
    if (known && !isOtherCall && !isAnother(known)) return this.#called(known, key);
    if (known && key.id !== undefined && this.#byId.get(key.id) === known) this.#share(key.id);
    const open = this.#open({ ...key, id: undefined }, item.type, item.call_id);
    return open && !isAnother(open) ? open : this.#add(key, item.type);
  }

  /**
   * The items in the last event's list, which may leave some out, add others, and name them anew. Nothing in it tells
   * positions apart from those of the stream, so what has no known name is taken in the order of its type.
   */
  ofFinal(list: readonly OutputItem[]): Item[] {
    const ids = list.map(({ id }) => id);
    for (const [place, id] of ids.entries()) if (id && ids.indexOf(id) !== place) this.#share(id);
    const found = list.map((item) => this.#byCall(item) ?? this.#named(item.id ?? undefined));
    const taken = new Set(found);
    // Without those that this list adds.
    const order = [...this.inOrder];
    return list.map((item, position) => {
      const named = found[position];
      if (named) return named;
      const next = order.find(
        (other) => other.type === item.type && !taken.has(other) && !(isCall(item) && other.callId && item.call_id),
      );
      if (next) taken.add(next);
      return this.#calling(item, next ?? this.#add({ index: undefined, id: item.id ?? undefined }, item.type));
    });
  }

  /** Notes another name of an item. */
  #called(item: Item, { index, id }: ItemKey): Item {
    if (id !== undefined && !this.#sharedIds.has(id)) this.#byId.set(id, item);
    if (index === undefined) return item;
    this.#placed.add(item);
    if (!this.#byIndex.has(index)) this.#byIndex.set(index, item);
    return item;
  }

  #known(key: ItemKey, type: string): Item | undefined {
    const item = this.#meant(key, type);
    return item && this.#called(item, key);
  }

  #meant(key: ItemKey, type: string): Item | undefined {
    const named = this.#named(key.id);
    if (named?.type === type && !this.#isShared(named, key)) return named;
    const there = key.index === undefined ? undefined : this.#byIndex.get(key.index);
    if (!there || there.type !== type) return undefined;
    // An end has come, and this is of an item with another name.
    return there.isDone && key.id !== undefined && !this.#sharedIds.has(key.id) ? undefined : there;
  }

  #isNew({ id }: ItemKey): boolean {
    return id !== undefined && !this.#byId.has(id) && !this.#sharedIds.has(id);
  }

  /** True for another place than the item's own. */
  #isElsewhere(item: Item, { index }: ItemKey): boolean {
    return index !== undefined && this.#placed.has(item) && this.#byIndex.get(index) !== item;
  }

  /** True where an id that is known comes with another place, and its own item is over or was never announced. */
  #isShared(named: Item, key: ItemKey): boolean {
    if (key.id === undefined || !this.#isElsewhere(named, key)) return false;
    if (named.isAnnounced && !named.isDone) return false;
    this.#share(key.id);
    return true;
  }

  #share(id: string): void {
    this.#sharedIds.add(id);
    this.#byId.delete(id);
  }

  /** For events without an index: the newest item that is still open. */
  #open(key: ItemKey, type: string, callId?: string | null): Item | undefined {
    if (key.index !== undefined || (key.id !== undefined && !this.#sharedIds.has(key.id))) return undefined;
    return this.#items.findLast(
      (item) => item.type === type && !item.isDone && !(callId && item.callId !== undefined && item.callId !== callId),
    );
  }

  /** True when an announcement under a known name is of another item: names may be shared. */
  #isOther(named: Item, item: OutputItem, { index }: ItemKey): boolean {
    if (!named.isAnnounced && !named.isDone) return false;
    if (named.type !== item.type) return true;
    if (isCall(item) && item.call_id && named.callId) return named.callId !== item.call_id;
    return index !== undefined && this.#byIndex.get(index) !== named;
  }

  #isRepeated(there: Item, item: OutputItem, { id }: ItemKey): boolean {
    if (isCall(item) && item.call_id && there.callId) return item.call_id === there.callId;
    return id === undefined || this.#sharedIds.has(id) || this.#named(id) === there;
  }

  #byCall(item: OutputItem): Item | undefined {
    if (!isCall(item) || !item.call_id) return undefined;
    return this.#byCallId.get(item.call_id);
  }

  #calling({ call_id: callId }: OutputItem, item: Item): Item {
    if (callId && !this.#byCallId.has(callId)) this.#byCallId.set(callId, item);
    return item;
  }

  #named(id: string | null | undefined): Item | undefined {
    return id ? this.#byId.get(id) : undefined;
  }

  #add(key: ItemKey, type: string): Item {
    const index = key.index === undefined || this.#taken.has(key.index) ? this.#next : key.index;
    const isFree = key.id !== undefined && !this.#taken.has(key.id);
    const id = isFree && key.id !== undefined ? key.id : `${PREFIX[type] ?? type}_${index}`;
    const item = this.#make(index, id, type);
    this.#isInOrder &&= index > (this.#items.at(-1)?.index ?? -1);
    this.#items.push(item);
    this.#taken.add(index).add(id);
    this.#next = Math.max(this.#next, index + 1);
    if (key.index !== undefined) this.#byIndex.set(key.index, item);
    return this.#called(item, key);
  }
}

/** How ids of made-up items begin. */
const PREFIX: Readonly<Record<string, string>> = {
  message: "msg",
  reasoning: "rs",
  function_call: "fc",
  custom_tool_call: "ctc",
  web_search_call: "ws",
  image_generation_call: "ig",
};
