import { expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalJson } from "../../src/lib/canonical-json.ts";
import { isObject } from "../../src/lib/json.ts";

/** By the replacer that it stands for. */
function reference(value: object): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

/** The same value with the keys of its objects in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, entry]) => [key, turned(entry)]),
  );
}

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, undefined, true, 0, -0, 1.5, Number.NaN, "", "text", "\ud83d"),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.constantFrom("__proto__", "10", "9", "a", "b", "toString"), fc.string({ maxLength: 3 })),
      tie("value"),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
}));

test("values have one text, whatever the order of their keys", () => {
  fc.assert(
    fc.property(value, (part) => {
      expect(canonicalJson([part])).toBe(reference([part]));
      expect(canonicalJson([turned(part)])).toBe(canonicalJson([part]));
    }),
    { numRuns: 3000 },
  );
});

test("what is written is left as it was", () => {
  const given = { b: [{ d: 1, c: 2 }], a: 3 };
  expect(canonicalJson(given)).toBe('{"a":3,"b":[{"c":2,"d":1}]}');
  expect(JSON.stringify(given)).toBe('{"b":[{"d":1,"c":2}],"a":3}');
});
