import { isKnownEvent, isPreamble, isTerminal } from "../../codex/wire/event-types.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import { responseOf } from "../../codex/wire/lenient.ts";

/**
 * Where one answer of a socket ends and the next begins. Most frames do not say whose they are, so those of an answer
 * that is over must not be read as the next one's: each but the first has to begin with its `response.created`.
 */
export class AnswerBoundary {
  /** Of the answer that is over. */
  #lastId: string | undefined;
  /** What comes may be the answer's. */
  #isInside = true;

  /** True for a frame that belongs to no answer under way. */
  isStray(event: WireEvent): boolean {
    const { type } = event;
    if (this.#isInside || !type.startsWith("response.") || !isKnownEvent(type)) return false;
    // A request may be refused before its answer begins.
    if (isTerminal(type)) return this.#lastId !== undefined && responseOf(event.event).id === this.#lastId;
    return !isPreamble(type);
  }

  /** Takes note of a frame that is no stray. */
  notice(event: WireEvent): void {
    if (event.type === "response.created") this.#isInside = true;
    else if (isTerminal(event.type)) {
      this.#isInside = false;
      this.#lastId = responseOf(event.event).id ?? undefined;
    }
  }
}
