import { describe, expect, test } from "bun:test";
import { RelayError } from "../../../src/lib/errors.ts";
import { chat } from "../../../src/protocols/chat/index.ts";
import type { Context } from "../../../src/protocols/protocol.ts";
import { contextOf, translated } from "../../support/cases.ts";

const base = { model: "gpt-5.5", messages: [{ role: "user", content: "hi" }] };

function translate(over: object) {
  return translated(chat, { ...base, ...over });
}

function refusal(over: object): [string, string | null, string | undefined] {
  try {
    translate(over);
  } catch (error) {
    if (error instanceof RelayError) return [error.code, error.wireCode, error.param];
    throw error;
  }
  return ["accepted", null, undefined];
}

const user = (...parts: unknown[]) => ({ messages: [{ role: "user", content: parts }] });
const fn = (over: object = {}) => ({ type: "function", function: { name: "f", ...over } });

describe("a request is refused with the path of its fault", () => {
  test.each([
    [{ model: undefined }, "missing_required_parameter", "model"],
    [{ model: "" }, "missing_required_parameter", "model"],
    [{ model: 5 }, "invalid_type", "model"],
    [{ messages: undefined }, "missing_required_parameter", "messages"],
    [{ messages: [] }, "empty_array", "messages"],
    [{ messages: "hi" }, "invalid_type", "messages"],
    [{ messages: [null] }, "invalid_type", "messages[0]"],
    [{ messages: ["hi"] }, "invalid_type", "messages[0]"],
    [{ messages: [{ content: "x" }] }, "missing_required_parameter", "messages[0].role"],
    [{ messages: [{ role: "robot", content: "x" }] }, "invalid_value", "messages[0].role"],
    [{ messages: [{ role: "user", content: 5 }] }, "invalid_type", "messages[0].content"],
    [
      { messages: [{ role: "system", content: [{ type: "image_url" }] }] },
      "invalid_value",
      "messages[0].content[0].type",
    ],
    [{ messages: [{ role: "system", content: 5 }] }, "invalid_type", "messages[0].content"],
    [{ messages: [{ role: "assistant", content: 5 }] }, "invalid_type", "messages[0].content"],
    [
      { messages: [{ role: "assistant", content: [{ type: "video" }] }] },
      "invalid_value",
      "messages[0].content[0].type",
    ],
    [{ messages: [{ role: "assistant", content: [{}] }] }, "missing_required_parameter", "messages[0].content[0].type"],
    [
      { messages: [{ role: "assistant", tool_calls: [{}] }] },
      "missing_required_parameter",
      "messages[0].tool_calls[0].function.name",
    ],
    [
      { messages: [{ role: "assistant", function_call: {} }] },
      "missing_required_parameter",
      "messages[0].function_call.name",
    ],
    [{ messages: [{ role: "tool", content: "x" }] }, "missing_required_parameter", "messages[0].tool_call_id"],
    [{ messages: [{ role: "function", name: "f", content: "x" }] }, "invalid_request", "messages[0].role"],
    [user(5), "invalid_type", "messages[0].content[0]"],
    [user({}), "missing_required_parameter", "messages[0].content[0].type"],
    [user({ type: "text" }), "missing_required_parameter", "messages[0].content[0].text"],
    [user({ type: "image_url", image_url: { url: "" } }), "invalid_value", "messages[0].content[0].image_url.url"],
    [user({ type: "image_url" }), "missing_required_parameter", "messages[0].content[0].image_url"],
    [user({ type: "input_image", file_id: "f" }), "unsupported_parameter", "messages[0].content[0].file_id"],
    [user({ type: "file" }), "missing_required_parameter", "messages[0].content[0].file"],
    [user({ type: "file", file: {} }), "missing_required_parameter", "messages[0].content[0].file.file_data"],
    [{ stream: "yes" }, "invalid_type", "stream"],
    [{ n: 2 }, "unsupported_value", "n"],
    [{ max_tokens: 0 }, "invalid_value", "max_tokens"],
    [{ max_tokens: 1.5 }, "invalid_type", "max_tokens"],
    [{ temperature: "hot" }, "invalid_type", "temperature"],
    [{ stop: 5 }, "invalid_type", "stop"],
    [{ stop: ["a", "b", "c", "d", "e"] }, "array_above_max_length", "stop"],
    [{ modalities: ["text", "audio"] }, "unsupported_value", "modalities"],
    [{ audio: { voice: "x" } }, "unsupported_value", "audio"],
    [{ verbosity: "loud" }, "invalid_value", "verbosity"],
    [{ text: { verbosity: "loud" } }, "invalid_value", "text.verbosity"],
    [{ reasoning: { effort: "turbo" } }, "invalid_value", "reasoning.effort"],
    [{ response_format: { type: "xml" } }, "invalid_value", "response_format.type"],
    [{ response_format: { type: "json_schema" } }, "missing_required_parameter", "response_format.json_schema"],
    [
      { response_format: { type: "json_schema", json_schema: {} } },
      "missing_required_parameter",
      "response_format.json_schema.name",
    ],
    [
      { response_format: { type: "json_schema", json_schema: { name: "a b" } } },
      "invalid_value",
      "response_format.json_schema.name",
    ],
    [{ tools: [{}] }, "missing_required_parameter", "tools[0].type"],
    [{ tools: [{ type: "function", function: {} }] }, "missing_required_parameter", "tools[0].function.name"],
    [{ tools: [fn({ parameters: 5 })] }, "invalid_type", "tools[0].function.parameters"],
    [{ tools: [{ type: "custom", custom: {} }] }, "missing_required_parameter", "tools[0].custom.name"],
    [{ tools: [fn()], tool_choice: "maybe" }, "invalid_value", "tool_choice"],
    [
      { tools: [fn()], tool_choice: { type: "function", function: {} } },
      "missing_required_parameter",
      "tool_choice.function.name",
    ],
    [{ tools: [fn()], tool_choice: { type: "web_search" } }, "invalid_value", "tool_choice"],
    [{ tool_choice: "required" }, "invalid_value", "tool_choice"],
    [{ function_call: { name: "f" } }, "invalid_value", "function_call"],
    [{ messages: [], input: [5] }, "invalid_type", "input[0]"],
    [
      { messages: undefined, input: [{ role: "user", content: [{ type: "input_audio" }] }] },
      "unsupported_value",
      "input[0].content[0]",
    ],
  ])("%j", (over, code, param) => {
    const [actual, , at] = refusal(over);
    expect([actual, at] as unknown[]).toEqual([code, param]);
  });
});

describe("a request is translated", () => {
  test("null stands for absent", () => {
    const nothing = Object.fromEntries(
      [
        "stream",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "temperature",
        "max_tokens",
        "service_tier",
        "functions",
        "n",
        "audio",
      ].map((name) => [name, null]),
    );
    expect(translate(nothing)).toEqual({ ...translate({}), clientPath: expect.any(Function) });
  });

  test.each([
    ["any", "required"],
    ["none", "none"],
    [undefined, "auto"],
  ])("tool_choice %s", (asked, sent) => {
    expect(translate({ tools: [fn()], tool_choice: asked }).body.tool_choice).toBe(sent);
  });

  test("flat tools, hosted tools and their choice", () => {
    const tools = [
      { type: "function", name: "flat", parameters: { type: "object" }, strict: true },
      { type: "custom", name: "free", description: "d" },
      { type: "web_search_preview" },
      { type: "image_generation", size: "auto" },
    ];
    const { body } = translate({ tools, tool_choice: { type: "web_search_preview" } });
    expect(body.tools).toEqual([
      { type: "function", name: "flat", parameters: { type: "object" }, strict: true },
      { type: "custom", name: "free", description: "d" },
      { type: "web_search" },
      { type: "image_generation", size: "auto" },
    ]);
    expect(body.tool_choice).toEqual({ type: "web_search" });
  });

  test("tools that the client chose win over its search option", () => {
    expect(translate({ tools: [fn()], web_search_options: {} }).body.tools).toHaveLength(1);
    expect(translate({ tools: [], web_search_options: {} }).body.tools).toEqual([{ type: "web_search" }]);
  });

  test.each([
    [{ enable_thinking: true }, "medium"],
    [{ thinking: { type: "enabled" } }, "medium"],
    [{ thinking: { type: "disabled" } }, "none"],
    [{ enable_thinking: false }, "none"],
    [{ reasoning: { effort: "high" } }, "high"],
    [{ reasoning_effort: "low", reasoning: { effort: "high" } }, "low"],
    [{ model: "gpt-5.5-high", reasoning_effort: "low" }, "low"],
    [{ model: "gpt-5.5-high", enable_thinking: true }, "high"],
    [{ reasoning_effort: "ultra", model: "gpt-6-sol" }, "max"],
  ])("%j asks for effort %s", (over, effort) => {
    expect(translate(over).body.reasoning?.effort).toBe(effort);
  });

  test.each([
    ["priority", "priority"],
    ["flex", undefined],
    ["fast", "priority"],
    ["auto", undefined],
    ["default", undefined],
    ["scale", undefined],
  ])("service tier %s becomes %s", (asked, sent) => {
    expect(translate({ service_tier: asked }).body.service_tier).toBe(sent);
  });

  test("assistant history keeps answers and refusals, not thoughts", () => {
    const content = [
      "a",
      { type: "text", text: "b" },
      { type: "refusal", refusal: "c" },
      { type: "thinking", text: "d" },
      { type: "text", text: "" },
    ];
    const { body } = translate({
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content, reasoning_content: "e" },
      ],
    });
    expect(body.input[1]).toEqual({
      type: "message",
      role: "assistant",
      content: [
        { type: "output_text", text: "a" },
        { type: "output_text", text: "b" },
        { type: "refusal", refusal: "c" },
      ],
    });
  });

  test("input in place of messages, as a string too", () => {
    const { body } = translated(chat, { model: "gpt-5.5", input: "hello" });
    expect(body.input).toEqual([{ type: "message", role: "user", content: [{ type: "input_text", text: "hello" }] }]);
  });

  test("call ids that are too long are cut in items as well, alike for a call and its result", () => {
    const id = "c".repeat(65);
    const { body } = translated(chat, {
      model: "gpt-5.5",
      input: [
        { type: "function_call", id: "fc_1", call_id: id, name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: id, output: "r" },
      ],
    });
    const [call, result] = body.input.map((item) => item["call_id"]);
    expect(call).toMatch(/^call_[0-9a-f]{32}$/);
    expect(result).toBe(call);
  });

  test("system text stays in the input of a JSON mode, however that is asked for", () => {
    const messages = [{ role: "system", content: "Answer JSON." }, ...base.messages];
    const { body } = translate({ messages, text: { format: { type: "json_object" } } });
    expect(body.input).toEqual(translate({ messages, response_format: { type: "json_object" } }).body.input);
    expect(body.input).toHaveLength(2);
  });

  test("an empty list of messages gives way to input", () => {
    const { body } = translate({ messages: [], input: "hello" });
    expect(body.input).toEqual([{ type: "message", role: "user", content: [{ type: "input_text", text: "hello" }] }]);
  });

  test("a search asks for more than the least effort, whatever the model would take", () => {
    const context: Context = { ...contextOf({}), models: { origin: "bundled", models: [] } };
    const sent = (over: object) => translated(chat, { ...base, reasoning_effort: "minimal", ...over }, context);
    expect(sent({}).body.reasoning?.effort).toBe("minimal");
    expect(sent({}).changed).toEqual([]);
    expect(sent({ web_search_options: {} }).body.reasoning?.effort).toBe("low");
    expect(sent({ tools: [{ type: "web_search" }] }).changed).toEqual(["reasoning_effort"]);
  });

  test.each(["none", "auto"])("function_call %s without functions asks for nothing", (choice) => {
    expect(translate({ function_call: choice }).body).toEqual(translate({}).body);
  });

  test("a fault is told in OpenAI's words", () => {
    const message = (over: object) => {
      try {
        translate(over);
      } catch (error) {
        return (error as RelayError).message;
      }
      return "accepted";
    };
    expect(message({ messages: "hi" })).toBe(
      "Invalid type for 'messages': expected an array of objects, but got a string instead.",
    );
    expect(message({ messages: [{ role: "user", content: 5 }] })).toBe(
      "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.",
    );
    expect(message({ max_tokens: 0 })).toBe(
      "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    );
    expect(message({ tool_choice: "required" })).toBe(
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
    );
    expect(message({ max_tokens: "5" })).toBe(
      "Invalid type for 'max_tokens': expected an integer, but got a string instead.",
    );
    expect(message({ stream: 1 })).toBe("Invalid type for 'stream': expected a boolean, but got an integer instead.");
  });

  test("what was dropped and what was changed is named", () => {
    const { dropped, changed } = translate({
      seed: 1,
      store: true,
      logprobs: false,
      stop: "x",
      reasoning_effort: "minimal",
      user: "u",
    });
    expect(dropped).toEqual(["seed", "store", "user"]);
    expect([...changed].toSorted()).toEqual(["reasoning_effort", "stop"]);
    expect(translate({ store: false }).dropped).toEqual([]);
    expect(translate({ tools: [fn()], web_search_options: {} }).dropped).toEqual(["web_search_options"]);
    expect(translate({ model: "gpt-5.5-max" }).changed).toEqual(["reasoning_effort"]);
  });
});

test("reasoning comes back in front of the call that it led to, in this conversation's next turn", () => {
  const context = contextOf({});
  const item = { type: "reasoning", summary: [], encrypted_content: "E" };
  context.memory.remember("c1", [item]);
  const messages = [
    { role: "user", content: "q" },
    { role: "assistant", tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: "{}" } }] },
    { role: "tool", tool_call_id: "c1", content: "r" },
  ];
  const { body } = translated(chat, { ...base, messages }, context);
  expect(body.input.map((entry) => entry.type)).toEqual([
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
  ]);
  expect(body.input[1]).toEqual(item);
});
