import { expect, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import { RelayError } from "../../src/lib/errors.ts";
import { assertFits } from "../../src/protocols/gate.ts";

/** What the gates of the dialects are made of. */
type Shape =
  | { readonly kind: "string" | "number" | "text or list" }
  | { readonly kind: "object"; readonly fields: Readonly<Record<string, Shape>> }
  | { readonly kind: "list" | "nullish"; readonly of: Shape };

const NAMES = fc.constantFrom("model", "messages", "role", "content");

const { shape } = fc.letrec<{ shape: Shape }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 4, depthIdentifier: "shape" },
    fc.record({ kind: fc.constantFrom("string" as const, "number" as const, "text or list" as const) }),
    fc.record({
      kind: fc.constant("object" as const),
      fields: fc.dictionary(NAMES, tie("shape"), { depthIdentifier: "shape", noNullPrototype: true }),
    }),
    fc.record({ kind: fc.constantFrom("list" as const, "nullish" as const), of: tie("shape") }),
  ),
}));

/** Bodies of clients: objects of the names above and of others, lists of them, texts, numbers and null. */
const { body } = fc.letrec((tie) => ({
  body: fc.oneof(
    { maxDepth: 5, depthIdentifier: "body" },
    fc.constantFrom("text", "", 1, 1.5, null, true),
    fc.dictionary(fc.oneof(NAMES, fc.constantFrom("metadata", "__proto__")), tie("body"), { depthIdentifier: "body" }),
    fc.array(tie("body"), { depthIdentifier: "body", maxLength: 4 }),
  ),
}));

function schemaOf(one: Shape, objectOf: (fields: z.ZodRawShape) => z.ZodType): z.ZodType {
  switch (one.kind) {
    case "string":
      return z.string();
    case "number":
      return z.number().int().min(1);
    case "text or list":
      return z.union([z.string(), z.array(objectOf({ role: z.string() }))]);
    case "list":
      return z.array(schemaOf(one.of, objectOf));
    case "nullish":
      return schemaOf(one.of, objectOf).nullish();
    default:
      return objectOf(
        Object.fromEntries(Object.entries(one.fields).map(([name, field]) => [name, schemaOf(field, objectOf)])),
      );
  }
}

function faultsOf(schema: z.ZodType, value: unknown): string {
  try {
    assertFits(schema, value, (issues) => new RelayError("invalid_request", JSON.stringify(issues)));
    return "";
  } catch (error) {
    return error instanceof RelayError ? error.message : String(error);
  }
}

test("the faults are those that a gate of loose objects finds, and a body that passes is not touched", () => {
  let passed = 0;
  let refused = 0;
  fc.assert(
    fc.property(shape, body, (one, value) => {
      const before = JSON.stringify(value);
      const faults = faultsOf(schemaOf(one, z.object), value);
      const loose = schemaOf(one, z.looseObject).safeParse(value);
      expect(faults).toBe(loose.success ? "" : JSON.stringify(loose.error.issues));
      expect(JSON.stringify(value)).toBe(before);
      if (faults === "") passed += 1;
      else refused += 1;
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(passed, refused)).toBeGreaterThan(100);
});
