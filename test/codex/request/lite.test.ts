import { expect, test } from "bun:test";
import { needsFullEnvelope, toLite } from "../../../src/codex/request/lite.ts";
import type { CodexRequest } from "../../../src/codex/wire/request.ts";

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
  const { body: lite, added, changed } = toLite(body, "abc");
  expect(lite.input).toEqual([
    { type: "additional_tools", id: "at_abc", role: "developer", tools: [tool] },
    { type: "message", role: "developer", content: [{ type: "input_text", text: "Be brief." }] },
    user,
  ]);
  expect(added).toBe(2);
  expect(lite).not.toHaveProperty("tools");
  expect(lite).not.toHaveProperty("instructions");
  expect(lite.reasoning).toEqual({ effort: "low", context: "all_turns" });
  // Calls come one at a time there, and a client that asked for several at once is told so.
  expect([lite.parallel_tool_calls, changed]).toEqual([false, ["parallel_tool_calls"]]);
});

test("a Lite body never goes without a developer message (contract 0.3)", () => {
  const { tools: _tools, ...plain } = { ...body, instructions: "" };
  const developer = (text: string) => ({ type: "message", role: "developer", content: [{ type: "input_text", text }] });
  expect(toLite(plain, "abc").body.input).toEqual([developer(" "), user]);
  const own = { ...plain, input: [developer("Be exact."), user] };
  expect(toLite(own, "abc").body.input).toEqual([developer("Be exact."), user]);
});

test("no image of a Lite body has a detail, and one that was asked for is named (openai/codex#27246)", () => {
  const image = (detail?: string) => ({
    type: "input_image",
    image_url: "data:image/png;base64,AA==",
    ...(detail ? { detail } : {}),
  });
  const input = [
    { type: "message", role: "user", content: [image("auto")] },
    { type: "function_call_output", call_id: "c", output: [image("original"), { type: "input_text", text: "page 2" }] },
  ];
  const { body: lite, changed } = toLite({ ...body, parallel_tool_calls: false, input }, "abc");
  expect(lite.input.slice(2)).toEqual([
    { type: "message", role: "user", content: [image()] },
    { type: "function_call_output", call_id: "c", output: [image(), { type: "input_text", text: "page 2" }] },
  ]);
  expect(changed).toEqual(["detail"]);
});

test("tools that the backend runs need the full envelope", () => {
  expect(needsFullEnvelope(body)).toBe(false);
  expect(needsFullEnvelope({ ...body, tools: [{ type: "custom", name: "patch" }] })).toBe(false);
  for (const type of ["web_search", "image_generation", "mcp", "local_shell"]) {
    expect(needsFullEnvelope({ ...body, tools: [{ type }] })).toBe(true);
  }
});
