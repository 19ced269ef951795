/** Counts the tokens of a text; undefined while the vocabulary has not been read. */
export type CountTokens = (text: string) => number | undefined;

/** Text whose tokens are counted again with each piece, as a token may go on where a piece ends; in UTF-16 units. */
const TAIL = 200;
const SLICE = 2000;
/** Tokens that a UTF-16 unit may be at most: those of its bytes. */
const MOST_TOKENS = 3;

/**
 * The limit of an answer's tokens, which the backend refuses and the relay keeps. Text of fewer characters than the limit
 * has tokens is not counted at all: hardly any answer comes near its limit, and the vocabulary costs memory. Beyond that
 * it is counted where it may have come to the limit since it was counted last.
 */
export class OutputLimit {
  readonly maxTokens: number;
  readonly #count: CountTokens;
  #characters = 0;
  /** Tokens of what stands before the tail. */
  #tokens = 0;
  /** What is not counted for good. */
  readonly #tail = new Tail();
  isHit = false;

  constructor(maxTokens: number, count: CountTokens) {
    this.maxTokens = maxTokens;
    this.#count = count;
  }

  /** What of the next piece is still within the limit. */
  take(piece: string): string {
    if (!this.isHit && this.#isFarFromLimit(piece.length)) return this.#keep(piece);
    let taken = "";
    // In slices: to find where a long text goes over the limit, it would be counted as a whole again and again.
    for (let at = 0; at < piece.length && !this.isHit; at += SLICE)
      taken += this.#takeSlice(piece.slice(at, at + SLICE));
    return taken;
  }

  /** True where so many characters more cannot come to the limit, whatever they are. */
  #isFarFromLimit(more: number): boolean {
    if (this.#characters + more <= this.maxTokens) return true;
    return this.#tokens > 0 && this.#tokens + MOST_TOKENS * (this.#tail.length + more) <= this.maxTokens;
  }

  #keep(piece: string): string {
    this.#characters += piece.length;
    this.#tail.add(piece);
    return piece;
  }

  #takeSlice(slice: string): string {
    this.#settle();
    if (this.#isFarFromLimit(slice.length)) return this.#keep(slice);
    const before = this.#tail.text;
    this.#keep(slice);
    if (this.#fits(before + slice)) return slice;
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
    const { text } = this.#tail;
    const space = text.lastIndexOf(" ");
    // Text without spaces is cut anywhere: that costs a token, if any.
    const at = space > 0 ? space : text.length;
    const tokens = this.#count(text.slice(0, at));
    if (tokens === undefined) return;
    this.#tokens += tokens;
    this.#tail.reset(text.slice(at));
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

/** Pieces that are joined now and then: one that waits keeps alive all of the network read that it is cut from. */
const MOST_PIECES = 64;

/** A text that grows by small pieces, and is rarely asked for. */
class Tail {
  /** In UTF-16 units. */
  length = 0;
  #joined = "";
  #pieces: string[] = [];

  add(piece: string): void {
    this.length += piece.length;
    this.#pieces.push(piece);
    if (this.#pieces.length >= MOST_PIECES) this.#join();
  }

  reset(text: string): void {
    this.length = text.length;
    this.#joined = text;
    this.#pieces = [];
  }

  get text(): string {
    this.#join();
    return this.#joined;
  }

  #join(): void {
    this.#joined += this.#pieces.join("");
    this.#pieces = [];
  }
}
