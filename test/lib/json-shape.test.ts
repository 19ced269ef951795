import { describe, expect, test } from "bun:test";
import { DEEPEST, MOST_VALUES, isNestedTooDeeply, refuseDepth, refuseShapes } from "../../src/lib/json-shape.ts";

/** So many levels of objects and lists in turn, each with values beside the next level, around `inmost`. */
function nested(levels: number, inmost: unknown): unknown {
  let value = inmost;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [null, value, "x"] : { a: null, b: value };
  return value;
}

describe("a value that is nested", () => {
  test.each([null, 1, "text", undefined])("as deeply as it may be passes, with %p in its midst", (inmost) => {
    expect(() => refuseDepth(nested(DEEPEST, inmost))).not.toThrow();
  });

  for (const inmost of [[], {}, [null], { a: 1 }]) {
    test(`one level deeper is refused: ${JSON.stringify(inmost)}`, () => {
      expect(() => refuseDepth(nested(DEEPEST - 1, inmost))).not.toThrow();
      expect(() => refuseDepth(nested(DEEPEST, inmost))).toThrow("nested more than 500 levels deep");
    });
  }

  test("in nothing passes", () => {
    for (const value of [null, 7, "text", [], {}, undefined]) expect(() => refuseDepth(value)).not.toThrow();
  });

  test("is known as deep by its text, too", () => {
    expect(isNestedTooDeeply(JSON.stringify(nested(DEEPEST, 1)))).toBe(false);
    expect(isNestedTooDeeply(JSON.stringify(nested(DEEPEST + 1, 1)))).toBe(true);
    expect(isNestedTooDeeply(JSON.stringify("[".repeat(1000)))).toBe(false);
  });
});

test("a text of more values than a request may have is refused before it is parsed", () => {
  const list = (values: number) => `[${"1,".repeat(values - 1)}1]`;
  expect(() => refuseShapes(list(MOST_VALUES - 2))).not.toThrow();
  expect(() => refuseShapes(list(MOST_VALUES + 1))).toThrow("more than 200,000 values");
});
