/** Counts the tokens of a text; undefined while the vocabulary has not been read. */
export type CountTokens = (text: string) => number | undefined;

/** Text whose tokens are counted again with each piece: a token may go on where a piece ends. In UTF-16 units. */
const TAIL = 200;

/**
 * The limit of an answer's tokens, which the backend refuses and the relay keeps. Text of fewer characters than the limit
 * has tokens is not counted at all: hardly any answer comes near its limit, and the vocabulary costs memory.
 */
export class OutputLimit {
  readonly maxTokens: number;
  readonly #count: CountTokens;
  #isCounting = false;
  #characters = 0;
  /** Tokens of what stands before the tail. */
  #tokens = 0;
  /** What is not counted for good. */
  #tail = "";
  isHit = false;

  constructor(maxTokens: number, count: CountTokens) {
    this.maxTokens = maxTokens;
    this.#count = count;
  }

  /** What of the next piece is still within the limit. */
  take(piece: string): string {
    if (this.isHit) return "";
    const before = this.#tail;
    this.#tail += piece;
    this.#characters += piece.length;
    this.#isCounting ||= this.#characters > this.maxTokens;
    if (!this.#isCounting || this.#fits(this.#tail)) {
      if (this.#isCounting) this.#settle();
      return piece;
    }
    this.isHit = true;
    return piece.slice(0, this.#longestFit(before, piece));
  }

  #fits(tail: string): boolean {
    const tokens = this.#count(tail);
    return tokens === undefined || this.#tokens + tokens <= this.maxTokens;
  }

  /** Counts all but the end of the tail for good, up to where a word begins. */
  #settle(): void {
    if (this.#tail.length <= TAIL) return;
    const at = this.#tail.lastIndexOf(" ");
    const tokens = at > 0 ? this.#count(this.#tail.slice(0, at)) : undefined;
    if (tokens === undefined) return;
    this.#tokens += tokens;
    this.#tail = this.#tail.slice(at);
  }

  /** Of the piece that goes over the limit, the longest beginning that does not. In UTF-16 units. */
  #longestFit(before: string, piece: string): number {
    let [fit, tooLong] = [0, piece.length];
    while (tooLong - fit > 1) {
      const middle = (fit + tooLong) >> 1;
      if (this.#fits(before + piece.slice(0, middle))) fit = middle;
      else tooLong = middle;
    }
    // Half a character cannot be sent.
    const last = piece.charCodeAt(fit - 1);
    return last >= 0xd800 && last <= 0xdbff ? fit - 1 : fit;
  }
}
