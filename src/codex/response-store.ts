import { MOST_VALUES, roughJsonSize, type JsonSize } from "../lib/large-json.ts";
import type { JsonObject } from "../lib/json.ts";
import type { InputItem } from "./wire/schema.ts";

const MAX_RESPONSES = 256;
/** A turn with images is a few MB; this bounds a long-lived relay. In characters of JSON. */
const MAX_CHARACTERS = 64 * 1024 * 1024;
const MAX_AGE_MS = 60 * 60_000;

/** One finished response, as its client may refer to it later. */
export interface StoredTurn {
  readonly id: string;
  /** Of the response that this one went on from. */
  readonly previousId: string | undefined;
  /** What the client sent in this turn only, references resolved. */
  readonly input: readonly InputItem[];
  readonly output: readonly InputItem[];
  /** The response object in the public form. */
  readonly response: JsonObject;
}

/** Something stored, and how much it adds to a request: known before the request takes it in. */
export interface Stored<T> {
  readonly size: JsonSize;
  readonly value: T;
}

interface Node {
  readonly turn: StoredTurn;
  readonly parent: Node | undefined;
  /** Of what the turn added. */
  readonly size: JsonSize;
  /** Of the conversation up to and with the turn. */
  readonly whole: JsonSize;
  /** Of the whole turn with its response object, in characters. */
  readonly weight: number;
  usedAtMs: number;
  /** Nodes that go on from this one, and so need it. */
  children: number;
  isKnown: boolean;
}

interface ItemEntry extends Stored<InputItem> {
  readonly node: Node;
}

/**
 * Responses for `previous_response_id`, item references and GET, none of which the backend has: it stores nothing.
 * Memory only, bounded by count, size and age, least recently used first. A turn keeps only what it added, so that a
 * long conversation is held once and not once a turn. Items are found by their ids in one look-up.
 */
export class ResponseStore {
  readonly #nodes = new Map<string, Node>();
  /** The newest item of each id. */
  readonly #items = new Map<string, ItemEntry>();
  #weight = 0;

  /** Keeps a turn. Does nothing when the one that it goes on from is not known any more, or no request could hold it. */
  remember(turn: StoredTurn, nowMs: number): void {
    const parent = turn.previousId === undefined ? undefined : this.#find(turn.previousId, nowMs);
    if (turn.previousId !== undefined && !parent) return;
    const items = [...turn.input, ...turn.output].map((value) => ({ value, size: roughJsonSize(value) }));
    const size = items.reduce((sum, item) => added(sum, item.size), NOTHING);
    const weight = size.characters + roughJsonSize(turn.response, MAX_CHARACTERS).characters;
    const whole = added(size, parent?.whole ?? NOTHING);
    if (weight > MAX_CHARACTERS || whole.values > MOST_VALUES) return;
    // Before the rest: upstream may repeat an id, and then the parent itself makes room.
    if (parent) parent.children += 1;
    this.forget(turn.id);
    const node: Node = { turn, parent, size, whole, weight, usedAtMs: nowMs, children: 0, isKnown: true };
    this.#nodes.set(turn.id, node);
    this.#weight += weight;
    for (const { value, size: itemSize } of items) {
      if (typeof value["id"] === "string") this.#items.set(value["id"], { value, size: itemSize, node });
    }
    this.#shrink(nowMs);
  }

  /** Every item of the conversation up to and with a response, oldest first; undefined when it is not known. */
  conversation(id: string, nowMs: number): Stored<() => InputItem[]> | undefined {
    const node = this.#find(id, nowMs);
    return node && { size: node.whole, value: () => itemsUpTo(node) };
  }

  get(id: string, nowMs: number): StoredTurn | undefined {
    return this.#find(id, nowMs)?.turn;
  }

  /** An item of any stored turn, by its own id. */
  item(itemId: string, nowMs: number): Stored<InputItem> | undefined {
    const found = this.#items.get(itemId);
    return found && this.#find(found.node.turn.id, nowMs) ? found : undefined;
  }

  /** False when it was not known. */
  forget(id: string): boolean {
    const node = this.#nodes.get(id);
    if (!node) return false;
    this.#drop(node);
    return true;
  }

  #find(id: string, nowMs: number): Node | undefined {
    const node = this.#nodes.get(id);
    if (!node) return undefined;
    if (nowMs - node.usedAtMs > MAX_AGE_MS) {
      this.#drop(node);
      return undefined;
    }
    node.usedAtMs = nowMs;
    this.#nodes.delete(id);
    this.#nodes.set(id, node);
    return node;
  }

  #shrink(nowMs: number): void {
    for (const node of this.#nodes.values()) {
      const isOld = nowMs - node.usedAtMs > MAX_AGE_MS;
      if (!isOld && this.#nodes.size <= MAX_RESPONSES && this.#weight <= MAX_CHARACTERS) return;
      this.#drop(node);
    }
  }

  /** From now on nobody can refer to the turn or its items. */
  #drop(node: Node): void {
    const { id, input, output } = node.turn;
    this.#nodes.delete(id);
    for (const item of [...input, ...output]) {
      if (typeof item["id"] === "string" && this.#items.get(item["id"])?.node === node) this.#items.delete(item["id"]);
    }
    node.isKnown = false;
    this.#release(node);
  }

  /** Gives a node's room back once nothing goes on from it. */
  #release(node: Node): void {
    if (node.isKnown || node.children > 0) return;
    this.#weight -= node.weight;
    if (!node.parent) return;
    node.parent.children -= 1;
    this.#release(node.parent);
  }
}

const NOTHING: JsonSize = { characters: 0, values: 0 };

function added(one: JsonSize, other: JsonSize): JsonSize {
  return { characters: one.characters + other.characters, values: one.values + other.values };
}

function itemsUpTo(last: Node): InputItem[] {
  const turns: StoredTurn[] = [];
  for (let node: Node | undefined = last; node; node = node.parent) turns.push(node.turn);
  return turns.toReversed().flatMap(({ input, output }) => [...input, ...output]);
}
