/** Counts the tokens of a text; undefined while the vocabulary has not been read. */
export type CountTokens = (text: string) => number | undefined;

/** Text whose tokens are counted again with each piece, as a token may go on where a piece ends; in UTF-16 units. */
const TAIL = 200;
const SLICE = 2000;

/**
 * The limit of an answer's tokens, which the backend refuses and the relay keeps. Text of fewer characters than the limit
 * has tokens is not counted at all: hardly any answer comes near its limit, and the vocabulary costs memory.
 */
export class OutputLimit {
  readonly maxTokens: number;
  readonly #count: CountTokens;
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
    let taken = "";
    // In slices: to find where a long text goes over the limit, it would be counted as a whole again and again.
    for (let at = 0; at < piece.length && !this.isHit; at += SLICE)
      taken += this.#takeSlice(piece.slice(at, at + SLICE));
    return taken;
  }

  #takeSlice(slice: string): string {
    this.#characters += slice.length;
    if (this.#characters <= this.maxTokens) {
      this.#tail += slice;
      return slice;
    }
    this.#settle();
    const before = this.#tail;
    this.#tail += slice;
    if (this.#fits(this.#tail)) return slice;
    this.isHit = true;
    return slice.slice(0, this.#longestFit(before, slice));
  }

  #fits(tail: string): boolean {
    const tokens = this.#count(tail);
    return tokens === undefined || this.#tokens + tokens <= this.maxTokens;
  }

  /** Counts all but the end of the tail for good, up to where a word begins. */
  #settle(): void {
    if (this.#tail.length <= TAIL) return;
    const space = this.#tail.lastIndexOf(" ");
    // Text without spaces is cut anywhere: that costs a token, if any.
    const at = space > 0 ? space : this.#tail.length;
    const tokens = this.#count(this.#tail.slice(0, at));
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
