import { CommentFilter } from "./comment-filter.ts";

/** What the model thinks, as one text: parts set apart by an empty line, empty comments left out. */
export class ReasoningText {
  readonly #comments = new CommentFilter();
  /** The part that text comes in for, and the last one of which any was shown. */
  #part: unknown;
  #shownPart: unknown;

  /** The text to show now. Whatever `part` is, it is the same for all of one part. */
  push(part: unknown, text: string): string {
    const held = part === this.#part ? "" : this.flush();
    this.#part = part;
    const shown = this.#comments.push(text);
    return shown === "" ? held : held + this.#separator() + shown;
  }

  /** What was held back, once the part is over. */
  flush(): string {
    const held = this.#comments.flush();
    return held === "" ? "" : this.#separator() + held;
  }

  #separator(): string {
    const isNext = this.#shownPart !== undefined && this.#shownPart !== this.#part;
    this.#shownPart = this.#part;
    return isNext ? "\n\n" : "";
  }
}
