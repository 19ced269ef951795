import { z } from "zod";
import type { RelayError } from "../lib/errors.ts";
import { isObject, type JsonObject } from "../lib/json.ts";

/** A value that a schema has looked at, with whatever else its objects hold. */
export type Loose<Value> = Value extends readonly (infer Entry)[]
  ? Loose<Entry>[]
  : Value extends object
    ? LooseObject<Value>
    : Value;

type LooseObject<Value> = string extends keyof Value
  ? JsonObject
  : { [Name in keyof Value]: Loose<Value[Name]> } & JsonObject;

/**
 * A list of what `entry` takes. Where `isFine` already knows an entry to be that, the schema is not asked: zod makes
 * four objects for each object that it looks at, and of a conversation's thousands of messages hardly any has a fault.
 */
export function longListOf<Entry>(entry: z.ZodType<Entry, Entry>, isFine: (value: unknown) => boolean) {
  return z.custom<Entry[]>().check(({ value: list, issues }) => {
    if (!Array.isArray(list)) {
      issues.push({ code: "invalid_type", expected: "array", input: list });
      return;
    }
    list.forEach((value: unknown, index) => {
      if (isFine(value)) return;
      for (const issue of entry.safeParse(value).error?.issues ?? []) {
        issues.push({ ...issue, input: undefined, path: [index, ...issue.path] });
      }
    });
  });
}

/** Messages of which nothing but the role is looked at here. */
export const messageList = longListOf(
  z.object({ role: z.string() }),
  (message) => isObject(message) && typeof message["role"] === "string",
);

/**
 * Lets a value pass that fits the schema, as it is. Clients send many keys that no schema names, in thousands of
 * messages: a loose schema would copy each of them, and this one, of plain objects, copies only the few that it checks.
 * The schema may change nothing (no defaults, no transforms), as what it makes is thrown away. Throws what `refusal`
 * makes of the faults.
 */
export function assertFits<Value>(
  schema: z.ZodType<Value, Value>,
  value: unknown,
  refusal: (issues: readonly z.core.$ZodIssue[]) => RelayError,
): asserts value is Loose<Value> {
  const result = schema.safeParse(value);
  if (!result.success) throw refusal(result.error.issues);
}
