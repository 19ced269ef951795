import type { JsonObject } from "../lib/json.ts";
import { roughJsonLength } from "../lib/large-json.ts";
import type { InputItem } from "./wire/schema.ts";

const MAX_RESPONSES = 256;
/** A turn with images is a few MB; this bounds a long-lived relay. Counted in characters of JSON. */
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

interface Node {
  readonly turn: StoredTurn;
  readonly parent: Node | undefined;
  readonly size: number;
  usedAtMs: number;
  /** Nodes that go on from this one, and so need it. */
  children: number;
  isKnown: boolean;
}

/**
 * Responses for `previous_response_id`, item references and GET, none of which the backend has: it stores nothing.
 * Memory only, bounded by count, size and age, least recently used first; each key of the relay sees its own. A turn
 * keeps only what it added, so that a long conversation is held once and not once a turn.
 */
export class ResponseStore {
  readonly #nodes = new Map<string, Node>();
  #size = 0;

  /** Keeps a turn. Does nothing when the one that it goes on from is not known any more. */
  remember(clientId: string, turn: StoredTurn, nowMs: number): void {
    const parent = turn.previousId === undefined ? undefined : this.#find(clientId, turn.previousId, nowMs);
    if (turn.previousId !== undefined && !parent) return;
    const size = roughJsonLength([turn.input, turn.response], MAX_CHARACTERS);
    if (size > MAX_CHARACTERS) return;
    // Before the rest: upstream may repeat an id, and then the parent itself makes room.
    if (parent) parent.children += 1;
    this.forget(clientId, turn.id);
    this.#nodes.set(keyOf(clientId, turn.id), { turn, parent, size, usedAtMs: nowMs, children: 0, isKnown: true });
    this.#size += size;
    this.#shrink(nowMs);
  }

  /** Every item of the conversation up to and with a response, oldest first; undefined when it is not known. */
  conversation(clientId: string, id: string, nowMs: number): InputItem[] | undefined {
    let node = this.#find(clientId, id, nowMs);
    if (!node) return undefined;
    const turns: StoredTurn[] = [];
    for (; node; node = node.parent) turns.push(node.turn);
    return turns.toReversed().flatMap(({ input, output }) => [...input, ...output]);
  }

  get(clientId: string, id: string, nowMs: number): StoredTurn | undefined {
    return this.#find(clientId, id, nowMs)?.turn;
  }

  /** An item of any stored turn, by its own id. */
  item(clientId: string, itemId: string, nowMs: number): InputItem | undefined {
    for (const [key, { turn }] of [...this.#nodes].toReversed()) {
      if (key !== keyOf(clientId, turn.id)) continue;
      const found = [...turn.output, ...turn.input].find((item) => item["id"] === itemId);
      if (found && this.#find(clientId, turn.id, nowMs)) return found;
    }
    return undefined;
  }

  /** False when it was not known. */
  forget(clientId: string, id: string): boolean {
    const key = keyOf(clientId, id);
    const node = this.#nodes.get(key);
    if (!node) return false;
    this.#nodes.delete(key);
    node.isKnown = false;
    this.#release(node);
    return true;
  }

  #find(clientId: string, id: string, nowMs: number): Node | undefined {
    const key = keyOf(clientId, id);
    const node = this.#nodes.get(key);
    if (!node) return undefined;
    if (nowMs - node.usedAtMs > MAX_AGE_MS) {
      this.forget(clientId, id);
      return undefined;
    }
    node.usedAtMs = nowMs;
    this.#nodes.delete(key);
    this.#nodes.set(key, node);
    return node;
  }

  #shrink(nowMs: number): void {
    for (const [key, node] of this.#nodes) {
      const isOld = nowMs - node.usedAtMs > MAX_AGE_MS;
      if (!isOld && this.#nodes.size <= MAX_RESPONSES && this.#size <= MAX_CHARACTERS) return;
      this.#nodes.delete(key);
      node.isKnown = false;
      this.#release(node);
    }
  }

  /** Gives a node's room back once nothing goes on from it. */
  #release(node: Node): void {
    if (node.isKnown || node.children > 0) return;
    this.#size -= node.size;
    if (!node.parent) return;
    node.parent.children -= 1;
    this.#release(node.parent);
  }
}

/** Ids of responses hold no line break. */
function keyOf(clientId: string, id: string): string {
  return `${clientId}\n${id}`;
}
