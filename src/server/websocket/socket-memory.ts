import { inputItems } from "../../codex/request/build.ts";
import type { ResponseStore, Stored } from "../../codex/response-store.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Share } from "../budget.ts";
import type { Answered } from "./answered.ts";
import { withoutFrameFields } from "./request-frame.ts";
import { SocketTurns } from "./socket-turns.ts";

/** What a request asks, and what it goes on from. */
export interface Asked {
  /** Of this request only. */
  readonly added: readonly InputItem[];
  /** The conversation that it goes on from, where only the socket remembers it. */
  readonly earlier: Stored<() => InputItem[]> | undefined;
}

export interface SocketMemoryOptions {
  /** What sockets remember, all of them together. */
  readonly turns: ResponseStore;
  readonly socketId: string;
  readonly now: () => number;
  /** A conversation in the relay's own memory, where other connections leave theirs. */
  readonly storedElsewhere: (id: string) => Stored<() => InputItem[]> | undefined;
}

/** What the requests of one socket go on from: the socket's own turns, and those that the relay has for everybody. */
export class SocketMemory {
  readonly #turns: SocketTurns;
  readonly #storedElsewhere: SocketMemoryOptions["storedElsewhere"];

  constructor({ turns, socketId, now, storedElsewhere }: SocketMemoryOptions) {
    this.#turns = new SocketTurns(turns, socketId, now);
    this.#storedElsewhere = storedElsewhere;
  }

  /** What the request adds, and to what. Throws `previous_response_not_found`. */
  asked(body: JsonObject): Asked {
    const added = inputItems(body["input"]);
    const id = previousIdOf(body);
    if (id === undefined || this.#storedElsewhere(id)) return { added, earlier: undefined };
    const earlier = this.#turns.conversation(id);
    if (earlier) return { added, earlier };
    throw new RelayError("previous_response_not_found", `Previous response with id '${id.slice(0, 100)}' not found.`, {
      param: "previous_response_id",
    });
  }

  /** True where the socket itself remembers what the request goes on from. */
  remembers(body: JsonObject): boolean {
    const id = previousIdOf(body);
    return id !== undefined && this.#turns.conversation(id) !== undefined;
  }

  /** Keeps what a request asked and was answered, for requests that go on from it. */
  remember({ id, items }: Answered, body: JsonObject, { added }: Asked): void {
    const previousId = previousIdOf(body);
    // What only the relay's own memory knows may be forgotten there first.
    const before = previousId === undefined ? [] : (this.#storedElsewhere(previousId)?.value() ?? []);
    this.#turns.remember({ id, previousId, before, input: added, output: items });
  }

  /** A response whose continuation failed cannot be gone on from again, where the client wanted nothing stored. */
  forgetPrevious({ previous_response_id: id, store }: JsonObject): void {
    if (store === false && typeof id === "string") this.#turns.forget(id);
  }

  /** The socket is closed. */
  clear(): void {
    this.#turns.clear();
  }
}

/** The response that a frame goes on from. */
export function previousIdOf({ previous_response_id: id }: JsonObject): string | undefined {
  return typeof id === "string" && id !== "" ? id : undefined;
}

/** The request as HTTP has it, with the conversation that it goes on from, which counts in `share`. */
export function wholeOf(body: JsonObject, { earlier, added }: Asked, share: Share): JsonObject {
  const sent = withoutFrameFields(body);
  if (!earlier) return sent;
  share.add(earlier.size);
  return { ...sent, input: [...earlier.value(), ...added], previous_response_id: undefined };
}
