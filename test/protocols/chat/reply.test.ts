import { describe, expect, test } from "bun:test";
import { WireEvent } from "../../../src/codex/wire/event.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { chat } from "../../../src/protocols/chat/index.ts";
import { ReasoningText } from "../../../src/codex/output/reasoning-text.ts";
import { contextOf, opened } from "../../support/cases.ts";

const request = { model: "gpt-5.5", messages: [{ role: "user", content: "hi" }], stream: true };

/** Deltas of a reply, then how it ended. */
function play(...events: object[]): unknown[] {
  const { stream, take } = opened(chat, request);
  let failure: unknown[] = [];
  try {
    for (const event of events) {
      const wire = WireEvent.from(JSON.stringify(event));
      if (wire) stream.onEvent(wire);
    }
    stream.onEnd();
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    failure = [error.code];
  }
  const chunks = [...take().matchAll(/data: (\{.*)/g)].map(
    (match) => JSON.parse(match[1] ?? "") as { choices: { delta: object; finish_reason: string | null }[] },
  );
  return [...chunks.map(({ choices }) => choices[0]?.finish_reason ?? choices[0]?.delta), ...failure];
}

const hi = { type: "response.output_text.delta", item_id: "msg_0", output_index: 0, content_index: 0, delta: "Hi" };
const begun = [{ role: "assistant", content: "" }, { content: "Hi" }];
const completed = { type: "response.completed", response: { id: "resp_1" } };

describe("an event of a surprising shape is passed over", () => {
  test.each([
    [{ type: "response.output_item.done", output_index: 0 }],
    [{ type: "response.output_item.added", output_index: 0, item: null }],
    [{ type: "response.content_part.done", output_index: 0, part: "x" }],
    [{ type: "response.output_text.annotation.added", output_index: 0 }],
    [{ type: "response.output_item.done", output_index: 0, item: { type: "message", content: "Hi" } }],
    [{ type: "response.output_item.done", output_index: 0, item: { type: "message", content: [null, 5] } }],
    [{ type: "response.output_item.done", output_index: 1, item: { type: "reasoning", summary: "x" } }],
    [{ type: "response.created", response: null }],
    [{ ...hi, delta: null }],
    [{ type: "response.output_text.done", output_index: 0, content_index: 0, text: null }],
    [{ type: "response.reasoning_summary_text.delta", output_index: 1, delta: null }],
    [{ type: "response.function_call_arguments.done", output_index: 1 }],
  ])("%j", (event) => {
    expect(play(hi, event, completed)).toEqual([...begun, "stop"]);
  });

  test("an end without a response is still an end, a failure without one still a failure", () => {
    expect(play(hi, { type: "response.completed" })).toEqual([...begun, "stop"]);
    expect(play(hi, { type: "response.completed", response: { output: [null, "x"] } })).toEqual([...begun, "stop"]);
    expect(play(hi, { type: "response.failed" })).toEqual([...begun, "upstream_error"]);
    expect(play(hi, { type: "response.cancelled", response: null })).toEqual([...begun, "upstream_error"]);
  });
});

test("text whose deltas lack their position is not said again by its finished item", () => {
  const item = { id: "msg_0", type: "message", content: [{ type: "output_text", text: "Hi there" }] };
  const done = { type: "response.output_item.done", output_index: 3, item };
  expect(play({ ...hi, output_index: undefined }, done, completed)).toEqual([...begun, { content: " there" }, "stop"]);
});

describe("a delta after the whole of it is a repetition", () => {
  const at = { item_id: "msg_0", output_index: 0, content_index: 0 };
  const message = { id: "msg_0", type: "message", content: [{ type: "output_text", text: "Hi" }] };
  test.each([
    [{ type: "response.output_text.done", ...at, text: "Hi" }],
    [{ type: "response.content_part.done", ...at, part: message.content[0] }],
    [{ type: "response.output_item.done", output_index: 0, item: message }],
  ])("of text: %j", (end) => {
    expect(play(hi, end, { ...hi, delta: "i" }, completed)).toEqual([...begun, "stop"]);
  });

  test("of a summary", () => {
    const key = { item_id: "rs_0", output_index: 0, summary_index: 0 };
    const delta = { type: "response.reasoning_summary_text.delta", ...key, delta: "th" };
    const end = { type: "response.reasoning_summary_text.done", ...key, text: "th" };
    expect(play(delta, end, delta, completed)).toEqual(play(delta, end, completed));
  });

  test("of a call's arguments", () => {
    const key = { item_id: "fc_0", output_index: 0 };
    const item = { id: "fc_0", type: "function_call", call_id: "call_0", name: "f", arguments: '{"a":1}' };
    const added = { type: "response.output_item.added", output_index: 0, item: { ...item, arguments: "" } };
    const delta = (text: string) => ({ type: "response.function_call_arguments.delta", ...key, delta: text });
    const whole = { type: "response.function_call_arguments.done", ...key, arguments: '{"a":1}' };
    const done = { type: "response.output_item.done", output_index: 0, item };
    const once = play(added, delta('{"a":1}'), completed);
    expect(play(added, delta('{"a":1}'), whole, delta(":1}"), completed)).toEqual(once);
    expect(play(added, delta('{"a":1}'), done, delta(":1}"), completed)).toEqual(once);
    expect(play(added, { ...whole, arguments: undefined }, delta('{"a":1}'), completed)).toEqual(once);
  });
});

test("reasoning that is ended twice is remembered once", () => {
  const context = contextOf({});
  const { stream } = opened(chat, request, context);
  const thought = { id: "rs_0", type: "reasoning", summary: [], encrypted_content: "E" };
  const call = { id: "fc_1", type: "function_call", call_id: "call_1", name: "f", arguments: "{}" };
  const done = { type: "response.output_item.done", output_index: 0, item: thought };
  for (const event of [done, done, { ...completed, response: { id: "resp_1", output: [thought, call] } }]) {
    const wire = WireEvent.from(JSON.stringify(event));
    if (wire) stream.onEvent(wire);
  }
  expect(context.memory.recall("call_1")).toEqual([{ type: "reasoning", summary: [], encrypted_content: "E" }]);
});

test("a call that the end repeats under another item id is not made twice", () => {
  const call = { type: "function_call", call_id: "call_1", name: "f", arguments: "{}" };
  const done = { type: "response.output_item.done", output_index: 1, item: { ...call, id: "fc_1" } };
  const end = { ...completed, response: { id: "resp_1", output: [{ ...call, id: "fc_2" }] } };
  expect(play(done, end)).toEqual(play(done, completed));
});

test("parts of reasoning are set apart, and a comment that fills a part leaves no gap", () => {
  const text = new ReasoningText();
  const shown = [
    text.push("a", "one"),
    text.push("b", "<!-- "),
    text.push("b", "-->"),
    text.flush(),
    text.push("c", "two"),
    text.push("c", "\n<"),
    text.flush(),
  ];
  expect(shown).toEqual(["one", "", "", "", "\n\ntwo", "\n", "<"]);
});

test("a citation of a later message says where it stands in the whole content", () => {
  const at = { output_index: 1, item_id: "msg_1", content_index: 0 };
  const annotation = { type: "url_citation", start_index: 4, end_index: 7, url: "https://bun.sh", title: "Bun" };
  const part = { type: "output_text", text: "See Bun", annotations: [annotation] };
  const told = play(
    hi,
    { ...hi, ...at, delta: "See Bun" },
    { type: "response.output_text.annotation.added", ...at, annotation },
    { type: "response.output_item.done", output_index: 1, item: { id: "msg_1", type: "message", content: [part] } },
    completed,
  );
  const { type, ...cited } = { ...annotation, start_index: 8, end_index: 11 };
  expect(told).toEqual([
    ...begun,
    { content: "\n\nSee Bun" },
    { annotations: [{ type, url_citation: cited }] },
    "stop",
  ]);
  expect("Hi\n\nSee Bun".slice(cited.start_index, cited.end_index)).toBe("Bun");
});
