import { expect, test } from "bun:test";
import fc from "fast-check";
import { editJson, readJson } from "../../../src/cli/setup/formats/json-edit.ts";

const FILE = { path: "settings.json" };
const set = (before: string, path: string[], value: unknown) => editJson(FILE, before, [[path, value]]);

test.each([
  ["{}", ["a"], 1, '{\n  "a": 1\n}'],
  ["{ /* none */ }", ["a"], 1, '{ /* none */\n  "a": 1\n}'],
  ["{\n  // none\n}\n", ["a"], 1, '{\n  // none\n  "a": 1\n}\n'],
  ['{"a":1}', ["b"], [1, "x"], '{"a":1, "b": [1,"x"]}'],
  ['{"a":1,}', ["b"], 2, '{"a":1, "b": 2,}'],
  ['{\n  "a": 1 // one\n}', ["b"], 2, '{\n  "a": 1, // one\n  "b": 2\n}'],
  ['{\n  "a": 1, // one\n}', ["b"], 2, '{\n  "a": 1, // one\n  "b": 2,\n}'],
  ['{\n  "a": 1 }', ["b"], 2, '{\n  "a": 1,\n  "b": 2 }'],
  ['{"a": {"b": "old"}, "c": 3}', ["a", "b"], "new", '{"a": {"b": "new"}, "c": 3}'],
  ['{\n    "a": 1\n}', ["b", "c"], {}, '{\n    "a": 1,\n    "b": {\n        "c": {}\n    }\n}'],
  ['{"a": 1, "a": 2}', ["a"], 3, '{"a": 1, "a": 3}'],
  ['{"a": "\\u0041\\n"}', ["a"], "A\n", '{"a": "\\u0041\\n"}'],
  ["", ["a"], true, '{\n  "a": true\n}\n'],
])("%j with %j set to %j", (before, path, value, after) => {
  expect(set(before, path, value)).toBe(after);
});

test("any value goes to any place, and everything else stays to the byte", () => {
  const key = fc.stringMatching(/^[a-z]{1,3}$/);
  const content = fc.dictionary(key, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.dictionary(key, fc.jsonValue())));
  const indent = fc.constantFrom("", "  ", "\t");
  fc.assert(
    fc.property(content, indent, key, fc.jsonValue(), (object, unit, name, value) => {
      // JSON has no -0, and writes it as 0.
      const [plain, wanted] = [object, value].map((each) => JSON.parse(JSON.stringify(each)) as unknown);
      const before = JSON.stringify(plain, undefined, unit);
      const after = set(before, [name], wanted);
      expect(readJson(FILE, after)).toEqual({ ...(plain as object), [name]: wanted });
      if (!(name in object)) expect(after.replaceAll(/\s/g, "")).toStartWith(before.slice(0, -1).replaceAll(/\s/g, ""));
      expect(set(after, [name], wanted)).toBe(after);
    }),
  );
});
