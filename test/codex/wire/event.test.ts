import { expect, test } from "bun:test";
import { CodexEvent } from "../../../src/codex/wire/schema.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";
import { isKnownEvent } from "../../../src/codex/wire/event-types.ts";

test("every event of the schema is a known one", () => {
  const types = CodexEvent.options.map(({ shape }) => shape.type.value);
  expect(types.length).toBeGreaterThan(30);
  expect(types.filter((type) => !isKnownEvent(type))).toEqual([]);
});

test.each([
  "response.mcp_call.in_progress",
  "response.code_interpreter_call_code.delta",
  "response.audio.transcript.done",
])("so is %s of the public API", (type) => expect(isKnownEvent(type)).toBe(true));

test.each(["response.brand_new", "response.output_text.changed", "codex.tomorrow", "", "response.web_search_call"])(
  "%p is news",
  (type) => expect(isKnownEvent(type)).toBe(false),
);

test("only deltas that nobody has parsed count as bulk", () => {
  expect(WireEvent.from('{"type":"response.output_text.delta","delta":"a"}')?.isBulk).toBe(true);
  expect(WireEvent.from('{"delta":"a","type":"response.output_text.delta"}')?.isBulk).toBe(false);
  expect(WireEvent.from('{"type":"response.completed","response":{}}')?.isBulk).toBe(false);
});
