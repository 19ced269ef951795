import type { WireEvent } from "../wire/event.ts";

/** What was sent of a text that comes in pieces. */
export interface Sent {
  readonly isEmpty: boolean;
  /** A piece, or the delta that holds it. */
  add(piece: WireEvent | string): void;
  /** Of a text that begins with what was sent, the rest; undefined when it begins otherwise. */
  restOf(whole: string): string | undefined;
  isBeginningOf(whole: string): boolean;
  /** All of it, where it is kept; else "". */
  readonly text: string;
}

/**
 * Enough of a text to find what is missing of the whole, without keeping it. An answer is long, there are many at once,
 * and a piece keeps alive all of the network read that it is cut from.
 */
export class SentText implements Sent {
  readonly text = "";
  /** In UTF-16 units. */
  #length = 0;
  #hash = START;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add(piece: WireEvent | string): void {
    const text = typeof piece === "string" ? piece : piece.delta;
    this.#length += text.length;
    this.#hash = hashed(this.#hash, text, text.length);
  }

  restOf(whole: string): string | undefined {
    return this.isBeginningOf(whole) ? whole.slice(this.#length) : undefined;
  }

  isBeginningOf(whole: string): boolean {
    return whole.length >= this.#length && hashed(START, whole, this.#length) === this.#hash;
  }
}

/** Pieces that are joined in one go. */
const JOINED = 256;

/** A text that is kept, for whoever has to repeat it. What was joined keeps no network read alive; the last pieces do. */
export class KeptText implements Sent {
  #joined: string[] = [];
  #pieces: string[] = [];
  /** In UTF-16 units. */
  #length = 0;

  get isEmpty(): boolean {
    return this.#pieces.length === 0 && this.#joined.length === 0;
  }

  add(piece: WireEvent | string): void {
    const text = typeof piece === "string" ? piece : piece.delta;
    this.#length += text.length;
    this.#pieces.push(text);
    if (this.#pieces.length < JOINED) return;
    this.#joined.push(this.#pieces.join(""));
    this.#pieces = [];
  }

  /** A whole of the same length has no rest: to join the pieces for a comparison would cost more than all the rest. */
  restOf(whole: string): string | undefined {
    if (this.#length === whole.length) {
      if (whole !== "") [this.#joined, this.#pieces] = [[whole], []];
      return "";
    }
    const { text } = this;
    return whole.startsWith(text) ? whole.slice(text.length) : undefined;
  }

  isBeginningOf(whole: string): boolean {
    return whole.startsWith(this.text);
  }

  get text(): string {
    if (this.#joined.length > 1 || this.#pieces.length > 0) {
      this.#joined = [this.#joined.join("") + this.#pieces.join("")];
      this.#pieces = [];
    }
    return this.#joined[0] ?? "";
  }
}

/** FNV-1a, over UTF-16 units. Nobody forges these texts: that they are alike by accident is all there is to fear. */
const START = 0x811c9dc5;
const PRIME = 0x01000193;

function hashed(hash: number, text: string, length: number): number {
  let mixed = hash;
  for (let at = 0; at < length; at += 1) mixed = Math.imul(mixed ^ text.charCodeAt(at), PRIME);
  return mixed;
}
