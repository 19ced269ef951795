import { expect, test } from "bun:test";
import { ResponseAccumulator } from "../../src/codex/accumulate.ts";
import type { CodexEvent } from "../../src/codex/schema.ts";
import { WireEvent } from "../../src/codex/wire-event.ts";

function fold(...events: object[]) {
  const accumulator = new ResponseAccumulator();
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
  content: [{ type: "output_text", text, annotations: [] }],
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
