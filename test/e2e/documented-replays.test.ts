import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { documentedTypes, type Shape } from "../support/documented-types.ts";
import { post } from "../support/relay.ts";

/*
 * Items of an answer as the SDK prints them, with every field that its types have and with null in those that may have
 * it, sent back as input (openai/openai-python#3008): taken, with --strict too, but for items of tools that the backend
 * has not, which are refused by their names.
 */

type ObjectShape = Extract<Shape, { kind: "object" }>;

/** Items of which the backend knows the type. */
const TAKEN = [
  "compaction",
  "custom_tool_call",
  "function_call",
  "image_generation_call",
  "local_shell_call",
  "message",
  "reasoning",
  "tool_search_call",
  "tool_search_output",
  "web_search_call",
];

let printed: ReadonlyMap<string, ObjectShape>;
let relays: readonly DemoRelay[];

beforeAll(async () => {
  const types = await documentedTypes(['import type OpenAI from "openai";'], {
    Item: "OpenAI.Responses.ResponseOutputItem",
  });
  const shape = types.get("Item");
  const kinds = shape?.kind === "union" ? shape.of.filter((each) => each.kind === "object") : [];
  printed = new Map(kinds.map((each) => [String(valueOf(each.fields.get("type")?.shape)), each]));
  relays = [startDemoRelay(), startDemoRelay({ relay: { strict: true } })];
});
afterAll(async () => {
  await Promise.all(relays.map((demo) => demo.stop()));
});

const SAMPLES: Readonly<Record<string, unknown>> = { arguments: "{}", encrypted_content: "gAAAA-x" };

/** A value with every field of its type, or with null where it may be. */
function valueOf(shape: Shape | undefined, isNull = false, within: readonly Shape[] = []): unknown {
  // Types refer to themselves.
  if (shape === undefined || within.includes(shape)) return {};
  const inside = [...within, shape];
  switch (shape.kind) {
    case "literal":
      return shape.value;
    case "number":
      return 1;
    case "array":
      return [valueOf(shape.of, isNull, inside)];
    case "union":
      return valueOf(shape.of[0], isNull, inside);
    case "record":
      return {};
    case "object": {
      const fields = [...shape.fields].map(([name, { shape: of, isRequired, mayBeNull }]) => {
        const value = SAMPLES[name] ?? valueOf(of, isNull, inside);
        return [name, isNull && (mayBeNull || !isRequired) && !(name in SAMPLES) ? null : value];
      });
      return Object.fromEntries(fields);
    }
    case "string":
    case "unknown":
      return "x";
    default:
      return shape satisfies never;
  }
}

/** With the output that a call needs. */
function inputOf(item: JsonObject): JsonObject[] {
  const { type, call_id } = item;
  const needsOutput = type === "function_call" || type === "custom_tool_call";
  const output = needsOutput ? [{ type: `${type}_output`, call_id, output: "row 3" }] : [];
  return [{ role: "user", content: "Where?" }, item, ...output, { role: "user", content: "Go on." }];
}

describe.each(["with every field", "with nulls"])("%s", (how) => {
  test.each(TAKEN)("%s is taken", async (type) => {
    const item = valueOf(printed.get(type), how === "with nulls");
    if (!isObject(item)) throw new Error(`the SDK has no ${type}`);
    for (const demo of relays) {
      const reply = await post(`${demo.v1}/responses`, { model: "gpt-5.5", input: inputOf(item) });
      expect([reply.status, await reply.text()]).toEqual([200, expect.any(String)]);
    }
  });
});

test("items of tools that the backend has not are refused by name", async () => {
  const others = [...printed.keys()].filter(
    (type) => !TAKEN.includes(type) && !/_output$|^additional_tools$/.test(type),
  );
  expect(others).toContain("mcp_call");
  for (const type of others) {
    const item = valueOf(printed.get(type));
    const reply = await post(`${relays[0]?.v1}/responses`, {
      model: "gpt-5.5",
      input: isObject(item) ? inputOf(item) : [],
    });
    expect([type, reply.status, await reply.text()]).toEqual([type, 400, expect.stringContaining(type)]);
  }
});
