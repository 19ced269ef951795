/**
 * What was told of a text that came in pieces: enough to find what is missing of the whole, without keeping it. An
 * answer is long, there are many at once, and a piece would keep alive all of the network read that it is cut from.
 */
export class SentText {
  /** In characters. */
  length = 0;
  #hash = START;

  add(piece: string): void {
    this.length += piece.length;
    this.#hash = hashed(this.#hash, piece, piece.length);
  }

  /** Of a text that begins with what was told, the rest; undefined when it begins otherwise. */
  restOf(whole: string): string | undefined {
    if (whole.length < this.length || hashed(START, whole, this.length) !== this.#hash) return undefined;
    return whole.slice(this.length);
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
