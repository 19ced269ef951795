import { expect, test } from "bun:test";
import { needsClassicShape, toLite } from "../../../src/codex/request/lite.ts";
import type { CodexRequest } from "../../../src/codex/wire/schema.ts";

const user = { type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] };
const tool = { type: "function", name: "f", parameters: {}, strict: false };
const body: CodexRequest = {
  model: "gpt-6-sol",
  instructions: "Be brief.",
  input: [user],
  tools: [tool],
  tool_choice: "auto",
  parallel_tool_calls: true,
  reasoning: { effort: "low" },
  include: [],
  store: false,
  stream: true,
};

test("tools and instructions travel in front of the input", () => {
  const lite = toLite(body, "abc");
  expect(lite.input).toEqual([
    { type: "additional_tools", id: "at_abc", role: "developer", tools: [tool] },
    { type: "message", role: "developer", content: [{ type: "input_text", text: "Be brief." }] },
    user,
  ]);
  expect(lite).not.toHaveProperty("tools");
  expect(lite).not.toHaveProperty("instructions");
  expect(lite.parallel_tool_calls).toBe(false);
  expect(lite.reasoning).toEqual({ effort: "low", context: "all_turns" });
});

test("nothing is put in front when there is nothing to carry", () => {
  const { tools: _tools, ...plain } = { ...body, instructions: "" };
  expect(toLite(plain, "abc").input).toEqual([user]);
});

test("hosted tools need the classic shape", () => {
  expect(needsClassicShape(body)).toBe(false);
  expect(needsClassicShape({ ...body, tools: [{ type: "web_search" }] })).toBe(true);
});
