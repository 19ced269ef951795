import { describe, expect, test } from "bun:test";
import { ResponseAssembler } from "../../../src/codex/output/assemble.ts";
import type { CodexEvent } from "../../../src/codex/wire/schema.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";

function fold(...events: object[]) {
  const accumulator = new ResponseAssembler();
  for (const event of events) accumulator.onEvent(WireEvent.of(event as CodexEvent));
  return accumulator.toResponse();
}

const created = { type: "response.created", response: { id: "resp_1", model: "m", status: "in_progress", output: [] } };
const completed = (output: object[] = []) => ({
  type: "response.completed",
  response: { id: "resp_1", status: "completed", output },
});
const message = (id: string, text: string) => ({
  id,
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [], logprobs: [] }],
});

test("an empty terminal output is rebuilt from the finished items, by index", () => {
  const response = fold(
    created,
    { type: "response.output_item.done", output_index: 1, item: message("msg_2", "second") },
    { type: "response.output_item.done", output_index: 0, item: message("msg_1", "first") },
    completed(),
  );
  expect(response?.output?.map((item) => item.id)).toEqual(["msg_1", "msg_2"]);
  expect(response?.model).toBe("m");
});

test("text without any finished item comes from its deltas", () => {
  const delta = (text: string) => ({
    type: "response.output_text.delta",
    output_index: 0,
    content_index: 0,
    item_id: "msg_1",
    delta: text,
  });
  expect(fold(created, delta("Hel"), delta("lo"), completed())?.output).toEqual([message("msg_1", "Hello")]);
});

test("a full terminal output wins", () => {
  const response = fold(
    created,
    { type: "response.output_item.done", output_index: 0, item: message("msg_1", "early") },
    completed([message("msg_1", "final")]),
  );
  expect(response?.output).toEqual([message("msg_1", "final")]);
});

test("missing ids in the terminal output are filled from the items", () => {
  const { id: _id, ...nameless } = message("", "x");
  const response = fold(
    created,
    { type: "response.output_item.done", output_index: 0, item: message("msg_7", "x") },
    completed([nameless]),
  );
  expect(response?.output?.[0]?.id).toBe("msg_7");
});

test("a refusal keeps its shape", () => {
  const response = fold(
    created,
    { type: "response.refusal.delta", output_index: 0, content_index: 0, delta: "No." },
    completed(),
  );
  expect(response?.output?.[0]?.content).toEqual([{ type: "refusal", refusal: "No." }]);
});

test("without a terminal event there is no response", () => {
  expect(fold(created)).toBeUndefined();
});

test("an announcement that comes late keeps the text before it", () => {
  const delta = {
    type: "response.output_text.delta",
    output_index: 0,
    content_index: 0,
    item_id: "msg_1",
    delta: "Hi",
  };
  const late = { type: "response.output_item.added", output_index: 0, item: { ...message("msg_1", ""), content: [] } };
  expect(fold(created, delta, late, completed())?.output).toEqual([message("msg_1", "Hi")]);
});

const call = { id: "fc_1", type: "function_call", call_id: "call_1", name: "f", arguments: "", status: "in_progress" };
const added = { type: "response.output_item.added", output_index: 0, item: call };
const piece = (delta: string) => ({
  type: "response.function_call_arguments.delta",
  output_index: 0,
  item_id: "fc_1",
  delta,
});
const incomplete = {
  type: "response.incomplete",
  response: { id: "resp_1", incomplete_details: { reason: "max_output_tokens" } },
};

describe("an item without its own end is made of its pieces (NousResearch/hermes-agent#92764)", () => {
  const at = { output_index: 0, item_id: "x_1" };
  test.each([
    [{ type: "response.refusal.done", ...at, refusal: "No." }, [{ type: "refusal", refusal: "No." }]],
    [
      { type: "response.content_part.done", ...at, part: { type: "output_text", text: "Hi" } },
      [{ type: "output_text", text: "Hi", annotations: [] }],
    ],
  ])("a message of %j", (event, content) => {
    expect(fold(created, event, completed())?.output?.[0]).toMatchObject({ id: "x_1", status: "completed", content });
  });

  test("a call's arguments, in pieces or whole, whenever its announcement comes", () => {
    const whole = { type: "response.function_call_arguments.done", output_index: 0, item_id: "fc_1", arguments: "{}" };
    const expected = [{ ...call, arguments: "{}", status: "completed" }];
    expect(fold(created, added, piece("{"), piece("}"), completed())?.output).toEqual(expected);
    expect(fold(created, piece("{"), added, piece("}"), completed())?.output).toEqual(expected);
    expect(fold(created, added, piece("{"), whole, completed())?.output).toEqual(expected);
    expect(fold(created, piece("{}"), completed())?.output).toEqual([]);
  });

  test("a custom tool's input", () => {
    const tool = { id: "ctc_1", type: "custom_tool_call", call_id: "k", name: "p", input: "" };
    const events = ["a", "b"].map((delta) => ({
      type: "response.custom_tool_call_input.delta",
      output_index: 0,
      item_id: "ctc_1",
      delta,
    }));
    expect(fold(created, { ...added, item: tool }, ...events, completed())?.output).toEqual([
      { ...tool, input: "ab", status: "completed" },
    ]);
  });

  test("a summary", () => {
    const events = ["th", "ought"].map((delta) => ({
      type: "response.reasoning_summary_text.delta",
      output_index: 0,
      item_id: "rs_1",
      summary_index: 0,
      delta,
    }));
    expect(fold(created, ...events, completed())?.output).toEqual([
      { id: "rs_1", type: "reasoning", summary: [{ type: "summary_text", text: "thought" }] },
    ]);
  });

  test("cut short, it says so", () => {
    const response = fold(created, added, piece('{"a"'), incomplete);
    expect(response?.output).toEqual([{ ...call, arguments: '{"a"', status: "incomplete" }]);
  });
});

test.each([
  [{ type: "response.completed", response: { id: "resp_1" } }, "completed"],
  [{ type: "response.completed", response: { id: "resp_1", status: "in_progress" } }, "completed"],
  [{ type: "response.done", response: { id: "resp_1", status: "failed" } }, "failed"],
  [incomplete, "incomplete"],
  [{ type: "response.failed", response: { id: "resp_1" } }, "failed"],
])("a reply that has ended is not in progress: %j", (end, status) => {
  expect(fold(created, end)?.status).toBe(status);
});
