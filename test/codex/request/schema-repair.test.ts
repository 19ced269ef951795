import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RelayError } from "../../../src/lib/errors.ts";
import { refusedTool, simplerTool } from "../../../src/codex/request/tools/refused-tool.ts";
import { repairTool } from "../../../src/codex/request/schema/repair.ts";
import { completeTools } from "../../../src/codex/request/tools/complete.ts";
import { refuseTools } from "../../stand-in/tool-rules.ts";

const tool = (parameters: unknown, strict?: boolean) => ({
  type: "function",
  name: "f",
  parameters,
  ...(strict === undefined ? {} : { strict }),
});
const object = (properties: object, more: object = {}) => ({ type: "object", properties, ...more });
const closed = (properties: object) =>
  object(properties, { required: Object.keys(properties), additionalProperties: false });
const parametersOf = (one: unknown) => (one as { parameters: unknown }).parameters;
const repaired = (parameters: unknown, strict?: boolean) => repairTool(tool(parameters, strict));

describe("a keyword that the backend does not take goes, from its tool alone", () => {
  test.each<[string, object, object, string[]]>([
    [
      "patterns with Unicode classes",
      { a: { type: "string", pattern: "^\\p{L}+$" } },
      { a: { type: "string" } },
      ["properties.a.pattern"],
    ],
    ["patterns with named groups", { a: { pattern: "^(?<year>\\d+)" } }, { a: {} }, ["properties.a.pattern"]],
    ["patterns that are none", { a: { pattern: "(" } }, { a: {} }, ["properties.a.pattern"]],
    ["types that do not exist", { a: { type: "any" } }, { a: {} }, ["properties.a.type"]],
    ["arrays of nothing", { a: { type: "array" } }, { a: { type: "array", items: {} } }, ["properties.a.items"]],
    [
      "arrays of null",
      { a: { type: "array", items: null } },
      { a: { type: "array", items: {} } },
      ["properties.a.items"],
    ],
    [
      "tuples",
      { a: { type: "array", items: [{ type: "string" }, { type: "number" }] } },
      { a: { type: "array", items: { anyOf: [{ type: "string" }, { type: "number" }] } } },
      ["properties.a.items"],
    ],
    [
      "words of drafts long gone",
      { a: { type: "number", exclusiveMinimum: true, required: true } },
      { a: { type: "number" } },
      ["properties.a.exclusiveMinimum", "properties.a.required"],
    ],
    ["choices of nothing", { a: { enum: [] } }, { a: {} }, ["properties.a.enum"]],
    ["properties that are no schemas", { a: "string" }, { a: {} }, ["properties.a"]],
    [
      "far below",
      { a: { anyOf: [{ type: "object", properties: { b: { type: "array", items: { pattern: "\\P{L}" } } } }] } },
      { a: { anyOf: [{ type: "object", properties: { b: { type: "array", items: {} } } }] } },
      ["properties.a.anyOf[0].properties.b.items.pattern"],
    ],
  ])("%s", (_what, properties, left, paths) => {
    const result = repaired(object(properties));
    expect(result.changed).toEqual(paths.map((path) => `parameters.${path}`));
    expect(parametersOf(result.tool)).toEqual(object(left));
    expect(refuseTools([result.tool], "tools")).toBeUndefined();
  });

  test("what is fine stays the very same object", () => {
    const fine = [
      tool(object({ a: { type: "string", pattern: "^\\\\p{1}[a-z]$", minLength: 1, format: "uri", "x-own": 1 } })),
      tool(object({ type: { type: "array", items: { type: ["string", "null"] } } }, { $defs: { X: true } })),
      tool(closed({ a: { anyOf: [closed({ b: { type: "string" } }), { type: "null" }] } }), true),
      tool(object({ a: { pattern: "^(?!x)y$" }, b: { pattern: "(?i)^(?P<year>\\d+)-(?P=year)$" } })),
      { type: "web_search" },
      { type: "custom", name: "patch" },
      null,
    ];
    for (const one of fine) expect(repairTool(one)).toEqual({ tool: one, changed: [] });
  });

  test("tools within a namespace are repaired too", () => {
    const inner = tool(object({ a: { type: "any" } }));
    const result = repairTool({ type: "namespace", name: "n", tools: [inner] });
    expect(result.changed).toEqual(["tools[0].parameters.properties.a.type"]);
    expect(refuseTools([result.tool], "tools")).toBeUndefined();
  });
});

describe("a strict tool", () => {
  test("loses the rules that strict mode does not know, and stays strict", () => {
    const parameters = closed({
      a: { type: "array", items: { type: "string", default: "x", pattern: "^(?!x)" }, uniqueItems: true },
    });
    const result = repaired(parameters, true);
    expect(result.tool).toEqual(tool(closed({ a: { type: "array", items: { type: "string" } } }), true));
    expect([...result.changed].toSorted()).toEqual([
      "parameters.properties.a.items.default",
      "parameters.properties.a.items.pattern",
      "parameters.properties.a.uniqueItems",
    ]);
  });

  test("keeps what stands under a name that means something to JavaScript", () => {
    const items = JSON.parse('{"type":"string","default":"x","__proto__":{"type":["null"]}}') as object;
    const result = repaired(closed({ a: { type: "array", items } }), true);
    expect(JSON.stringify(parametersOf(result.tool))).toBe(
      JSON.stringify(closed({ a: { type: "array", items } })).replace('"default":"x",', ""),
    );
  });

  test("chooses with anyOf", () => {
    const result = repaired(closed({ a: { oneOf: [{ type: "string" }, { type: "null" }] } }), true);
    expect(result.tool).toEqual(tool(closed({ a: { anyOf: [{ type: "string" }, { type: "null" }] } }), true));
  });

  test.each([
    ["that leaves something open", object({ a: { type: "string" } })],
    ["with something optional", object({ a: { type: "string" } }, { required: [], additionalProperties: false })],
    ["with a shape of its own", closed({ a: { allOf: [{ type: "string" }] } })],
    ["open far below", closed({ a: { type: "array", items: object({ b: {} }) } })],
  ])("%s is no longer strict, and keeps its schema", (_what, parameters) => {
    expect(repaired(parameters, true)).toEqual({ tool: tool(parameters, false), changed: ["strict"] });
  });
});

/** Schemas as careless programs write them. */
const careless = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, "string", 7, {}, []),
    fc.dictionary(
      fc.constantFrom(
        ...(
          "type properties items required enum pattern anyOf oneOf allOf not $ref additionalProperties minimum " +
          "default const description $defs uniqueItems a"
        ).split(" "),
      ),
      fc.oneof(
        fc.constantFrom<unknown>(
          "object",
          "array",
          "string",
          "any",
          "\\p{L}",
          "(?=x)",
          "(?<a>x)",
          "(",
          ["a", "b"],
          [],
          1,
          false,
          null,
        ),
        tie("schema"),
        fc.array(tie("schema"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom("a", "b", "type", "__proto__"), tie("schema"), {
          maxKeys: 3,
          // As JSON makes them.
          noNullPrototype: true,
        }),
      ),
      { maxKeys: 5 },
    ),
  ),
}));

test("whatever object a tool has for a schema, the stand-in takes what is left of it", () => {
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  fc.assert(
    fc.property(careless.schema.filter(isObject), fc.boolean(), (parameters, strict) => {
      const once = repairTool(completeTools([tool(parameters, strict)])[0]);
      expect(refuseTools([once.tool], "tools")).toBeUndefined();
      // Nothing is left to repair.
      expect(repairTool(once.tool).changed).toEqual([]);
    }),
    { numRuns: 3000 },
  );
});

describe("a tool that is refused all the same", () => {
  const refusal = (message: string, param = "") =>
    new RelayError("upstream_rejected", message, {
      wireCode: "invalid_function_parameters",
      ...(param ? { param } : {}),
    });
  const two = [{ ...tool(object({})), name: "g" }, tool(object({ a: { type: "string", minLength: 3 } }))];

  test("is found by its name, else by its place", () => {
    expect(refusedTool(refusal("Invalid schema for function 'f': no."), two)).toBe(1);
    expect(refusedTool(refusal("No.", "input[0].tools[1].parameters"), two)).toBe(1);
    expect(refusedTool(refusal("No.", "tools[7].parameters"), two)).toBeUndefined();
    expect(refusedTool(new RelayError("upstream_rejected", "Unsupported parameter: x"), two)).toBeUndefined();
  });

  test("loses the keyword that was named, then all that is not plain, then its schema", () => {
    const rich = tool(object({ minLength: { type: "string", minLength: 3, format: "uri" } }), true);
    const first = simplerTool(rich, "In context=('properties', 'x'), 'minLength' is not permitted.");
    expect(first).toEqual({
      tool: tool(object({ minLength: { type: "string", format: "uri" } }), true),
      lost: "minLength",
    });
    const second = simplerTool(first?.tool, "I do not like it.");
    expect(second).toEqual({ tool: tool(object({ minLength: { type: "string" } }), false), lost: "" });
    expect(simplerTool(first?.tool, "'uri' is not a valid format.")?.lost).toBe("format");
    expect(simplerTool(tool(object({ a: { pattern: "x" } })), "'x' is not a 'regex'.")?.lost).toBe("pattern");
    const third = simplerTool(second?.tool, "No.");
    expect(third?.tool).toEqual(tool(object({}), false));
    expect(simplerTool(third?.tool, "No.")).toBeUndefined();
  });
});
