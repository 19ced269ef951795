/** Each piece of text is searched for every one of them: thousands would take the time of everybody else. */
export const MOST_STOP_SEQUENCES = 64;

/**
 * Finds stop sequences in text that comes in pieces. Holds back as many characters as a sequence may still need, so
 * that no part of it is ever shown.
 */
export class StopScanner {
  readonly #sequences: readonly string[];
  /** Longest sequence less one: what may be the beginning of a match. */
  readonly #holdBack: number;
  #held = "";
  /** The sequence that ended the text. */
  found: string | undefined;

  constructor(sequences: readonly string[]) {
    this.#sequences = sequences;
    this.#holdBack = Math.max(0, ...sequences.map((sequence) => sequence.length - 1));
  }

  get isHit(): boolean {
    return this.found !== undefined;
  }

  /** The text that may be shown now. After a hit: what stood before it, then nothing. */
  push(text: string): string {
    if (this.isHit) return "";
    if (this.#sequences.length === 0) return text;
    const seen = this.#held + text;
    const [first] = this.#sequences
      .map((sequence) => ({ sequence, at: seen.indexOf(sequence) }))
      .filter(({ at }) => at >= 0)
      .toSorted((one, other) => one.at - other.at);
    if (first) {
      this.found = first.sequence;
      this.#held = "";
      return seen.slice(0, first.at);
    }
    let shown = Math.max(0, seen.length - this.#holdBack);
    // Half a character cannot be sent: not every client puts the halves together again.
    if (shown > 0 && isHighSurrogate(seen.charCodeAt(shown - 1))) shown -= 1;
    this.#held = seen.slice(shown);
    return seen.slice(0, shown);
  }

  /** What was held back, once it is clear that it began nothing. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
