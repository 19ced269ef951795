import { prefixDeparture, prefixMarks, type MarkedRequest, type PrefixMarks } from "../codex/prefix.ts";

/** Conversations that are remembered, least recently used first out. */
const MOST_CONVERSATIONS = 256;

/** Says where a turn departs from the one before, which is where the backend's prompt cache ends for it. */
export class PrefixWatch {
  readonly #last = new Map<string, PrefixMarks>();

  /** Takes the marks of a request that is on its way. */
  read(conversationId: string, request: MarkedRequest): PrefixMarks | undefined {
    return prefixMarks(request, this.#last.get(conversationId));
  }

  /**
   * The part at which the request with these marks departs from the conversation's last one; undefined when it goes on
   * from it, or either has no marks.
   */
  notice(conversationId: string, marks: PrefixMarks | undefined): string | undefined {
    const last = this.#last.get(conversationId);
    this.#last.delete(conversationId);
    if (!marks) return undefined;
    this.#last.set(conversationId, marks);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= MOST_CONVERSATIONS) break;
      this.#last.delete(oldest);
    }
    return last && prefixDeparture(last, marks);
  }
}

/** The marks of a request, taken while the backend works on it: they are not needed before the reply has begun. */
export class PrefixReading {
  #read: (() => PrefixMarks | undefined) | undefined;
  #marks: PrefixMarks | undefined;

  /** Begins in the next turn of the event loop, when the request is out. */
  constructor(read: () => PrefixMarks | undefined) {
    this.#read = read;
    setImmediate(() => this.marks);
  }

  get marks(): PrefixMarks | undefined {
    // The request itself is let go of.
    const read = this.#read;
    this.#read = undefined;
    if (read) this.#marks = read();
    return this.#marks;
  }
}
