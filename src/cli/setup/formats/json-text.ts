import { unquoted } from "../../../lib/json.ts";
/** JSON as a text with places: what an editor needs to change one value and leave every other byte alone. */
export interface JsonNode {
  readonly kind: "object" | "array" | "scalar";
  readonly start: number;
  /** One past its last character. */
  readonly end: number;
  readonly value: unknown;
  /** Of objects only. */
  readonly members: readonly JsonMember[];
  /** Of arrays only. */
  readonly items: readonly JsonNode[];
}

export interface JsonMember {
  readonly key: string;
  readonly keyStart: number;
  readonly node: JsonNode;
}

/** Thrown by `parseJsonText`; `offset` is where reading stopped. */
export class JsonTextError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Reads JSON with comments and trailing commas, which several clients allow in their settings; `isJson5` adds names
 * without quotes and single quotes. Throws JsonTextError.
 */
export function parseJsonText(text: string, isJson5 = false): JsonNode {
  return new Reader(text, isJson5).document();
}

/** The first place at or after `offset` that is neither white space nor comment. */
export function skipBlank(text: string, offset: number): number {
  const blank = /(?:[\s\uFEFF]+|\/\/[^\n]*|\/\*[^]*?\*\/)*/y;
  blank.lastIndex = offset;
  blank.exec(text);
  return blank.lastIndex;
}

class Reader {
  readonly #text: string;
  readonly #isJson5: boolean;
  #at = 0;

  constructor(text: string, isJson5: boolean) {
    this.#text = text;
    this.#isJson5 = isJson5;
  }

  document(): JsonNode {
    this.#blank();
    const node = this.#value();
    this.#blank();
    if (this.#at < this.#text.length) this.#fail("there is more text after the end");
    return node;
  }

  #value(): JsonNode {
    const start = this.#at;
    const first = this.#text[start];
    if (first === "{") return this.#object();
    if (first === "[") return this.#array();
    const value = first === '"' || (this.#isJson5 && first === "'") ? this.#string() : this.#word();
    return { kind: "scalar", start, end: this.#at, value, members: [], items: [] };
  }

  #object(): JsonNode {
    const start = this.#at;
    const members: JsonMember[] = [];
    this.#each("}", () => {
      const keyStart = this.#at;
      const key = this.#key();
      this.#blank();
      this.#expect(":");
      this.#blank();
      members.push({ key, keyStart, node: this.#value() });
    });
    // A key may be "__proto__", which is data here and nothing else.
    const value = Object.fromEntries(members.map(({ key, node }) => [key, node.value]));
    return { kind: "object", start, end: this.#at, value, members, items: [] };
  }

  #array(): JsonNode {
    const start = this.#at;
    const items: JsonNode[] = [];
    this.#each("]", () => items.push(this.#value()));
    return { kind: "array", start, end: this.#at, value: items.map(({ value }) => value), members: [], items };
  }

  /** What stands between the brackets, separated by commas, the last of which may be there or not. */
  #each(close: string, readOne: () => void): void {
    this.#at += 1;
    this.#blank();
    while (this.#text[this.#at] !== close) {
      readOne();
      this.#blank();
      if (this.#text[this.#at] === ",") {
        this.#at += 1;
        this.#blank();
      } else if (this.#text[this.#at] !== close) this.#fail(`expected , or ${close}`);
    }
    this.#at += 1;
  }

  #key(): string {
    const first = this.#text[this.#at];
    if (first === '"' || (this.#isJson5 && first === "'")) return this.#string();
    const name = this.#isJson5 ? this.#match(/[\p{L}_$][\p{L}\p{N}_$]*/uy) : undefined;
    return name ?? this.#fail("expected a name in double quotes");
  }

  #string(): string {
    const start = this.#at;
    const raw =
      this.#text[start] === "'" ? this.#match(/'(?:[^'\\\n]|\\[^])*'/y) : this.#match(/"(?:[^"\\\n]|\\[^])*"/y);
    if (raw === undefined) return this.#fail("a text without its closing quote");
    const body = raw.slice(1, -1);
    const plain = raw.startsWith("'") ? body.replace(/\\'/g, "'").replace(/(?<!\\)"/g, '\\"') : body;
    try {
      return unquoted(plain);
    } catch {
      this.#at = start;
      return this.#fail("a text with an escape that JSON does not have");
    }
  }

  #word(): unknown {
    const start = this.#at;
    const word = this.#match(/[-+.\w]+/y);
    if (word === undefined) return this.#fail("expected a value");
    if (word === "true" || word === "false") return word === "true";
    if (word === "null") return null;
    if (/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(word)) return Number(word);
    if (this.#isJson5 && word.trim() !== "" && !Number.isNaN(Number(word))) return Number(word);
    this.#at = start;
    return this.#fail(`'${word.slice(0, 20)}' is no value`);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #blank(): void {
    this.#at = skipBlank(this.#text, this.#at);
  }

  #expect(character: string): void {
    if (this.#text[this.#at] !== character) this.#fail(`expected ${character}`);
    this.#at += 1;
  }

  #fail(message: string): never {
    throw new JsonTextError(message, this.#at);
  }
}
