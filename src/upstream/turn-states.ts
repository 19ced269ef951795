import { TURN_STATE_HEADER, type ReplyHeaders } from "../codex/wire/reply-headers.ts";
import { isObject } from "../lib/json.ts";

/** Conversations remembered; a state is some hundred bytes. */
const MAX_CONVERSATIONS = 1024;
/** A header that is sent back must not grow without bound. */
const MAX_LENGTH = 4096;

/**
 * The backend's routing state of each conversation's current turn. A reply's state goes back with the next requests of
 * the same turn, while their last input item is a tool's output: that keeps the turn on one machine and its prompt
 * cache (contract 0.14).
 */
export class TurnStates {
  /** By conversation, least recently used first. */
  readonly #states = new Map<string, string>();

  /** The header of a request; a request that begins a turn has none, and ends the turn before it. */
  headersFor(conversationId: string, body: { readonly input?: unknown }): Readonly<Record<string, string>> {
    if (isInsideTurn(body)) return this.headersWithin(conversationId);
    this.#states.delete(conversationId);
    return {};
  }

  /** The header of a request that is sure to be of the turn that the last reply was of. */
  headersWithin(conversationId: string): Readonly<Record<string, string>> {
    const state = this.#states.get(conversationId);
    return state === undefined ? {} : { [TURN_STATE_HEADER]: state };
  }

  /** Takes note of a reply's state. */
  notice(conversationId: string, headers: ReplyHeaders): void {
    const state = headers[TURN_STATE_HEADER];
    if (state === undefined || state === "" || state.length > MAX_LENGTH) return;
    this.#states.delete(conversationId);
    this.#states.set(conversationId, state);
    for (const oldest of this.#states.keys()) {
      if (this.#states.size <= MAX_CONVERSATIONS) break;
      this.#states.delete(oldest);
    }
  }
}

function isInsideTurn({ input }: { readonly input?: unknown }): boolean {
  const last: unknown = Array.isArray(input) ? input.at(-1) : undefined;
  return isObject(last) && typeof last["type"] === "string" && last["type"].endsWith("_output");
}
