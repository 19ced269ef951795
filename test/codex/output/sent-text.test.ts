import { expect, test } from "bun:test";
import fc from "fast-check";
import { SentText } from "../../../src/codex/output/sent-text.ts";

const told = (...pieces: string[]) => {
  const all = new SentText();
  for (const piece of pieces) all.add(piece);
  return all;
};

test("however a text was cut, the rest of the whole is what was not told", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), fc.string({ unit: "binary" }), (pieces, rest) => {
      expect(told(...pieces).restOf(pieces.join("") + rest)).toBe(rest);
    }),
  );
});

test("a whole that begins otherwise, or is shorter, has no rest", () => {
  expect(told("ab", "c").restOf("abd")).toBeUndefined();
  expect(told("ab", "c").restOf("ab")).toBeUndefined();
  expect(told("ab").restOf("ba!")).toBeUndefined();
});
