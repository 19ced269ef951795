import { expect, test } from "bun:test";
import { LITE_HEADER, toLite } from "../../src/codex/request/lite.ts";
import type { CodexRequest } from "../../src/codex/wire/request.ts";
import { DEMO_CATALOGUE } from "../../src/demo/catalogue.ts";
import { findRefusal } from "./rules.ts";
import type { JsonObject } from "../../src/lib/json.ts";

const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const GOOD: JsonObject = {
  model: "gpt-5.5",
  instructions: "",
  input: [user("hi")],
  include: ["reasoning.encrypted_content"],
  store: false,
  stream: true,
};
const weather = {
  type: "function",
  name: "get_weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const call = { type: "function_call", call_id: "call_1", name: "get_weather", arguments: "{}" };
const output = { type: "function_call_output", call_id: "call_1", output: "sunny" };
const part = (content: object, role = "user") => ({ input: [{ type: "message", role, content: [content] }] });

function detailOf(change: JsonObject, headers: Record<string, string> = {}): string | undefined {
  const body = Object.fromEntries(Object.entries({ ...GOOD, ...change }).filter(([, value]) => value !== undefined));
  return findRefusal(new Headers(headers), body, DEMO_CATALOGUE)?.detail;
}

const strict = (parameters: object) => ({ tools: [{ ...weather, strict: true, parameters }] });

test.each<[string, JsonObject, string]>([
  ["an unknown field", { temperature: 1 }, "Unsupported parameter: temperature"],
  ["max_output_tokens", { max_output_tokens: 5 }, "Unsupported parameter: max_output_tokens"],
  ["previous_response_id", { previous_response_id: "resp_1" }, "Unsupported parameter: previous_response_id"],
  ["metadata", { metadata: {} }, "Unsupported parameter: metadata"],
  ["store left out", { store: undefined }, "Store must be set to false"],
  ["store true", { store: true }, "Store must be set to false"],
  ["no stream", { stream: false }, "Stream must be set to true"],
  ["a text as input", { input: "hi" }, "Input must be a list"],
  ["no instructions at all", { instructions: undefined }, "Instructions are required"],
  ["instructions that are no text", { instructions: null }, "Instructions are not valid"],
  ["an empty model", { model: "" }, "The '' model is not supported when using Codex"],
  ["a retired model", { model: "gpt-5.1-codex" }, "is not supported when using Codex with a ChatGPT account."],
  ["the system role", { input: [{ ...user("x"), role: "system" }] }, "System messages are not allowed"],
  ["an item reference", { input: [{ type: "item_reference", id: "rs_1" }] }, "Item with id 'rs_1' not found."],
  ["bare reasoning", { input: [{ type: "reasoning", id: "rs_1", summary: [] }] }, "Items are not persisted"],
  ["a foreign id", { input: [{ ...user("x"), id: "item_1" }] }, "Expected an ID that begins with 'msg'."],
  ["an unknown key of a message", { input: [{ ...user("x"), name: "bob" }] }, "Unknown parameter: 'input[0].name'."],
  ["an unknown item", { input: [{ type: "mcp_call" }] }, "Invalid value: 'mcp_call'."],
  [
    "cache_control",
    part({ type: "input_text", text: "x", cache_control: {} }),
    "Unknown parameter: 'input[0].content[0].c",
  ],
  [
    "a cache breakpoint",
    part({ type: "input_text", text: "x", prompt_cache_breakpoint: {} }),
    "is not supported on this",
  ],
  ["output_text of a user", part({ type: "output_text", text: "x" }), "Invalid value: 'output_text'."],
  ["input_text of an assistant", part({ type: "input_text", text: "x" }, "assistant"), "Invalid value: 'input_text'."],
  ["an image without url", part({ type: "input_image", image_url: "", detail: "auto" }), "[0].image_url'"],
  ["an image without detail", part({ type: "input_image", image_url: "https://x.test/a.png" }), "[0].detail'"],
  ["an output without call", { input: [output] }, "No tool call found for function call output with call_id call_1."],
  ["a call without output", { input: [call] }, "No tool output found for function call call_1."],
  ["an output before its call", { input: [output, call] }, "No tool call found"],
  ["a long call id", { input: [{ ...call, call_id: "x".repeat(65) }] }, "maximum length 64"],
  ["a bad tool name", { tools: [{ ...weather, name: "get weather" }] }, "Invalid 'tools[0].name'"],
  ["a chat tool", { tools: [{ type: "function", function: weather }] }, "Missing required parameter: 'tools[0].name'"],
  ["web_search_preview", { tools: [{ type: "web_search_preview" }] }, "Unsupported tool type: web_search_preview"],
  ["file_search", { tools: [{ type: "file_search" }] }, "Unsupported tool type: file_search"],
  ["parameters without type", { tools: [{ ...weather, parameters: {} }] }, "schema must be a JSON Schema"],
  ["an open strict schema", strict(weather.parameters), "'additionalProperties' is required"],
  [
    "a strict schema with options",
    strict({ ...weather.parameters, required: [], additionalProperties: false }),
    "Missing 'city'.",
  ],
  ["required without tools", { tool_choice: "required" }, "must be specified with 'tools'"],
  [
    "a choice of nothing",
    { tool_choice: { type: "function", name: "x" }, tools: [weather] },
    "Tool choice 'x' not found",
  ],
  ["a chat choice", { tool_choice: { type: "function", function: {} }, tools: [weather] }, "'tool_choice.name'"],
  ["an unknown mode", { tool_choice: "any" }, "Invalid value: 'any'."],
  ["a chat format", { text: { format: { type: "json_schema", json_schema: {} } } }, "'text.format.name'"],
  ["json_object in silence", { text: { format: { type: "json_object" } } }, "must contain the word 'json'"],
  [
    "an open strict answer",
    { text: { format: { type: "json_schema", name: "x", strict: true, schema: { type: "object" } } } },
    "Invalid schema for response_format 'x'",
  ],
  ["tier auto", { service_tier: "auto" }, "Unsupported service_tier: auto"],
  [
    "an effort too high",
    { reasoning: { effort: "max" } },
    "Unsupported value: 'max' is not supported with the 'gpt-5.5'",
  ],
  ["an unknown include", { include: ["everything"] }, "Invalid value: 'everything'."],
  ["client_metadata of numbers", { client_metadata: { a: 1 } }, "Invalid type for 'client_metadata'"],
])("%s is refused", (_title, change, expected) => {
  expect(detailOf(change)).toContain(expected);
});

test.each<[string, JsonObject]>([
  ["the plainest request", {}],
  [
    "a developer message instead of instructions",
    { instructions: undefined, input: [{ ...user("x"), role: "developer" }] },
  ],
  ["a call with its output", { input: [user("x"), call, output], tools: [weather] }],
  ["reasoning with its content", { input: [{ type: "reasoning", id: "rs_1", summary: [], encrypted_content: "x" }] }],
  ["a named tool", { tools: [weather], tool_choice: { type: "function", name: "get_weather" } }],
  ["json_object with the word", { input: [user("as JSON")], text: { format: { type: "json_object" } } }],
  ["a Lite model in the classic shape", { model: "gpt-6.1-sol" }],
  ["priority", { service_tier: "priority" }],
  [
    "additional_tools without the Lite header (contract 0.2)",
    { input: [{ type: "additional_tools", role: "developer", tools: [weather] }, user("x")] },
  ],
  ["branches at the root of a schema", { tools: [{ ...weather, parameters: { anyOf: [weather.parameters] } }] }],
  ["effort none where it is known to work (contract 0.7)", { model: "gpt-6-luna", reasoning: { effort: "none" } }],
])("%s is taken", (_title, change) => {
  expect(detailOf(change)).toBeUndefined();
});

test("a client that is too old is told to upgrade", () => {
  const text = "The 'gpt-6.1-sol' model requires a newer version of Codex. Please upgrade to the latest version.";
  expect(detailOf({ model: "gpt-6.1-sol" }, { version: "0.98.0" })).toBe(text);
  expect(detailOf({ model: "gpt-6.1-sol" }, { "user-agent": "codex_cli_rs/0.98.0 (Linux)" })).toBe(text);
  expect(detailOf({ model: "gpt-6.1-sol" }, { version: "0.169.0" })).toBeUndefined();
});

const liteBody = (change: Partial<CodexRequest> = {}) =>
  toLite({ ...(GOOD as unknown as CodexRequest), model: "gpt-6.1-sol", tools: [weather], ...change }, "1")
    .body as unknown as JsonObject;
const liteDetail = (body: JsonObject) =>
  findRefusal(new Headers({ [LITE_HEADER]: "true" }), body, DEMO_CATALOGUE)?.detail;

test("the Lite envelope is taken as the relay packs it", () => {
  expect(liteDetail(liteBody())).toBeUndefined();
  expect(liteDetail(liteBody({ model: "gpt-6-luna" }))).toBeUndefined();
});

test.each<[string, JsonObject, string]>([
  ["no context", { reasoning: { effort: "low" } }, "requires reasoning.context to be all_turns"],
  ["another model", { model: "gpt-5.5" }, "This model is not supported when using"],
  ["tools at the top", { tools: [] }, "does not support top-level tools"],
  ["instructions at the top", { instructions: "x" }, "does not support top-level instructions"],
  ["parallel calls", { parallel_tool_calls: true }, "does not support parallel_tool_calls"],
  ["a forced hosted tool", { tool_choice: { type: "web_search" } }, "Tool choice 'web_search' is not supported"],
])("a Lite request with %s is refused", (_title, change, expected) => {
  expect(liteDetail({ ...liteBody(), ...change })).toContain(expected);
});
