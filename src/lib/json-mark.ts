import { hash32 } from "./hash.ts";
import { isObject } from "./json.ts";

/** Texts up to this length are read here: a call of the hash function costs more. In characters. */
const SHORT = 16;

/** What comes next. No length and no character is one of them, so that nothing can be read in two ways. */
const KIND = { null: -1, false: -2, true: -3, number: -4, text: -5, list: -6, object: -7, end: -8 } as const;

/**
 * Makes marks of JSON values: numbers of 32 bits that are the same for values with the same JSON text and, but for
 * chance, differ for all others. That text itself is never made: it is most of what hashing it would cost. Goes as deep
 * as its values do, which are those of requests: 500 levels.
 */
export class JsonMarker {
  #left: number;

  /** Reads about so many characters of JSON altogether, and not much beyond. */
  constructor(mostCharacters: number) {
    this.#left = mostCharacters;
  }

  /** True once something was left unread: marks made from then on say nothing. */
  get isExhausted(): boolean {
    return this.#left < 0;
  }

  /** The mark of one value. */
  mark(value: unknown): number {
    return this.#value(0, value) >>> 0;
  }

  #value(mark: number, value: unknown): number {
    if (typeof value === "string") return this.#text(mixed(mark, KIND.text), value);
    this.#left -= 2;
    if (this.#left < 0) return mark;
    if (Array.isArray(value)) return this.#list(mixed(mark, KIND.list), value);
    if (isObject(value)) return this.#object(mixed(mark, KIND.object), value);
    if (typeof value === "number" && Number.isFinite(value)) return withNumber(mixed(mark, KIND.number), value);
    return mixed(mark, value === true ? KIND.true : value === false ? KIND.false : KIND.null);
  }

  #list(mark: number, list: readonly unknown[]): number {
    let all = mark;
    for (const entry of list) all = this.#value(all, entry);
    return mixed(all, KIND.end);
  }

  #object(mark: number, object: Readonly<Record<string, unknown>>): number {
    let all = mark;
    for (const key in object) {
      const entry = object[key];
      // Neither is JSON.
      if (entry !== undefined) all = this.#value(this.#text(all, key), entry);
    }
    return mixed(all, KIND.end);
  }

  #text(mark: number, text: string): number {
    const { length } = text;
    this.#left -= length + 2;
    if (this.#left < 0) return mark;
    if (length > SHORT) return mixed(mixed(mark, length), hashOf(text));
    let all = mixed(mark, length);
    for (let at = 0; at < length; at += 1) all = mixed(all, text.charCodeAt(at));
    return all;
  }
}

/** One to one in either of its arguments, so that what differs stays different until texts that are hashed come in. */
function mixed(mark: number, value: number): number {
  const product = Math.imul(mark ^ value, 0x9e3779b1);
  return product ^ (product >>> 15);
}

/** Half of a pair of surrogates is hashed as any other half is; JSON writes down which it is. */
function hashOf(text: string): number {
  return hash32(text.isWellFormed() ? text : JSON.stringify(text));
}

function withNumber(mark: number, value: number): number {
  return Number.isInteger(value) && (value | 0) === value ? mixed(mark, value) : mixed(~mark, hash32(String(value)));
}
