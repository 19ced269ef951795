/**
 * A short string that fits a regular expression, for the subset that people write in JSON schemas: literals, classes,
 * groups, alternatives, quantifiers and anchors. Undefined when the result does not match after all (look-around,
 * back-references).
 */
export function exampleOfPattern(pattern: string): string | undefined {
  try {
    const made = new PatternWalk(pattern).alternatives();
    return new RegExp(pattern, "u").test(made) ? made : undefined;
  } catch {
    return undefined;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { d: "1", w: "a", s: " ", n: "\n", t: "\t", D: "a", W: "-", S: "a" };

class PatternWalk {
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  /** The first alternative; the others are walked only to be left behind. */
  alternatives(): string {
    const first = this.#sequence();
    while (this.#peek() === "|") {
      this.#at += 1;
      this.#sequence();
    }
    return first;
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at];
  }

  #next(): string {
    const character = this.#pattern[this.#at] ?? "";
    this.#at += 1;
    return character;
  }

  #sequence(): string {
    let made = "";
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      const atom = this.#atom();
      made += atom.repeat(this.#repeats());
    }
    return made;
  }

  #atom(): string {
    const character = this.#next();
    if (character === "^" || character === "$") return "";
    if (character === ".") return "a";
    if (character === "\\") return this.#escape();
    if (character === "[") return this.#characterClass();
    if (character !== "(") return character;
    const opening = /^\?(?::|<\w+>)/.exec(this.#pattern.slice(this.#at));
    this.#at += opening?.[0].length ?? 0;
    const inside = this.alternatives();
    this.#at += 1;
    return inside;
  }

  #escape(): string {
    const character = this.#next();
    if (character === "b") return "";
    return ESCAPES[character] ?? character;
  }

  #characterClass(): string {
    const isNegated = this.#peek() === "^";
    if (isNegated) this.#at += 1;
    const members: string[] = [];
    while (this.#peek() !== "]" && this.#peek() !== undefined) {
      const character = this.#next();
      members.push(character === "\\" ? this.#escape() : character);
    }
    this.#at += 1;
    if (!isNegated) return members[0] ?? "";
    return ["a", "1", "-", "_", " "].find((candidate) => !members.includes(candidate)) ?? "~";
  }

  /** The fewest repeats that the quantifier allows, except that `*` and `?` leave the atom out. */
  #repeats(): number {
    const quantifier = /^(\*|\+|\?|\{(\d+)(,\d*)?\})\??/.exec(this.#pattern.slice(this.#at));
    if (!quantifier) return 1;
    this.#at += quantifier[0].length;
    if (quantifier[2] !== undefined) return Number(quantifier[2]);
    return quantifier[1] === "+" ? 1 : 0;
  }
}
