import { describe, expect, test } from "bun:test";
import { ReasoningStore } from "../../../src/codex/reasoning-store.ts";
import { ResponseStore } from "../../../src/codex/response-store.ts";
import type { CodexEvent } from "../../../src/codex/wire/schema.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { responses } from "../../../src/protocols/responses/index.ts";
import type { Context } from "../../../src/protocols/protocol.ts";
import { asked, opened, translated } from "../../support/cases.ts";

const context: Context = {
  id: "f00",
  now: 1_700_000_000_000,
  elapsedMs: () => 0,
  reasoning: "both",
  defaultInstructions: "",
  models: {
    origin: "live",
    models: [{ slug: "gpt-5.5", supported_reasoning_levels: [{ effort: "low" }, { effort: "high" }] }],
  },
  memory: new ReasoningStore(),
  responses: new ResponseStore(),
  reserve: () => {},
  clientId: "",
  modelAliases: {},
  countTokens: () => undefined,
  isCodexClient: false,
};

const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });

function translate(body: object, over: Partial<Context> = {}) {
  return translated(responses, { model: "gpt-5.5", input: "hi", ...body }, { ...context, ...over });
}

function refusal(body: object): [string, string | undefined] {
  try {
    translate(body);
  } catch (error) {
    if (error instanceof RelayError) return [error.code, error.param];
  }
  return ["accepted", undefined];
}

describe("a request", () => {
  test("in its shortest form gets what the backend insists on", () => {
    expect(translate({})).toMatchObject({
      body: {
        model: "gpt-5.5",
        instructions: "",
        input: [user("hi")],
        include: ["reasoning.encrypted_content"],
        store: false,
        stream: true,
      },
      dropped: [],
      changed: [],
    });
  });

  test("loses what the backend refuses, and says so", () => {
    const { body, dropped } = translate({
      temperature: 0.5,
      top_p: 1,
      metadata: { a: "b" },
      user: "u",
      truncation: "auto",
      max_tool_calls: 3,
      safety_identifier: "s",
      context_management: [],
      access_programs: {},
      image: {},
      store: true,
      stream_options: { include_obfuscation: false },
    });
    expect(Object.keys(body).toSorted()).toEqual(["include", "input", "instructions", "model", "store", "stream"]);
    expect(dropped).toEqual([
      "access_programs",
      "context_management",
      "image",
      "max_tool_calls",
      "metadata",
      "safety_identifier",
      "stream_options",
      "temperature",
      "top_p",
      "truncation",
      "user",
    ]);
  });

  test("keeps tools, strictness and choice as they are, but for the old name of web search", () => {
    const tools = [
      { type: "function", name: "f", parameters: { type: "object" } },
      { type: "web_search_preview_2025_03_11", search_context_size: "low" },
    ];
    const { body } = translate({ tools, tool_choice: "required", parallel_tool_calls: false });
    expect(body.tools).toEqual([tools[0], { type: "web_search", search_context_size: "low" }]);
    expect(body.tool_choice).toBe("required");
    expect(body.parallel_tool_calls).toBe(false);
  });

  test("names a tool in its choice as it is named upstream", () => {
    const tools = [{ type: "web_search_preview" }, { type: "function", name: "f", parameters: {} }];
    expect(translate({ tools, tool_choice: { type: "web_search_preview" } }).body.tool_choice).toEqual({
      type: "web_search",
    });
    const allowed = { type: "allowed_tools", mode: "auto", tools: [{ type: "web_search_preview_2025_03_11" }] };
    expect(translate({ tools, tool_choice: allowed }).body.tool_choice).toEqual({
      ...allowed,
      tools: [{ type: "web_search" }],
    });
  });

  test("keeps a choice that no tool answers to: upstream is to say so", () => {
    const { body } = translate({ tool_choice: "required", parallel_tool_calls: false });
    expect([body.tool_choice, body.parallel_tool_calls, body.tools]).toEqual(["required", false, undefined]);
  });

  test("loses cache marks in the parts of a tool's result, too", () => {
    const output = [
      { type: "input_text", text: "t", prompt_cache_breakpoint: {} },
      { type: "input_image", image_url: "data:image/png;base64,AA", prompt_cache_breakpoint: {} },
    ];
    expect(translate({ input: [{ type: "function_call_output", call_id: "c", output }] }).body.input).toEqual([
      {
        type: "function_call_output",
        call_id: "c",
        output: [
          { type: "input_text", text: "t" },
          { type: "input_image", image_url: "data:image/png;base64,AA", detail: "auto" },
        ],
      },
    ]);
  });

  test("replays history without ids that nobody can look up", () => {
    const { body } = translate({
      input: [
        { role: "system", content: "S" },
        { role: "user", content: "u" },
        { type: "reasoning", id: "rs_1", encrypted_content: "E" },
        { type: "reasoning", id: "rs_2", summary: [] },
        {
          type: "message",
          id: "msg_1",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: "a", annotations: [], logprobs: [] }],
        },
        { type: "function_call", id: "fc_1", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "r" },
        {
          role: "user",
          content: [{ type: "input_image", image_url: "data:image/png;base64,AA", prompt_cache_breakpoint: {} }],
        },
      ],
    });
    expect(body.input).toEqual([
      { type: "message", role: "developer", content: [{ type: "input_text", text: "S" }] },
      { type: "message", role: "user", content: [{ type: "input_text", text: "u" }] },
      { type: "reasoning", encrypted_content: "E", summary: [] },
      { type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text: "a" }] },
      { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: "r" },
      {
        type: "message",
        role: "user",
        content: [{ type: "input_image", image_url: "data:image/png;base64,AA", detail: "auto" }],
      },
    ]);
  });

  test("gets an effort that the model has", () => {
    const { body, changed } = translate({ reasoning: { effort: "minimal", summary: "auto" } });
    expect(body.reasoning).toEqual({ effort: "low", summary: "auto" });
    expect(changed).toEqual(["reasoning.effort"]);
    expect(translate({ model: "gpt-5.5-high" }).body.reasoning).toEqual({ effort: "high" });
  });

  test.each([
    ["priority", "priority"],
    ["flex", undefined],
    ["fast", "priority"],
    ["auto", undefined],
    ["default", undefined],
  ])("service tier %s becomes %s", (asked, sent) => {
    expect(translate({ service_tier: asked }).body.service_tier).toBe(sent);
  });

  test.each([
    [{ model: undefined }, "missing_required_parameter", "model"],
    [{ input: undefined }, "missing_required_parameter", "input"],
    [{ stream: "yes" }, "invalid_type", "stream"],
    [{ background: true }, "unsupported_parameter", "background"],
    [{ conversation: "c" }, "unsupported_parameter", "conversation"],
    [{ prompt: { id: "p" } }, "unsupported_parameter", "prompt"],
    [{ previous_response_id: "resp_0" }, "previous_response_not_found", "previous_response_id"],
    [{ input: [{ type: "item_reference", id: "msg_1" }] }, "invalid_value", "input[0].id"],
    [{ input: [{ id: "msg_1" }] }, "invalid_value", "input[0].id"],
    [{ input: ["hi"] }, "invalid_type", "input[0]"],
    [{ input: 5 }, "invalid_type", "input"],
    [{ max_output_tokens: 0 }, "invalid_value", "max_output_tokens"],
    [{ reasoning: { effort: "turbo" } }, "invalid_value", "reasoning.effort"],
    [{ model: "gpt-4o" }, "model_not_found", "model"],
  ])("%j is refused: %s", (body, code, param) => {
    expect(refusal(body)).toEqual([code, param]);
  });

  test("of a Codex client passes as it is", () => {
    const input = [{ type: "message", id: "msg_1", role: "developer", content: [] }, { type: "compaction_trigger" }];
    const sent = {
      model: "gpt-5.5",
      input,
      stream: true,
      store: false,
      include: ["reasoning.encrypted_content"],
      client_metadata: { a: "b" },
      text: { verbosity: "low" },
    };
    const { body, verbatim } = translate(sent, { isCodexClient: true });
    expect(body as unknown).toEqual(sent);
    expect(verbatim).toBe(true);
  });
});

const created = {
  type: "response.created",
  sequence_number: 0,
  response: { id: "resp_1", created_at: 1_700_000_000.7, model: "gpt-5.5", status: "in_progress", output: [] },
};
const usage = { input_tokens: 3, output_tokens: 2, total_tokens: 5 };
const completed = {
  type: "response.completed",
  response: { id: "resp_1", model: "gpt-5.5", status: "completed", output: [], usage },
};
const message = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: "Hi", annotations: [], logprobs: [] }],
};
const delta = (text: string) => ({
  type: "response.output_text.delta",
  output_index: 0,
  item_id: "msg_1",
  content_index: 0,
  delta: text,
});

function stream(events: object[], over: Partial<Context> = {}, request: object = {}) {
  const body = { model: "gpt-5.5", input: "hi", stream: true, ...request };
  const { stream: reply, take } = opened(responses, body, { ...context, ...over });
  try {
    for (const event of events)
      reply.onEvent(WireEvent.from(JSON.stringify(event)) ?? WireEvent.of(event as CodexEvent));
    reply.onEnd();
  } catch (error) {
    reply.onFailure(error as RelayError, "1");
  }
  return take()
    .split("\n\n")
    .filter((frame) => frame !== "")
    .map(
      (frame) =>
        JSON.parse(frame.slice(frame.indexOf("\ndata: ") + 7)) as Record<string, unknown> & {
          response?: Record<string, unknown>;
        },
    );
}

const typesOf = (frames: Record<string, unknown>[]) => frames.map((frame) => frame["type"]);

describe("a streamed reply", () => {
  test("is upstream's, made safe for SDKs: private events go, the output comes with the end", () => {
    const frames = stream([
      { type: "codex.rate_limits", rate_limits: {} },
      created,
      { type: "response.metadata" },
      { type: "keepalive" },
      { type: "response.output_item.added", output_index: 0, item: { ...message, content: [], status: "in_progress" } },
      {
        type: "response.content_part.added",
        output_index: 0,
        item_id: "msg_1",
        content_index: 0,
        part: { type: "output_text", text: "" },
      },
      delta("H"),
      delta("i"),
      { type: "response.output_item.done", output_index: 0, item: message },
      { type: "response.brand_new" },
      completed,
    ]);
    expect(typesOf(frames)).toEqual([
      "response.created",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(frames.at(-1)?.response?.["output"]).toEqual([message]);
  });

  test("is announced even where upstream left the announcements out", () => {
    const frames = stream([
      delta("Hi"),
      { type: "response.output_item.done", output_index: 0, item: message },
      completed,
    ]);
    expect(typesOf(frames)).toEqual([
      "response.created",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
  });

  test("has its text in the end even when no item was ever finished", () => {
    const frames = stream([created, delta("H"), delta("i"), completed]);
    expect(frames.at(-1)?.response?.["output"]).toEqual([message]);
  });

  test.each([{ item_id: "" }, { item_id: undefined }, {}])("has it once, whatever its item is called: %p", (name) => {
    const of = (event: object) => ({ output_index: 0, content_index: 0, item_id: "msg_1", ...event, ...name });
    const done = of({ type: "response.output_text.done", text: "Hi" });
    const frames = stream([created, of(delta("H")), of(delta("i")), done, completed]);
    expect(frames.at(-1)?.response?.["output"]).toMatchObject([{ content: [{ text: "Hi" }] }]);
  });

  test("that fails first begins with response.created all the same", () => {
    const frames = stream([
      {
        type: "response.failed",
        response: { id: "resp_9", status: "failed", error: { code: "server_error", message: "x" } },
      },
    ]);
    expect(typesOf(frames)).toEqual(["response.created", "response.failed"]);
    expect(frames[0]?.response?.["id"]).toBe("resp_9");
  });

  test("turns a flat error into both forms (openai/openai-python#2487)", () => {
    const frames = stream([
      created,
      delta("H"),
      { type: "error", code: "rate_limit_exceeded", message: "Slow", param: null },
    ]);
    expect(frames.at(-1)).toEqual({
      type: "error",
      sequence_number: expect.any(Number),
      code: "rate_limit_exceeded",
      message: "Slow",
      param: null,
      error: { message: "Slow", type: "rate_limit_error", param: null, code: "rate_limit_exceeded" },
    });
  });

  test("that breaks off ends in an error", () => {
    expect(stream([created, delta("H")]).at(-1)).toMatchObject({
      type: "error",
      error: { code: "upstream_stream_truncated" },
    });
  });

  test("for a Codex client is upstream's to the letter", () => {
    const events = [
      { type: "codex.rate_limits", rate_limits: {} },
      created,
      { type: "response.brand_new" },
      delta("H"),
      completed,
    ];
    expect(stream(events, { isCodexClient: true })).toEqual(events);
  });

  test.each([false, true])(
    "has every event on one line, however upstream broke it (Codex client: %p)",
    (isCodexClient) => {
      const text = JSON.stringify(delta("H")).replace(",", ",\n");
      const body = { model: "gpt-5.5", input: "hi", stream: true };
      const { stream: reply, take } = opened(responses, body, { ...context, isCodexClient });
      const wire = WireEvent.from(text);
      if (wire) reply.onEvent(wire);
      const frames = take();
      for (const line of frames.trim().split(/\n+/)) expect(line).toMatch(/^(event|data): /);
      expect(frames).toContain(`"delta":"H"`);
    },
  );

  test("called response.done ends as response.completed", () => {
    expect(typesOf(stream([created, { ...completed, type: "response.done" }]))).toEqual([
      "response.created",
      "response.completed",
    ]);
  });
});

describe("a whole reply", () => {
  function body(events: object[], request: object = {}) {
    const reply = asked(responses, { model: "gpt-5.5", input: "hi", ...request }, context).body();
    for (const event of events) reply.onEvent(WireEvent.of(event as CodexEvent));
    return reply.toBody() as Record<string, unknown>;
  }

  test("has every key that SDKs read, and echoes what upstream never saw", () => {
    const tools = [{ type: "function", name: "f" }];
    const events = [created, { type: "response.output_item.done", output_index: 0, item: message }, completed];
    expect(body(events, { temperature: 0.3, metadata: { a: "b" }, tools, max_output_tokens: 5 })).toEqual({
      id: "resp_1",
      object: "response",
      access_programs: null,
      background: false,
      created_at: 1_700_000_000,
      completed_at: 1_700_000_000,
      status: "completed",
      model: "gpt-5.5",
      output: [message],
      error: null,
      frequency_penalty: 0,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: 5,
      max_tool_calls: null,
      metadata: { a: "b" },
      parallel_tool_calls: true,
      presence_penalty: 0,
      previous_response_id: null,
      prompt_cache_key: null,
      reasoning: { effort: null, summary: null },
      safety_identifier: null,
      service_tier: "default",
      store: true,
      temperature: 0.3,
      text: { format: { type: "text" } },
      tool_choice: "auto",
      tools: [{ type: "function", name: "f", description: null, parameters: null, strict: true }],
      top_logprobs: 0,
      top_p: 1,
      truncation: "disabled",
      user: null,
      usage: {
        ...usage,
        input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
        output_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });

  test("repeats the format of its text with what the client left out", () => {
    const format = { type: "json_schema", name: "person", schema: { type: "object" } };
    const whole = { ...format, description: null, strict: false };
    expect(body([created, completed], { text: { format, verbosity: "low" } })["text"]).toEqual({
      format: whole,
      verbosity: "low",
    });
    const strict = { ...format, strict: true, description: "Somebody" };
    expect(body([created, completed], { text: { format: strict } })["text"]).toEqual({ format: strict });
    const object = { format: { type: "json_object" } };
    expect(body([created, completed], { text: object })["text"]).toEqual(object);
  });

  test("that is incomplete says so with status 200", () => {
    const incomplete = {
      type: "response.incomplete",
      response: { ...completed.response, status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
    };
    expect(body([created, incomplete])).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    });
  });

  test("that failed is an error", () => {
    const failed = {
      type: "response.failed",
      response: { error: { code: "context_length_exceeded", message: "too long" } },
    };
    expect(() => body([created, failed])).toThrow("too long");
  });

  test("that broke off is an error", () => {
    expect(() => body([created, delta("H")])).toThrow("ended before the response was complete");
  });
});
