import { prefixDeparture, prefixMarks, type PrefixMarks } from "../codex/prefix.ts";
import type { Envelope } from "../codex/request/lite.ts";
import type { CodexRequest } from "../codex/wire/request.ts";
import { roughJsonSize } from "../lib/large-json.ts";

/** Conversations that are remembered, least recently used first out. */
const MOST_CONVERSATIONS = 256;
/** Four bytes each. Longer conversations are not watched. */
const MOST_ITEMS = 4096;
/** Larger requests are not watched: their hashes would hold up the event loop. In characters of JSON. */
const LARGEST = 4 * 1024 * 1024;

/** Says where a turn departs from the one before, which is where the backend's prompt cache ends for it. */
export class PrefixWatch {
  readonly #last = new Map<string, PrefixMarks>();

  /** The part at which this request departs from the conversation's last one; undefined when it goes on from it. */
  notice(conversationId: string, body: CodexRequest, envelope: Envelope | "verbatim"): string | undefined {
    const last = this.#last.get(conversationId);
    this.#last.delete(conversationId);
    if (body.input.length > MOST_ITEMS || roughJsonSize(body, LARGEST).characters > LARGEST) return undefined;
    const marks = prefixMarks(body, envelope);
    this.#last.set(conversationId, marks);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= MOST_CONVERSATIONS) break;
      this.#last.delete(oldest);
    }
    return last && prefixDeparture(last, marks);
  }
}
