import { describe, expect, test } from "bun:test";
import { RelayError } from "../../../src/lib/errors.ts";
import { messages } from "../../../src/protocols/messages/index.ts";
import { translated } from "../../support/cases.ts";

const body = (over: object = {}) => ({ model: "gpt-5.5", max_tokens: 9, messages: [said("hi")], ...over });
const said = (content: unknown, role = "user") => ({ role, content });
const translate = (over: object = {}) => translated(messages, body(over));
const tool = (over: object = {}) => ({ name: "f", input_schema: { type: "object" }, ...over });
const use = { type: "tool_use", id: "toolu_1", name: "f", input: {} };
const result = { type: "tool_result", tool_use_id: "toolu_1", content: "r" };

function refusal(request: unknown): RelayError {
  try {
    translated(messages, request);
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("refusals name the path at fault, in the message too", () => {
  test.each([
    ["model", { model: undefined }],
    ["model", { model: 7 }],
    ["messages", { messages: "hi" }],
    ["messages.0.role", { messages: [{ content: "x" }] }],
    ["messages.0.role", { messages: [said("x", "robot")] }],
    ["messages.0.content", { messages: [said(7)] }],
    ["messages.0.content.0", { messages: [said(["x"])] }],
    ["messages.0.content.0.type", { messages: [said([{}])] }],
    ["messages.0.content.0.type", { messages: [said([use])] }],
    ["messages.0.content.0.text", { messages: [said([{ type: "text" }])] }],
    ["messages.0.content.0.source", { messages: [said([{ type: "image" }])] }],
    ["messages.0.content.0.source.type", { messages: [said([{ type: "image", source: { type: "x" } }])] }],
    ["messages.0.content.0.source.data", { messages: [said([{ type: "image", source: { type: "base64" } }])] }],
    ["messages.0.content.0.source.url", { messages: [said([{ type: "image", source: { type: "url" } }])] }],
    ["messages.0.content.0.tool_use_id", { messages: [said([{ type: "tool_result" }])] }],
    ["messages.0.content.0.tool_use_id", { messages: [said([result])] }],
    ["messages.2.content.1.tool_use_id", { messages: [said("q"), said([use], "assistant"), said([result, result])] }],
    ["messages.1.content.0.id", { messages: [said("q"), said([{ ...use, id: "" }], "assistant")] }],
    ["messages.1.content.0.name", { messages: [said("q"), said([{ ...use, name: "" }], "assistant")] }],
    ["messages.1.content.1.id", { messages: [said("q"), said([use, use], "assistant")] }],
    ["messages.1.content.0.type", { messages: [said("q"), said([{ type: "image" }], "assistant")] }],
    ["messages", { messages: [said("q"), said([use], "assistant"), said("x", "assistant")] }],
    ["messages.3", { messages: [said("q"), said([use], "assistant"), said("x"), said("y", "assistant")] }],
    ["container.skills", { container: { skills: [{ type: "anthropic", skill_id: "pdf" }] } }],
    ["messages", { messages: [said("q"), said([use], "assistant")] }],
    ["system.0", { system: [{ type: "image" }] }],
    ["max_tokens", { max_tokens: 1.5 }],
    ["stop_sequences.0", { stop_sequences: [1] }],
    ["stream", { stream: "yes" }],
    ["tools.0.name", { tools: [{ input_schema: {} }] }],
    ["tools.0.input_schema", { tools: [{ name: "f" }] }],
    ["tools.1.type", { tools: [tool(), { type: "code_execution_20250522", name: "code_execution" }] }],
    ["tool_choice", { tool_choice: { type: "any" } }],
    ["tool_choice.type", { tools: [tool()], tool_choice: { type: "some" } }],
    ["tool_choice.name", { tools: [tool()], tool_choice: { type: "tool" } }],
    ["tool_choice.name", { tools: [tool()], tool_choice: { type: "tool", name: "web_search" } }],
    ["thinking.type", { thinking: { type: "hard" } }],
    ["output_config.format.type", { output_config: { format: { type: "xml" } } }],
    ["output_format.schema", { output_format: { type: "json_schema" } }],
    ["mcp_servers", { mcp_servers: [{}] }],
    ["thread", { thread: { type: "create" } }],
  ])("%s", (param, over) => {
    const error = refusal(body(over));
    expect([error.status, error.param]).toEqual([400, param]);
    expect(error.message).toStartWith(param.split(".")[0] ?? "");
  });

  test.each([[null], [[]], ["x"], [7]])("a body that is %j", (request) => {
    expect(refusal(request).status).toBe(400);
  });
});

describe("effort", () => {
  const effort = (over: object) => translate(over).body.reasoning?.effort;
  test.each([
    [{}, undefined],
    [{ thinking: { type: "adaptive" } }, undefined],
    // gpt-5.5 has low to xhigh.
    [{ thinking: { type: "disabled" } }, "none"],
    [{ thinking: { type: "enabled", budget_tokens: 1024 } }, "low"],
    [{ thinking: { type: "enabled", budget_tokens: 10_000 } }, "medium"],
    [{ thinking: { type: "enabled", budget_tokens: 20_000 } }, "high"],
    [{ thinking: { type: "enabled", budget_tokens: 31_999 } }, "xhigh"],
    [{ thinking: { type: "enabled", budget_tokens: 31_999 }, output_config: { effort: "low" } }, "low"],
    [{ output_config: { effort: "max" } }, "xhigh"],
    [{ model: "gpt-5.5-high" }, "high"],
    [{ model: "gpt-5.5-high", thinking: { type: "disabled" } }, "high"],
    [{ model: "gpt-6-sol", output_config: { effort: "max" } }, "max"],
  ])("%j: %p", (over, expected) => {
    expect(effort(over)).toBe(expected as string);
  });

  test("summaries are asked for by those who want to see them only", () => {
    const summary = (thinking: object | undefined) => translate({ thinking }).body.reasoning?.summary;
    expect([
      summary({ type: "adaptive" }),
      summary({ type: "adaptive", display: "omitted" }),
      summary({ type: "disabled" }),
      summary(undefined),
    ]).toEqual(["auto", undefined, undefined, undefined]);
  });
});

test("nothing but what the backend takes reaches it", () => {
  const { body: sent } = translate({
    tools: [tool({ cache_control: { type: "ephemeral" }, eager_input_streaming: true })],
    cache_control: { type: "ephemeral" },
    service_tier: "auto",
    betas: ["x"],
    brand_new: 1,
  });
  expect(Object.keys(sent).toSorted()).toEqual([
    "include",
    "input",
    "instructions",
    "model",
    "store",
    "stream",
    "tool_choice",
    "tools",
  ]);
  expect(Object.keys(sent.tools?.[0] as object)).toEqual(["type", "name", "parameters", "strict"]);
});

test("a result may come one message later than another, and a system message between", () => {
  const two = { ...use, id: "toolu_2" };
  const input = translate({
    messages: [
      said("q"),
      said([use, two], "assistant"),
      said("note", "system"),
      said([result]),
      said([
        { ...result, tool_use_id: "toolu_2" },
        { type: "text", text: "and?" },
      ]),
    ],
  }).body.input;
  expect(input.map((item) => item.type)).toEqual([
    "message",
    "function_call",
    "function_call",
    "message",
    "function_call_output",
    "function_call_output",
    "message",
  ]);
});

test("a conversation that began elsewhere goes on here, without what that service's own tools did", () => {
  const blocks = [
    { type: "mcp_tool_listing", server_name: "s", tools: [] },
    { type: "mcp_tool_use", id: "mcptoolu_1", name: "f", server_name: "s", input: {} },
    { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", is_error: false, content: "x" },
    { type: "container_upload", file_id: "file_1" },
    { type: "fallback", from: { model: "a" }, to: { model: "b" } },
    { type: "text", text: "Done." },
  ];
  const { input } = translate({ messages: [said("q"), said(blocks, "assistant"), said("go on")] }).body;
  expect(input.map(({ role, content }) => [role, (content as { text: string }[])[0]?.text])).toEqual([
    ["user", "q"],
    ["assistant", "Done."],
    ["user", "go on"],
  ]);
});

test("a container that brings no skills is only named", () => {
  expect(translate({ container: { id: "container_1", skills: [] } }).dropped).toEqual(["container"]);
});

test("what the backend has nothing for is named", () => {
  const compaction = { type: "auto" };
  const { body: sent, dropped } = translate({
    compaction,
    fallbacks: [],
    top_k: 3,
    service_tier: "auto",
    unheard_of: 1,
  });
  expect(dropped).toEqual(["compaction", "fallbacks", "top_k", "unheard_of"]);
  expect(sent).not.toHaveProperty("compaction");
});

test("tools that are found by search are all there from the start", () => {
  const { body: sent, dropped } = translate({
    tools: [{ type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" }, tool({ defer_loading: true })],
  });
  expect([sent.tools?.length, dropped]).toEqual([1, ["tools.tool_search_tool_regex"]]);
});

describe("what is said inside messages and nobody reads is named by its first place", () => {
  const cached = { cache_control: { type: "ephemeral" } };
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };
  const shrunk = { ...image, transformations: { oversized_image: "downsize" } };

  test("of the question: it has no effect", () => {
    const said = [{ type: "text", text: "a", ...cached }, shrunk];
    const messages = [
      { role: "user", content: said, clear_at: "next_user_message" },
      { role: "assistant", content: "b" },
      { role: "user", content: said },
    ];
    const { dropped, changed } = translate({ messages, output_config: { effort: "low", task_budget: { total: 9 } } });
    expect(dropped).toEqual([
      "messages.0.clear_at",
      "messages.0.content.1.transformations",
      "output_config.task_budget",
    ]);
    expect(changed).toEqual(["max_tokens", "cache_control"]);
  });

  test("of earlier answers, which --strict lets through", () => {
    const { dropped, changed } = translate({
      messages: [
        { role: "user", content: "a" },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "of-another-service" },
            { type: "mcp_tool_use", id: "mcptoolu_1", name: "f", server_name: "s", input: {} },
            { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", content: "r" },
            { type: "text", text: "b", citations: null },
          ],
        },
        { role: "user", content: "c" },
      ],
    });
    expect(dropped).toEqual([]);
    expect(changed).toEqual(["max_tokens", "messages.1.content.0", "messages.1.content.1", "messages.1.content.2"]);
  });
});
