import { expect, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import { RelayError } from "../../src/lib/errors.ts";
import { isObject } from "../../src/lib/json.ts";
import { assertFits, longListOf } from "../../src/protocols/gate.ts";

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

/** How a schema's objects and lists are made. */
interface Makes {
  readonly objectOf: (fields: z.ZodRawShape) => z.ZodType;
  readonly listOf: (entry: z.ZodType) => z.ZodType;
}

const LOOSE: Makes = { objectOf: z.looseObject, listOf: z.array };
const QUICK: Makes = {
  objectOf: z.object,
  listOf: (entry) => longListOf(entry, (value) => isObject(value) && entry.safeParse(value).success),
};

function schemaOf(one: Shape, makes: Makes): z.ZodType {
  const { objectOf, listOf } = makes;
  switch (one.kind) {
    case "string":
      return z.string();
    case "number":
      return z.number().int().min(1);
    case "text or list":
      return z.union([z.string(), listOf(objectOf({ role: z.string() }))]);
    case "list":
      return listOf(schemaOf(one.of, makes));
    case "nullish":
      return schemaOf(one.of, makes).nullish();
    default:
      return objectOf(
        Object.fromEntries(Object.entries(one.fields).map(([name, field]) => [name, schemaOf(field, makes)])),
      );
  }
}

function faultsOf(schema: z.ZodType, value: unknown): unknown[] {
  const faults: unknown[] = [];
  try {
    assertFits(schema, value, (issues) => {
      faults.push(...issues);
      return new RelayError("invalid_request", "refused");
    });
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
  }
  return faults;
}

test("the faults are those that a gate of loose objects finds, and a body that passes is not touched", () => {
  let passed = 0;
  let refused = 0;
  fc.assert(
    fc.property(shape, body, (one, value) => {
      const before = JSON.stringify(value);
      const faults = faultsOf(schemaOf(one, QUICK), value);
      expect(faults).toEqual(schemaOf(one, LOOSE).safeParse(value).error?.issues ?? []);
      expect(JSON.stringify(value)).toBe(before);
      if (faults.length === 0) passed += 1;
      else refused += 1;
    }),
    { numRuns: 1000 },
  );
  expect(Math.min(passed, refused)).toBeGreaterThan(20);
});
