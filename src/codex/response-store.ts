import { MOST_VALUES } from "../lib/json-shape.ts";
import { roughJsonSize, type JsonSize } from "../lib/large-json.ts";
import type { JsonObject } from "../lib/json.ts";
import type { InputItem } from "./wire/request.ts";

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

/** Finished responses as one client keeps and finds them. */
export interface ResponseMemory {
  /** Keeps a turn. Does nothing when the one that it goes on from is not known any more, or no request could hold it. */
  remember(turn: StoredTurn, nowMs: number): void;
  /** Every item of the conversation up to and with a response, oldest first; undefined when it is not known. */
  conversation(id: string, nowMs: number): Stored<() => InputItem[]> | undefined;
  get(id: string, nowMs: number): StoredTurn | undefined;
  /** An item of any stored turn, by its own id. */
  item(itemId: string, nowMs: number): Stored<InputItem> | undefined;
  /** False when it was not known. */
  forget(id: string): boolean;
}

interface Node {
  /** Its place in the store. */
  readonly key: string;
  readonly clientId: string;
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
 * long conversation is held once and not once a turn. Items are found by their ids in one look-up. Clients share the room,
 * never what is in it: every id belongs to the client that it was remembered for, `""` where clients have no keys.
 */
export class ResponseStore implements ResponseMemory {
  readonly #nodes = new Map<string, Node>();
  /** The newest item of each id. */
  readonly #items = new Map<string, ItemEntry>();
  #weight = 0;

  /** The part of the store that one client sees. */
  ofClient(clientId: string): ResponseMemory {
    return {
      remember: (turn, nowMs) => this.remember(turn, nowMs, clientId),
      conversation: (id, nowMs) => this.conversation(id, nowMs, clientId),
      get: (id, nowMs) => this.get(id, nowMs, clientId),
      item: (itemId, nowMs) => this.item(itemId, nowMs, clientId),
      forget: (id) => this.forget(id, clientId),
    };
  }

  remember(turn: StoredTurn, nowMs: number, clientId = ""): void {
    const { previousId } = turn;
    const parent = previousId === undefined ? undefined : this.#find(keyOf(clientId, previousId), nowMs);
    if (previousId !== undefined && !parent) return;
    const items = [...turn.input, ...turn.output].map((value) => ({ value, size: roughJsonSize(value) }));
    const size = items.reduce((sum, item) => added(sum, item.size), NOTHING);
    const weight = size.characters + roughJsonSize(turn.response, MAX_CHARACTERS).characters;
    const whole = added(size, parent?.whole ?? NOTHING);
    if (weight > MAX_CHARACTERS || whole.values > MOST_VALUES) return;
    // Before the rest: upstream may repeat an id, and then the parent itself makes room.
    if (parent) parent.children += 1;
    this.forget(turn.id, clientId);
    const key = keyOf(clientId, turn.id);
    const own = { key, clientId, turn, parent, size, whole, weight };
    const node: Node = { ...own, usedAtMs: nowMs, children: 0, isKnown: true };
    this.#nodes.set(key, node);
    this.#weight += weight;
    for (const { value, size: itemSize } of items) {
      const { id } = value;
      if (typeof id === "string") this.#items.set(keyOf(clientId, id), { value, size: itemSize, node });
    }
    this.#shrink(nowMs);
  }

  conversation(id: string, nowMs: number, clientId = ""): Stored<() => InputItem[]> | undefined {
    const node = this.#find(keyOf(clientId, id), nowMs);
    return node && { size: node.whole, value: () => itemsUpTo(node) };
  }

  get(id: string, nowMs: number, clientId = ""): StoredTurn | undefined {
    return this.#find(keyOf(clientId, id), nowMs)?.turn;
  }

  item(itemId: string, nowMs: number, clientId = ""): Stored<InputItem> | undefined {
    const found = this.#items.get(keyOf(clientId, itemId));
    return found && this.#find(found.node.key, nowMs) ? found : undefined;
  }

  /** Ids of the turns that a response goes on from, oldest first; undefined when it is not known. */
  lineOf(id: string, clientId = ""): string[] | undefined {
    const node = this.#nodes.get(keyOf(clientId, id));
    if (!node) return undefined;
    const line: string[] = [];
    for (let { parent } = node; parent; { parent } = parent) line.push(parent.turn.id);
    return line.toReversed();
  }

  forget(id: string, clientId = ""): boolean {
    const node = this.#nodes.get(keyOf(clientId, id));
    if (!node) return false;
    this.#drop(node);
    return true;
  }

  #find(key: string, nowMs: number): Node | undefined {
    const node = this.#nodes.get(key);
    if (!node) return undefined;
    if (nowMs - node.usedAtMs > MAX_AGE_MS) {
      this.#drop(node);
      return undefined;
    }
    node.usedAtMs = nowMs;
    this.#nodes.delete(key);
    this.#nodes.set(key, node);
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
    const { key, clientId, turn } = node;
    this.#nodes.delete(key);
    for (const { id } of [...turn.input, ...turn.output]) {
      if (typeof id !== "string") continue;
      const itemKey = keyOf(clientId, id);
      if (this.#items.get(itemKey)?.node === node) this.#items.delete(itemKey);
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

/** A client's id holds no line break, so no id of one client is an id of another. */
function keyOf(clientId: string, id: string): string {
  return `${clientId}\n${id}`;
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
