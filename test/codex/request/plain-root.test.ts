import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { plainRoot } from "../../../src/codex/request/schema/root.ts";
import { lookUp } from "../../../src/codex/request/schema/references.ts";
import { completeTools } from "../../../src/codex/request/tools/complete.ts";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";

const object = (properties: JsonObject, required: string[] = []) => ({
  type: "object",
  properties,
  ...(required.length > 0 ? { required } : {}),
});

/** A small checker of JSON Schema: as much as the tests' schemas need. */
function allows(schema: unknown, value: unknown, root: unknown = schema): boolean {
  if (!isObject(schema)) return schema !== false;
  const all = (list: unknown) => (Array.isArray(list) ? (list as unknown[]) : []);
  const target = schema["$ref"] === undefined || allows(lookUp(root, schema["$ref"]) ?? {}, value, root);
  const typeOf = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  const types = [schema["type"] ?? typeOf].flat().map((name) => (name === "integer" ? "number" : name));
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const entries = isObject(value) ? Object.entries(value) : [];
  return (
    target &&
    types.includes(typeOf) &&
    (schema["const"] === undefined || Bun.deepEquals(schema["const"], value)) &&
    (schema["enum"] === undefined || all(schema["enum"]).some((one) => Bun.deepEquals(one, value))) &&
    (!isObject(value) || all(schema["required"]).every((name) => Object.hasOwn(value, String(name)))) &&
    entries.every(([name, inner]) =>
      Object.hasOwn(properties, name)
        ? allows(properties[name], inner, root)
        : schema["additionalProperties"] !== false,
    ) &&
    all(schema["allOf"]).every((one) => allows(one, value, root)) &&
    (schema["anyOf"] === undefined || all(schema["anyOf"]).some((one) => allows(one, value, root))) &&
    (schema["oneOf"] === undefined || all(schema["oneOf"]).some((one) => allows(one, value, root)))
  );
}

const REFUSED_AT_ROOT = ["oneOf", "anyOf", "allOf", "not", "enum", "const", "$ref"];

describe("a schema with a choice at its top becomes one object that still allows (cline/cline#12952)", () => {
  const branch = (kind: string, name: string) =>
    object({ kind: { const: kind }, [name]: { type: "number" } }, ["kind", name]);
  const Line = object({ item: { type: "string" } }, ["item"]);
  test.each<[string, JsonObject, JsonObject[], string[]]>([
    [
      "every branch told apart by a fixed value",
      { oneOf: [branch("a", "x"), branch("b", "y"), object({ kind: { enum: ["c", "d"] } }, ["kind"])] },
      [{ kind: "a", x: 1 }, { kind: "b", y: 1 }, { kind: "d" }],
      ["kind"],
    ],
    [
      "branches behind chains of references",
      {
        $defs: {
          Line,
          A: { $ref: "#/$defs/B" },
          B: object({ lines: { type: "array", items: { $ref: "#/$defs/Line" } } }, ["lines"]),
        },
        anyOf: [{ $ref: "#/$defs/A" }, object({ paid: { type: "string" } }, ["paid"])],
      },
      [{ lines: [{ item: "nail" }] }, { paid: "x" }],
      [],
    ],
    [
      "all parts of a combination, and asks for what they ask for",
      {
        $ref: "#/definitions/R",
        definitions: {
          R: { $ref: "#/definitions/T" },
          T: { allOf: [{ $ref: "#/definitions/D" }, object({ minutes: { type: "integer" } }, ["minutes"])] },
          D: object({ dish: { type: "string" }, serves: { type: "integer" } }, ["dish"]),
        },
      },
      [
        { dish: "soup", minutes: 20 },
        { dish: "soup", serves: 2, minutes: 20 },
      ],
      ["dish", "minutes"],
    ],
    [
      "further keys beside a closed object",
      {
        ...object({ room: { type: "string" } }, ["room"]),
        additionalProperties: false,
        anyOf: [
          { properties: { lamp: { type: "boolean" } }, required: ["lamp"] },
          { properties: { blind: { type: "integer", minimum: 0 } }, required: ["blind"] },
        ],
      },
      [
        { room: "study", lamp: true },
        { room: "study", blind: 40 },
      ],
      ["room"],
    ],
    [
      "one key of two types",
      {
        type: "object",
        anyOf: [
          { properties: { when: { type: "string" } }, required: ["when"] },
          { properties: { when: object({ from: { type: "string" } }, ["from"]) }, required: ["when"] },
        ],
      },
      [{ when: "noon" }, { when: { from: "9" } }],
      ["when"],
    ],
    [
      "a choice within a combination within a choice",
      { anyOf: [{ allOf: [{ oneOf: [branch("a", "x"), branch("b", "y")] }, object({ z: {} })] }, branch("c", "w")] },
      [
        { kind: "a", x: 1, z: 0 },
        { kind: "b", y: 2 },
        { kind: "c", w: 3 },
      ],
      ["kind"],
    ],
    [
      "what is referred to inside a branch that is gone",
      { anyOf: [object({ a: { type: "string" }, same: { $ref: "#/anyOf/0/properties/a" } }), object({ b: {} })] },
      [{ a: "x", same: "y" }, { b: 1 }],
      [],
    ],
    [
      "itself, referred to in a circle",
      { anyOf: [object({ child: { $ref: "#" } }), { $ref: "#" }] },
      [{ child: {} }],
      [],
    ],
  ])("%s", (_what, schema, values, required) => {
    const plain = plainRoot(schema);
    expect(Object.keys(plain).filter((keyword) => REFUSED_AT_ROOT.includes(keyword))).toEqual([]);
    expect(plain["type"]).toBe("object");
    for (const value of values) {
      expect([value, allows(plain, value)]).toEqual([value, true]);
    }
    expect(plain["required"] ?? []).toEqual(required);
    for (const [, reference] of JSON.stringify(plain).matchAll(/"\$ref":"([^"]+)"/g)) {
      expect(lookUp(plain, reference)).toBeDefined();
    }
  });

  test("whatever the choices are, no value that they allow is lost", () => {
    const leaf = fc.constantFrom<JsonObject>(
      { const: "a" },
      { const: "b" },
      { enum: ["a", 1] },
      { type: "string" },
      { type: "number" },
      {},
    );
    const flat = fc.record({ properties: fc.dictionary(fc.constantFrom("k", "l", "m"), leaf, { maxKeys: 3 }) });
    const chosen = fc
      .tuple(fc.constantFrom("anyOf", "oneOf", "allOf"), fc.array(flat, { minLength: 1, maxLength: 3 }))
      .map(([keyword, branches]) => ({ [keyword]: branches }));
    const value = fc.dictionary(fc.constantFrom("k", "l", "m"), fc.constantFrom<unknown>("a", "b", "c", 1), {
      maxKeys: 3,
    });
    fc.assert(
      fc.property(chosen, value, (schema, one) => {
        const isNamed = Object.keys(one).every((name) => JSON.stringify(schema).includes(`"${name}":`));
        // A branch that does not speak of a key leaves it open; the plain object keeps what the others say of it.
        const branches = Object.values(schema)[0] as JsonObject[];
        const speaksOfAll = branches.some(
          (branch) =>
            Object.keys(one).every((name) => Object.hasOwn(branch["properties"] as object, name)) &&
            allows(branch, one),
        );
        fc.pre(isNamed && speaksOfAll && allows(schema, one));
        expect(allows(plainRoot(schema), one)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test("references in circles and wide fans of them end at once", () => {
    const names = Array.from({ length: 40 }, (_, index) => `D${index}`);
    const $defs = Object.fromEntries(
      names.map((name) => [name, { anyOf: names.map((other) => ({ $ref: `#/$defs/${other}` })) }]),
    );
    const started = Bun.nanoseconds();
    expect(plainRoot({ $ref: "#/$defs/D0", $defs })["type"]).toBe("object");
    expect((Bun.nanoseconds() - started) / 1e6).toBeLessThan(500);
  });
});

test("a plain object schema stays the very same", () => {
  const schema = object({ a: { anyOf: [{ type: "string" }, { type: "null" }] } });
  expect(plainRoot(schema)).toBe(schema);
});

describe("a tool whose schema leaves out what the backend insists on is completed (inboxapi/cli#106)", () => {
  const tool = (parameters?: unknown) => ({
    type: "function",
    name: "f",
    ...(parameters === undefined ? {} : { parameters }),
  });
  const empty = { type: "object", properties: {} };
  test.each<[string, unknown, unknown]>([
    ["no schema", undefined, empty],
    ["null", null, empty],
    ["an empty schema", {}, empty],
    ["a bare object", { type: "object", title: "Args" }, { type: "object", title: "Args", properties: {} }],
    ["required without properties", { type: "object", required: [] }, { type: "object", required: [], properties: {} }],
    ["properties without a type", { properties: { a: {} } }, { type: "object", properties: { a: {} } }],
  ])("%s", (_what, parameters, complete) => {
    expect(completeTools([tool(parameters)])).toEqual([tool(complete)]);
  });

  test.each<[string, JsonObject]>([
    ["a choice at the top", { type: "object", anyOf: [{ required: ["a"] }] }],
    ["a reference at the top", { $ref: "#/$defs/A", $defs: {} }],
    ["a whole schema", object({ a: {} })],
  ])("%s is not touched", (_what, parameters) => {
    const tools = [tool(parameters), { type: "web_search" }, null];
    expect(completeTools(tools).every((one, index) => one === tools[index])).toBe(true);
  });
});
