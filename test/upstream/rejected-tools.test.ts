import { expect, test } from "bun:test";
import { RelayError } from "../../src/lib/errors.ts";
import { LEARNED_FOR_MS, RejectedTools } from "../../src/upstream/rejected-tools.ts";

const tool = (name: string) => ({
  type: "function",
  name,
  strict: false,
  parameters: { type: "object", properties: { a: { type: "string", minLength: 1, format: "uri" } } },
});
const refusal = (name: string) =>
  new RelayError("upstream_rejected", `Invalid schema for function '${name}': 'minLength' is not permitted.`);

function setUp(model = "m") {
  const clock = { now: 0 };
  const memory = new RejectedTools(() => clock.now);
  const sent = (tools: object[], of = model) => tools.map((one) => memory.formOf(of, one)?.tool ?? one);
  const learn = (error: RelayError, tools: object[], was: unknown[] = sent(tools), mayLose = true) =>
    memory.learn(error, { model, tools, sent: was, refusals: 0, mayLose });
  return { clock, memory, sent, learn };
}

const LOST = ["parameters.minLength"];

test("two requests that are refused for the same tool take one step, not two", () => {
  const { memory, sent, learn } = setUp();
  const tools = [tool("f")];
  const [first, second] = [sent(tools), sent(tools)];
  expect(learn(refusal("f"), tools, first)).toBe(true);
  expect(learn(refusal("f"), tools, second)).toBe(true);
  expect(sent(tools)).toEqual([
    { ...tool("f"), parameters: { type: "object", properties: { a: { type: "string", format: "uri" } } } },
  ]);
  expect(memory.formOf("m", tools[0])?.lost).toEqual(LOST);
});

test("a tool is known again by what it is, for the model that refused it and for some hours", () => {
  const { clock, memory, learn } = setUp();
  learn(refusal("f"), [tool("f")]);
  expect(memory.formOf("m", tool("f"))?.lost).toEqual(LOST);
  expect(memory.formOf("m", { ...tool("f"), description: "changed" })).toBeUndefined();
  expect(memory.formOf("other", tool("f"))).toBeUndefined();
  clock.now = LEARNED_FOR_MS;
  expect(memory.formOf("m", tool("f"))).toBeUndefined();
});

test("of very many tools the oldest are forgotten", () => {
  const { memory, learn } = setUp();
  for (let count = 0; count < 1100; count += 1) learn(refusal(`f${count}`), [tool(`f${count}`)]);
  expect(memory.formOf("m", tool("f0"))).toBeUndefined();
  expect(memory.formOf("m", tool("f1099"))).toBeDefined();
});

test("what is no refusal of a tool teaches nothing", () => {
  const { learn } = setUp();
  const tools = [tool("f")];
  expect(learn(new RelayError("upstream_rejected", "Invalid value: 'x'."), tools)).toBe(false);
  expect(learn(refusal("unknown"), tools)).toBe(false);
});

test("a client that wants to lose nothing gets a choice said in another way, and no rule left out", () => {
  const { memory, learn } = setUp();
  const choice = {
    ...tool("f"),
    parameters: { oneOf: [{ properties: { a: { const: 1 } } }, { properties: { a: { const: 2 } } }] },
  };
  expect(learn(refusal("f"), [choice], undefined, false)).toBe(true);
  expect(memory.formOf("m", choice)?.tool).toMatchObject({
    parameters: { type: "object", properties: { a: { enum: [1, 2] } } },
  });
  expect(learn(refusal("g"), [tool("g")], undefined, false)).toBe(false);
  expect(memory.formOf("m", tool("g"))).toBeUndefined();
});
