import { expect, test } from "bun:test";
import fc from "fast-check";
import { OutputLimit } from "../../../src/codex/output/output-limit.ts";
import { tokenCounter, countTokensNow } from "../../../src/lib/tokens.ts";

const words = (text: string) => (text.match(/\S+/g) ?? []).length;

function taken(maxTokens: number, pieces: readonly string[], count: (text: string) => number | undefined = words) {
  const limit = new OutputLimit(maxTokens, count);
  return { text: pieces.map((piece) => limit.take(piece)).join(""), isHit: limit.isHit };
}

test("an answer ends at its limit of tokens, wherever its pieces are cut (router-for-me/CLIProxyAPI#5439)", () => {
  const text = "aa bb cc dd ee ff gg hh";
  for (const pieces of [[text], text.split(/(?= )/), text.split("")]) {
    expect(taken(3, pieces)).toEqual({ text: "aa bb cc ", isHit: true });
  }
});

test("an answer within its limit is whole", () => {
  expect(taken(8, ["aa bb cc dd ee ff gg hh"])).toEqual({ text: "aa bb cc dd ee ff gg hh", isHit: false });
});

test("nothing is cut while nobody can count, and nothing is counted before it may matter", () => {
  expect(taken(2, ["aa bb cc dd"], () => undefined)).toEqual({ text: "aa bb cc dd", isHit: false });
  const count = () => {
    throw new Error("counted");
  };
  expect(taken(100, ["a few words"], count).isHit).toBe(false);
});

test("a long answer is cut where the vocabulary says", async () => {
  const count = await tokenCounter();
  const text = "The quick brown fox jumps over the lazy dog. ".repeat(60);
  const cut = taken(300, text.match(/[^]{1,7}/g) ?? [], countTokensNow);
  expect(cut.isHit).toBe(true);
  expect(text.startsWith(cut.text)).toBe(true);
  expect(Math.abs((await count(cut.text)) - 300)).toBeLessThanOrEqual(2);
});

test("counting now and then cuts where counting each piece does", () => {
  const pieces = fc.array(fc.constantFrom("a ", " bb", "c c", " the quick ", "fox ", "word ".repeat(80)), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 2000 }), (all, max) => {
      let counts = 0;
      const count = (text: string) => {
        counts += 1;
        return words(text);
      };
      const cut = taken(max, all, count);
      const whole = all.join("");
      expect(whole.startsWith(cut.text)).toBe(true);
      if (whole.length <= max) expect(counts).toBe(0);
      expect(cut.isHit).toBe(words(whole) > max);
      if (!cut.isHit) return expect(cut.text).toBe(whole);
      expect(words(cut.text)).toBe(max);
      return expect(words(whole.slice(0, cut.text.length + 1))).toBe(max + 1);
    }),
  );
});

test("a long answer far from its limit is hardly ever counted", () => {
  let counts = 0;
  const count = (text: string) => {
    counts += 1;
    return words(text);
  };
  const limit = new OutputLimit(10_000, count);
  for (let piece = 0; piece < 9000; piece += 1) limit.take("seven7 ");
  expect(limit.isHit).toBe(false);
  expect(counts).toBeLessThan(60);
});

test("half a character is never sent", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.string({ unit: "grapheme", minLength: 12 }), (max, text) => {
      expect(taken(max, [text], (part) => part.length).text.isWellFormed()).toBe(text.isWellFormed());
    }),
  );
});
