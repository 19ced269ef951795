import { expect, test } from "bun:test";
import { finishRequest } from "../../../src/codex/request/finish.ts";
import type { CodexRequest } from "../../../src/codex/wire/request.ts";

const user = { type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] };
const reasoning = (id: string) => ({ type: "reasoning", id, summary: [], encrypted_content: id });
const search = { type: "web_search" };
const tool = { type: "function", name: "f", parameters: { type: "object", properties: {} }, strict: false };
const body: CodexRequest = {
  model: "gpt-6-sol",
  input: [user],
  tools: [search, tool],
  tool_choice: "auto",
  parallel_tool_calls: false,
  include: [],
  store: false,
  stream: true,
};

test("a refusal names the item that was sent, not one beside it that was left out", () => {
  const written = { ...body, tools: [], input: [user, reasoning("a"), reasoning("b"), user, reasoning("c")] };
  const left = new Set(["a", "c"]);
  const { body: sent, toWrittenPath } = finishRequest(written, {
    envelope: "full",
    clientId: "",
    isUnreadable: (item) => left.has(String(item["id"])),
  });
  expect(sent.input).toEqual([user, reasoning("b"), user]);
  expect(sent.input.map((_item, index) => toWrittenPath(["input", index]))).toEqual([
    ["input", 0],
    ["input", 2],
    ["input", 3],
  ]);
});

test.each([
  [search, [tool], "auto"],
  [{ type: "allowed_tools", mode: "auto", tools: [search] }, [tool], "auto"],
  [{ type: "function", name: "f" }, [tool], { type: "function", name: "f" }],
  ["required", [tool], "required"],
])("in lite a choice of a tool that cannot go along is free: %j", (choice, tools, sent) => {
  const { body: lite, adjusted } = finishRequest({ ...body, tool_choice: choice }, { envelope: "lite", clientId: "" });
  expect([lite.tools, lite.tool_choice]).toEqual([tools, sent]);
  expect(adjusted).toContain("tools[0]");
});

test("in lite a refusal names the tool as the client numbered it, before hosted ones were dropped", () => {
  const { toBodyPath, toWrittenPath } = finishRequest(body, { envelope: "lite", clientId: "" });
  const path = toWrittenPath(toBodyPath(["input", 0, "tools", 0, "parameters"]));
  expect(path).toEqual(["tools", 1, "parameters"]);
});
