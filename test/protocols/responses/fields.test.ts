import { describe, expect, test } from "bun:test";
import { RelayError } from "../../../src/lib/errors.ts";
import { responses } from "../../../src/protocols/responses/index.ts";
import { contextOf, translated } from "../../support/cases.ts";

const translate = (over: object) => translated(responses, { model: "gpt-5.5", input: "hi", ...over }, contextOf({}));
const adjusted = (over: object) => {
  const { dropped, changed } = translate(over);
  return { dropped, changed };
};
const refused = (over: object): string | undefined => {
  try {
    translate(over);
    return undefined;
  } catch (error) {
    if (error instanceof RelayError) return error.param;
    throw error;
  }
};

describe("no field vanishes unseen (BerriAI/litellm#37125)", () => {
  test("unknown fields are named, empty ones are not", () => {
    expect(adjusted({ top_k: 40, min_p: 0.05, guided_regex: "[a-z]+", stop: ["five"], seed: 1 })).toEqual({
      dropped: ["guided_regex", "min_p", "seed", "stop", "top_k"],
      changed: [],
    });
    expect(
      adjusted({ top_k: null, metadata: null, n: 1, modalities: ["text"], stream: false, background: false }),
    ).toEqual({
      dropped: [],
      changed: [],
    });
  });

  test("thoughts that cannot be read back and marks for a cache are named, and let through with --strict", () => {
    const part = { type: "input_text", text: "a", prompt_cache_breakpoint: { mode: "explicit" } };
    const input = [
      { role: "user", content: [part] },
      { type: "reasoning", id: "rs_1", summary: [] },
      { role: "user", content: [part] },
    ];
    const { body, dropped, changed } = translate({ input });
    expect(body.input).toHaveLength(2);
    expect([dropped, changed]).toEqual([[], ["input[1]", "input[0].content[0].prompt_cache_breakpoint"]]);
  });

  test("fields inside reasoning and text that the backend does not read are named", () => {
    const { body, dropped, changed } = translate({
      reasoning: { effort: "low", generate_summary: "detailed", mode: "pro" },
      text: { verbosity: "low", tone: "dry" },
    });
    expect([body.reasoning, body.text]).toEqual([{ effort: "low", summary: "detailed" }, { verbosity: "low" }]);
    expect([dropped, changed]).toEqual([["reasoning.mode", "text.tone"], ["reasoning.generate_summary"]]);
  });

  test("Chat Completions' fields are honoured where this API has the same elsewhere, and named", () => {
    const schema = { type: "object", properties: {} };
    const { body, dropped, changed } = translate({
      response_format: { type: "json_schema", json_schema: { name: "berth", schema } },
      reasoning_effort: "high",
      verbosity: "low",
    });
    expect(body.text).toEqual({
      format: { type: "json_schema", name: "berth", schema, strict: false },
      verbosity: "low",
    });
    expect(body.reasoning).toEqual({ effort: "high" });
    expect([dropped, changed]).toEqual([[], ["reasoning_effort", "verbosity", "response_format"]]);
    expect(body).not.toHaveProperty("response_format");
  });

  test("this API's own field wins, and the other one is named", () => {
    const { body, dropped } = translate({
      reasoning: { effort: "low" },
      reasoning_effort: "high",
      text: { format: { type: "text" } },
      response_format: { type: "json_object" },
    });
    expect([body.reasoning?.effort, body.text]).toEqual(["low", { format: { type: "text" } }]);
    expect(dropped).toEqual(["reasoning_effort", "response_format"]);
  });

  test.each<[string, object]>([
    ["messages", { messages: [] }],
    ["functions", { functions: [{ name: "f" }] }],
    ["function_call", { function_call: "auto" }],
    ["n", { n: 2 }],
    ["modalities", { modalities: ["text", "audio"] }],
    ["tools[1].type", { tools: [{ type: "web_search" }, { type: "file_search" }] }],
    ["tools[0].type", { tools: [{ type: "code_interpreter", container: { type: "auto" } }] }],
    [
      "input[0].content[1].file_id",
      {
        input: [
          {
            role: "user",
            content: [
              { type: "input_text", text: "x" },
              { type: "input_file", file_id: "file-1" },
            ],
          },
        ],
      },
    ],
    [
      "input[0].output[0].file_id",
      { input: [{ type: "function_call_output", call_id: "c", output: [{ type: "input_image", file_id: "file-1" }] }] },
    ],
  ])("what the backend cannot do is refused by its place: %s", (param, over) => {
    expect(refused(over)).toBe(param);
  });
});

test("what an SDK printed of earlier answers is taken as input (openai/openai-python#3008)", () => {
  const { body } = translate({
    input: [
      { type: "message", role: "user", content: [{ type: "input_text", text: "Where?" }], id: null, status: null },
      {
        id: "rs_41a",
        type: "reasoning",
        summary: [{ type: "summary_text", text: "Ask." }],
        encrypted_content: "gAAAA",
        status: null,
      },
      {
        id: "msg_41b",
        type: "message",
        role: "assistant",
        status: "completed",
        phase: null,
        content: [{ type: "output_text", text: "Asking.", annotations: [], logprobs: null, parsed: null }],
      },
      {
        id: "fc_41c",
        type: "function_call",
        call_id: "c",
        name: "ask",
        arguments: { thing: "ladder" },
        namespace: "n",
        parsed_arguments: { thing: "ladder" },
      },
      { id: null, type: "function_call_output", call_id: "c", output: "row 3", status: null },
      {
        id: "ws_1",
        type: "web_search_call",
        status: "completed",
        action: { type: "search", query: "q", sources: null },
      },
      { id: "cmp_1", type: "compaction", encrypted_content: "gAAAA-c", created_by: null },
    ],
  });
  expect(body.input).toEqual([
    { type: "message", role: "user", content: [{ type: "input_text", text: "Where?" }] },
    { type: "reasoning", summary: [{ type: "summary_text", text: "Ask." }], encrypted_content: "gAAAA" },
    { type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text: "Asking." }] },
    { type: "function_call", call_id: "c", name: "ask", arguments: '{"thing":"ladder"}', namespace: "n" },
    { type: "function_call_output", call_id: "c", output: "row 3" },
    { id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "q" } },
    { id: "cmp_1", type: "compaction", encrypted_content: "gAAAA-c" },
  ]);
});

test("a user's name stands before what is said, and other names are named as left out (microsoft/autogen#5401)", () => {
  const { body, dropped } = translate({
    input: [
      { role: "user", name: "deckhand", content: "I have the rope." },
      { role: "assistant", name: "bot", content: "Noted." },
    ],
  });
  expect(body.input.map(({ content, name }) => [(content as { text: string }[])[0]?.text, name])).toEqual([
    ["deckhand: I have the rope.", undefined],
    ["Noted.", undefined],
  ]);
  expect(dropped).toEqual(["input[1].name"]);
});

test("a tool's fields that an SDK printed as null are left out", () => {
  const tool = { type: "function", name: "f", parameters: { type: "object", properties: {} }, strict: false };
  expect(translate({ tools: [{ ...tool, description: null, defer_loading: null }] }).body.tools).toEqual([tool]);
});

test("web search is the hosted one under any date, with all its options", () => {
  const options = { search_context_size: "medium", filters: { allowed_domains: ["weather.example"] } };
  for (const type of ["web_search_2026_07_30", "web_search_preview", "web_search_preview_2025_03_11"]) {
    const { body } = translate({ tools: [{ type, ...options }], tool_choice: { type } });
    expect([body.tools, body.tool_choice]).toEqual([[{ type: "web_search", ...options }], { type: "web_search" }]);
  }
});

test("a function in Chat Completions' form stands at the top", () => {
  const parameters = { type: "object", properties: {} };
  const { body } = translate({ tools: [{ type: "function", function: { name: "f", parameters } }] });
  expect(body.tools).toEqual([{ type: "function", name: "f", parameters, strict: false }]);
});

describe("a service tier (contract 0.16)", () => {
  test.each([
    ["priority", "priority", "kept"],
    ["fast", "priority", "changed"],
    ["auto", undefined, "kept"],
    ["flex", undefined, "dropped"],
    ["ultrafast", undefined, "dropped"],
  ])("%s", (asked, sent, fate) => {
    const { body, dropped, changed } = translate({ service_tier: asked });
    const named = dropped.includes("service_tier") ? "dropped" : changed.includes("service_tier") ? "changed" : "kept";
    expect<unknown[]>([body.service_tier, named]).toEqual([sent, fate]);
  });
});

test("places in the backend's refusals are those of the client's own input", () => {
  const { clientPath } = translate({
    input: [
      { type: "reasoning", id: "rs_1", summary: [] },
      { role: "user", content: "x" },
    ],
  });
  expect(clientPath?.("input[0].content[0]")).toBe("input[1].content[0]");
  expect(clientPath?.("tools[0].name")).toBe("tools[0].name");
});
