import { describe, expect, test } from "bun:test";
import { plainReader } from "../../../src/codex/output/plain-answer.ts";
import { ReasoningStore } from "../../../src/codex/reasoning-store.ts";
import type { CodexEvent } from "../../../src/codex/wire/schema.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";

function read(...events: object[]) {
  const memory = new ReasoningStore();
  const told: unknown[] = [];
  const reader = plainReader(
    { stopSequences: [], isJson: false, memory, now: 0, limit: undefined, inputTokens: 0, isWhole: false },
    (event) => {
      if (event.type === "text") told.push(event.text);
      else if (event.type === "reasoning") told.push({ reasoning: event.text });
      else if (event.type === "finish") told.push(`(${event.reason})`);
      else told.push({ id: event.call.id, name: event.call.name, given: event.call.arguments });
    },
  );
  for (const event of events) reader.onEvent(WireEvent.of(event as CodexEvent));
  reader.onEnd();
  return { told, memory };
}

const at = { output_index: 0, item_id: "msg_0", content_index: 0 };
const delta = (text: string) => ({ type: "response.output_text.delta", ...at, delta: text });
const message = { id: "msg_0", type: "message", content: [{ type: "output_text", text: "Hi" }] };
const item = (type: string, of: object) => ({ type: `response.output_item.${type}`, output_index: 0, item: of });
const completed = { type: "response.completed", response: { id: "resp_1", status: "completed", output: [] } };
const call = { id: "fc_0", type: "function_call", call_id: "call_0", name: "f", arguments: "" };
const piece = { type: "response.function_call_arguments.delta", output_index: 0, item_id: "fc_0" };

test("raw reasoning that only the last event's list has is not told behind a summary that was", () => {
  const thought = (more: object) => ({ id: "rs_0", type: "reasoning", summary: [], ...more });
  const { told } = read(
    item("done", thought({ summary: [{ type: "summary_text", text: "Sum" }] })),
    { type: "response.output_item.done", output_index: 1, item: message },
    { ...completed, response: { output: [thought({ content: [{ type: "reasoning_text", text: "Raw" }] })] } },
  );
  expect(told).toEqual([{ reasoning: "Sum" }, "Hi", "(stop)"]);
});

describe("text is told once, whichever event brings it", () => {
  const textDone = { type: "response.output_text.done", ...at, text: "Hi" };
  const partDone = { type: "response.content_part.done", ...at, part: message.content[0] };
  test.each([
    ["only its done event", [textDone]],
    ["only its part", [partDone]],
    ["only its item", [item("done", message)]],
    ["all of them", [delta("Hi"), textDone, partDone, item("done", message)]],
    ["a delta after the whole", [textDone, delta("Hi")]],
  ])("%s", (_name, events) => {
    expect(read(...events, completed).told).toEqual(["Hi", "(stop)"]);
  });

  test.each([
    [5, "5 apples"],
    [["x"], '["x"] it is'],
  ])("a delta that is no text (%p) counts as what is shown of it", (given, text) => {
    const odd = { ...delta(""), delta: given };
    expect(read(odd, { ...textDone, text }, completed).told.join("")).toBe(`${text}(stop)`);
  });

  test("a refusal is text here", () => {
    expect(read({ type: "response.refusal.done", ...at, refusal: "No." }, completed).told).toEqual(["No.", "(stop)"]);
  });
});

describe("a call that never ends", () => {
  const told = [{ id: "call_0", name: "f", given: { a: 1 } }, "(stop)"];
  test("is made of its pieces", () => {
    expect(read(item("added", call), { ...piece, delta: '{"a":' }, { ...piece, delta: "1}" }, completed).told).toEqual(
      told,
    );
  });

  test("or of their end, whenever it is announced", () => {
    const whole = { ...piece, type: "response.function_call_arguments.done", arguments: '{"a":1}' };
    expect(read({ ...piece, delta: '{"a' }, whole, item("added", call), completed).told).toEqual(told);
  });

  test("is not made when the answer was cut short", () => {
    const short = { type: "response.incomplete", response: { id: "resp_1" } };
    expect(read(item("added", call), { ...piece, delta: '{"a' }, short).told).toEqual(["(length)"]);
  });
});

test("reasoning that is ended twice is remembered once", () => {
  const thought = { id: "rs_0", type: "reasoning", summary: [], encrypted_content: "E" };
  const end = { ...completed, response: { ...completed.response, output: [thought, { ...call, arguments: "{}" }] } };
  expect(read(item("done", thought), end).memory.recall("call_0")).toEqual([
    { type: "reasoning", summary: [], encrypted_content: "E" },
  ]);
});
