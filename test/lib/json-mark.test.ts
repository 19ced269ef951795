import { expect, test } from "bun:test";
import fc from "fast-check";
import { JsonMarker } from "../../src/lib/json-mark.ts";

const markOf = (value: unknown) => new JsonMarker(Number.POSITIVE_INFINITY).mark(value);

/** Few of each kind, so that values that differ in little are met often. */
const SCALARS = [null, true, false, 0, -0, 1, -1, 1.5, 2 ** 31, 2 ** 32 + 1, 1e300, Number.NaN, Infinity];
const SHORT_TEXTS = ["", "a", "b", "ab", "0", "1", "null", "\0", "\ud83d", "\ude00", "é", "日", "\u0008"];
const HASHED_TEXTS = ["x".repeat(17), `${"x".repeat(16)}\ud83d`, `${"x".repeat(16)}\ude00`, "é".repeat(40)];
const leaf = fc.constantFrom(...SCALARS, ...SHORT_TEXTS, "x".repeat(16), ...HASHED_TEXTS);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(fc.oneof(tie("value"), fc.constant(undefined)), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom("a", "b", "ab", "", "__proto__", "x".repeat(20)),
      fc.oneof(tie("value"), fc.constant(undefined)),
      { maxKeys: 3 },
    ),
  ),
}));

test("marks are the same for the same JSON, and others for any other", () => {
  fc.assert(
    fc.property(value, value, (one, other) => {
      expect(markOf(one) === markOf(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      expect(markOf(JSON.parse(JSON.stringify(one)))).toBe(markOf(one));
    }),
    { numRuns: 5000 },
  );
});

test("a change of one part changes the mark", () => {
  const strings = fc.string({ unit: "binary", maxLength: 60 });
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary", maxDepth: 5 }), strings, strings, (rest, text, other) => {
      fc.pre(text !== other);
      expect(markOf([rest, text])).not.toBe(markOf([rest, other]));
      expect(markOf({ a: { b: [text, rest] } })).not.toBe(markOf({ a: { b: [other, rest] } }));
      expect(markOf({ [text]: rest })).not.toBe(markOf({ [other]: rest }));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  [[], {}],
  [[[]], [[], []]],
  [
    ["ab", "c"],
    ["a", "bc"],
  ],
  [[1, 2], [12]],
  [["1"], [1]],
  [
    { a: 1, b: 2 },
    { b: 2, a: 1 },
  ],
  [{ a: [1], b: [] }, { a: [1, { b: [] }] }],
  [{ a: undefined }, { a: null }],
  [[null, 1], [1]],
])("%j and %j have marks of their own", (one, other) => {
  expect(markOf(one)).not.toBe(markOf(other));
});

test("no more is read than may be", () => {
  const marker = new JsonMarker(1000);
  marker.mark(["x".repeat(400)]);
  expect(marker.isExhausted).toBe(false);
  marker.mark({ text: "x".repeat(600) });
  expect(marker.isExhausted).toBe(true);
});
