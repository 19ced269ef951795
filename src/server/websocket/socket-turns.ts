import type { ResponseStore, Stored } from "../../codex/response-store.ts";
import type { InputItem } from "../../codex/wire/request.ts";

/** Responses that a request on the socket may go on from. */
const REMEMBERED = 8;

/** A request and its answer, for requests that go on from it. */
export interface SocketTurn {
  readonly id: string;
  /** Of the response that it went on from. */
  readonly previousId: string | undefined;
  /** Where the socket does not remember that one: the conversation before the request. */
  readonly before: readonly InputItem[];
  readonly input: readonly InputItem[];
  readonly output: readonly InputItem[];
}

/** What one socket remembers, in a store that bounds all sockets together. */
export class SocketTurns {
  readonly #store: ResponseStore;
  /** Tells its turns from those of other sockets. */
  readonly #socketId: string;
  readonly #now: () => number;
  /** Ids of responses, oldest first. */
  readonly #ids = new Set<string>();

  constructor(store: ResponseStore, socketId: string, now: () => number) {
    this.#store = store;
    this.#socketId = socketId;
    this.#now = now;
  }

  /** The conversation up to and with a response; undefined when it is not remembered. */
  conversation(id: string): Stored<() => InputItem[]> | undefined {
    return this.#store.conversation(this.#key(id), this.#now());
  }

  remember({ id, previousId, before, input, output }: SocketTurn): void {
    const isKnown = previousId !== undefined && this.conversation(previousId) !== undefined;
    const turn = isKnown
      ? { previousId: this.#key(previousId), input }
      : { previousId: undefined, input: [...before, ...input] };
    this.#store.remember({ id: this.#key(id), ...turn, output, response: {} }, this.#now());
    this.#ids.add(id);
    for (const oldest of this.#ids) {
      if (this.#ids.size <= REMEMBERED) return;
      this.forget(oldest);
    }
  }

  forget(id: string): void {
    this.#ids.delete(id);
    this.#store.forget(this.#key(id));
  }

  /** The socket is closed. */
  clear(): void {
    for (const id of this.#ids) this.forget(id);
  }

  #key(id: string): string {
    return `${this.#socketId} ${id}`;
  }
}
