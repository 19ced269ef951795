import { expect, test } from "bun:test";
import { RelayError } from "../../src/lib/errors.ts";
import { RejectedTools } from "../../src/upstream/rejected-tools.ts";

const tool = (name: string) => ({
  type: "function",
  name,
  strict: false,
  parameters: { type: "object", properties: { a: { type: "string", minLength: 1, format: "uri" } } },
});
const refusal = (name: string) =>
  new RelayError("upstream_rejected", `Invalid schema for function '${name}': 'minLength' is not permitted.`);

test("two requests that are refused for the same tool take one step, not two", () => {
  const memory = new RejectedTools();
  const tools = [tool("f")];
  const [first, second] = [memory.apply(tools).tools, memory.apply(tools).tools];
  expect(memory.learn(refusal("f"), tools, first)).toBe(true);
  expect(memory.learn(refusal("f"), tools, second)).toBe(true);
  const { tools: sent, dropped } = memory.apply(tools);
  expect(sent).toEqual([
    { ...tool("f"), parameters: { type: "object", properties: { a: { type: "string", format: "uri" } } } },
  ]);
  expect(dropped).toEqual(["tools[0].parameters.minLength"]);
});

test("a tool is known again by what it is, wherever it stands", () => {
  const memory = new RejectedTools();
  const tools = [tool("f")];
  memory.learn(refusal("f"), tools, memory.apply(tools).tools);
  expect(memory.apply([tool("g"), tool("f")]).dropped).toEqual(["tools[1].parameters.minLength"]);
  expect(memory.apply([{ ...tool("f"), description: "changed" }]).dropped).toEqual([]);
});

test("of very many tools the oldest are forgotten", () => {
  const memory = new RejectedTools();
  for (let count = 0; count < 1100; count += 1) {
    const tools = [tool(`f${count}`)];
    memory.learn(refusal(`f${count}`), tools, memory.apply(tools).tools);
  }
  expect(memory.apply([tool("f0")]).dropped).toEqual([]);
  expect(memory.apply([tool("f1099")]).dropped).toHaveLength(1);
});

test("what is no refusal of a tool teaches nothing", () => {
  const memory = new RejectedTools();
  const tools = [tool("f")];
  expect(memory.learn(new RelayError("upstream_rejected", "Invalid value: 'x'."), tools, tools)).toBe(false);
  expect(memory.learn(refusal("unknown"), tools, tools)).toBe(false);
});
