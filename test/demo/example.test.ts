import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { exampleFor } from "../../src/demo/example.ts";
import { exampleOfPattern } from "../../src/demo/pattern.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";

/** A checker of our own for the keywords that are generated below. */
function fits(schema: JsonObject, value: unknown): boolean {
  if (Array.isArray(schema["anyOf"])) return (schema["anyOf"] as JsonObject[]).some((one) => fits(one, value));
  if (Array.isArray(schema["enum"])) return schema["enum"].includes(value);
  switch (schema["type"]) {
    case "string":
      return (
        typeof value === "string" &&
        value.length >= Number(schema["minLength"] ?? 0) &&
        value.length <= Number(schema["maxLength"] ?? Infinity)
      );
    case "integer":
    case "number":
      return (
        typeof value === "number" &&
        (schema["type"] === "number" || Number.isInteger(value)) &&
        value >= Number(schema["minimum"] ?? -Infinity) &&
        value <= Number(schema["maximum"] ?? Infinity)
      );
    case "boolean":
      return typeof value === "boolean";
    case "null":
      return value === null;
    case "array":
      return (
        Array.isArray(value) &&
        value.length >= Number(schema["minItems"] ?? 0) &&
        value.length <= Number(schema["maxItems"] ?? Infinity) &&
        value.every((member) => fits(schema["items"] as JsonObject, member))
      );
    default: {
      const properties = schema["properties"] as Record<string, JsonObject>;
      return (
        isObject(value) &&
        (schema["required"] as string[]).every((name) => name in value) &&
        Object.entries(value).every(([name, member]) => properties[name] && fits(properties[name], member))
      );
    }
  }
}

const bounds = (low: string, high: string, limit: number) =>
  fc
    .tuple(fc.option(fc.nat(limit), { nil: undefined }), fc.option(fc.nat(limit), { nil: undefined }))
    .map(([from, span]) => ({
      ...(from === undefined ? {} : { [low]: from }),
      ...(span === undefined ? {} : { [high]: (from ?? 0) + span }),
    }));

const schemas = fc.letrec<{ schema: JsonObject }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<JsonObject>({ type: "boolean" }, { type: "null" }, { enum: ["a", "b"] }, { enum: [3] }),
    bounds("minLength", "maxLength", 20).map((limits) => ({ type: "string", ...limits })),
    bounds("minimum", "maximum", 50).map((limits) => ({ type: "integer", ...limits })),
    bounds("minimum", "maximum", 50).map((limits) => ({ type: "number", ...limits })),
    fc
      .tuple(tie("schema"), bounds("minItems", "maxItems", 3))
      .map(([items, limits]) => ({ type: "array", items, ...limits })),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc
      .tuple(fc.dictionary(fc.constantFrom("one", "two", "three"), tie("schema")), fc.boolean())
      .map(([properties, all]) => ({
        type: "object",
        properties: { ...properties },
        required: all ? Object.keys(properties) : Object.keys(properties).slice(0, 1),
        additionalProperties: false,
      })),
  ),
})).schema;

test("an example satisfies its schema", () => {
  fc.assert(
    fc.property(schemas, fc.boolean(), (schema, withOptional) => {
      expect(fits(schema, exampleFor(schema, { withOptional }))).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("references, also recursive ones, are followed", () => {
  const schema = {
    type: "object",
    properties: { root: { $ref: "#/$defs/node" } },
    required: ["root"],
    $defs: {
      node: {
        type: "object",
        properties: { name: { type: "string" }, next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] } },
        required: ["name", "next"],
      },
    },
  };
  expect(JSON.stringify(exampleFor(schema, { withOptional: true }))).toContain('"next":null');
});

test("allOf is merged, nullable types take the other type, const wins", () => {
  const schema = {
    allOf: [
      { type: "object", properties: { a: { type: ["string", "null"] } }, required: ["a"] },
      { properties: { b: { const: 7 } }, required: ["b"] },
    ],
  };
  expect(exampleFor(schema)).toEqual({ a: "example", b: 7 });
});

test.each([
  "^[a-z]{3}$",
  "^\\d{4}-\\d{2}-\\d{2}$",
  "^(foo|bar)-[A-Z]+$",
  "^#[0-9a-fA-F]{6}$",
  "^[^@]+@[^@]+\\.[a-z]{2,}$",
  "^v?\\d+(\\.\\d+)*$",
])("%s gets a string that matches", (pattern) => {
  expect(exampleOfPattern(pattern)).toMatch(new RegExp(pattern, "u"));
});

test("formats get plausible strings", () => {
  for (const format of ["date-time", "email", "uuid", "uri", "ipv4"]) {
    expect(exampleFor({ type: "string", format })).not.toBe("example");
  }
});
