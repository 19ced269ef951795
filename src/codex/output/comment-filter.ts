const COMMENT = "<!-- -->";

/**
 * Takes lines that hold nothing but an empty HTML comment out of reasoning summaries, where the backend puts them as
 * separators. Holds a line back only as long as it may still turn out to be one.
 */
export class CommentFilter {
  #held = "";
  #isLineStart = true;

  push(text: string): string {
    if (this.#held === "" && !text.includes("<")) {
      if (text !== "") this.#isLineStart = text.endsWith("\n");
      return text;
    }
    let shown = "";
    for (const character of text) {
      if (this.#held !== "" || (this.#isLineStart && character === "<")) {
        this.#held += character;
        if (this.#held === `${COMMENT}\n`) this.#held = "";
        else if (!`${COMMENT}\n`.startsWith(this.#held)) shown += this.#release();
      } else {
        shown += character;
        this.#isLineStart = character === "\n";
      }
    }
    return shown;
  }

  /** The end of a summary: a comment without a line break after it is one too. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    this.#isLineStart = true;
    return held === COMMENT ? "" : held;
  }

  #release(): string {
    const held = this.#held;
    this.#held = "";
    this.#isLineStart = held.endsWith("\n");
    return held;
  }
}
