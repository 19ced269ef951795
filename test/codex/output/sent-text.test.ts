import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KeptText, SentText } from "../../../src/codex/output/sent-text.ts";

const KINDS = { "known by its hash": SentText, kept: KeptText };

for (const [kind, Kind] of Object.entries(KINDS)) {
  const told = (...pieces: string[]) => {
    const all = new Kind();
    for (const piece of pieces) all.add(piece);
    return all;
  };

  describe(`a text that is ${kind}`, () => {
    test("has as its rest what was not told of the whole, however it was cut", () => {
      fc.assert(
        fc.property(fc.array(fc.string({ unit: "binary" })), fc.string({ unit: "binary" }), (pieces, rest) => {
          expect(told(...pieces).restOf(pieces.join("") + rest)).toBe(rest);
        }),
      );
    });

    test.each([255, 256, 257, 511, 512, 513, 2000])("may come in %d pieces", (count) => {
      const pieces = Array.from({ length: count }, (_, index) => `${index} `);
      const whole = pieces.join("");
      expect(told(...pieces).restOf(whole)).toBe("");
      expect(told(...pieces).restOf(`${whole}more`)).toBe("more");
      expect(told(...pieces).isBeginningOf(whole.slice(0, -1))).toBe(false);
      expect(told(...pieces, "x").restOf(`${whole}yz`)).toBeUndefined();
    });

    test("has no rest of a whole that begins otherwise or is shorter", () => {
      expect(told("ab", "c").restOf("abd!")).toBeUndefined();
      expect(told("ab", "c").restOf("ab")).toBeUndefined();
      expect(told("ab").restOf("ba!")).toBeUndefined();
    });

    test("is empty until something was told", () => {
      expect(told().isEmpty).toBe(true);
    });
  });
}

test("a text that is kept is there at any time, and can go on", () => {
  const all = new KeptText();
  let whole = "";
  for (let count = 0; count < 1000; count += 1) {
    all.add(`${count},`);
    whole += `${count},`;
    if (count % 97 === 0) expect(all.text).toBe(whole);
  }
  expect(all.text).toBe(whole);
});
