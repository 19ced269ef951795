import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BlockQueue, type BlockDelta, type StartedBlock } from "../../../src/protocols/messages/blocks.ts";
import { fitsStrictMode } from "../../../src/protocols/messages/format.ts";
import { seal, unseal } from "../../../src/protocols/messages/thinking.ts";
import { toCallId, toToolUseId } from "../../../src/protocols/messages/tool-ids.ts";

test("tool use ids find back to the backend's own", () => {
  const id = fc.stringMatching(/^(call_)?[A-Za-z0-9]{1,40}$/);
  fc.assert(fc.property(id, (callId) => expect(toCallId(toToolUseId(callId))).toBe(callId)));
  expect(toToolUseId("call_Abc")).toBe("toolu_Abc");
});

test("only what was sealed here can be unsealed", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), (text) => expect(unseal(seal(text))).toBe(text)));
  for (const other of ["", "EqQBCgIYAhIM", undefined, 7, seal("")]) expect(unseal(other)).toBeUndefined();
});

describe("blocks", () => {
  const TEXT: StartedBlock = { type: "text", text: "", citations: null };
  const call = (id: string): StartedBlock => ({
    type: "tool_use",
    id,
    name: "f",
    input: {},
    caller: { type: "direct" },
  });
  const json = (partial: string): BlockDelta => ({ type: "input_json_delta", partial_json: partial });
  const text = (piece: string): BlockDelta => ({ type: "text_delta", text: piece });

  function record() {
    const seen: string[] = [];
    const queue = new BlockQueue((event) => {
      if (event.type === "content_block_stop") seen.push(">");
      else if (event.type === "content_block_delta") {
        seen.push("text" in event.delta ? event.delta.text : (event.delta as { partial_json: string }).partial_json);
      } else {
        const { content_block: block } = event;
        seen.push(`<${block.type === "tool_use" ? block.id : block.type}`);
      }
    });
    return { seen, queue };
  }

  test("a tool's input is not cut in two by what comes during it", () => {
    const { seen, queue } = record();
    const first = queue.open(call("a"));
    queue.delta(first, json("1"));
    const second = queue.open(call("b"));
    queue.delta(second, json("x"));
    const words = queue.open(TEXT);
    queue.delta(words, text("hi"));
    queue.delta(first, json("2"));
    queue.end(second);
    expect(seen).toEqual(["<a", "1", "2"]);
    queue.end(first);
    expect(seen).toEqual(["<a", "1", "2", ">", "<b", "x", ">", "<text", "hi"]);
    queue.delta(words, text("!"));
    queue.finish();
    expect(seen.slice(-2)).toEqual(["!", ">"]);
  });

  test("text gives way, and says that it is over", () => {
    const { seen, queue } = record();
    const words = queue.open(TEXT);
    queue.open(call("a"));
    expect([words.isClosed, seen]).toEqual([true, ["<text", ">", "<a"]]);
    queue.delta(words, text("late"));
    expect(seen).not.toContain("late");
  });

  test("an end without ends closes everything once", () => {
    const { seen, queue } = record();
    queue.open(call("a"));
    queue.open(call("b"));
    queue.open(TEXT);
    queue.finish();
    queue.finish();
    expect(seen).toEqual(["<a", ">", "<b", ">", "<text", ">"]);
  });
});

describe("schemas for the backend's strict mode", () => {
  const closed = (properties: object, more: object = {}) => ({
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
    ...more,
  });

  test.each([
    [closed({}), true],
    [closed({ a: { type: "string" }, b: { type: "array", items: closed({ c: { type: "number" } }) } }), true],
    [closed({ a: { anyOf: [{ type: "null" }, closed({})] } }), true],
    [closed({ a: { $ref: "#/$defs/x" } }, { $defs: { x: closed({}) } }), true],
    [closed({ a: {} }, { required: [] }), false],
    [closed({}, { additionalProperties: true }), false],
    [closed({ a: { type: "object" } }), false],
    [closed({ a: { type: ["object", "null"], properties: {} } }), false],
    [closed({ a: { oneOf: [] } }), false],
    [closed({ a: { type: "array", items: true } }), false],
    [closed({}, { $defs: { x: { type: "object" } } }), false],
    [{ anyOf: [closed({})] }, false],
    [{ type: "string" }, false],
  ])("%j: %p", (schema, fits) => {
    expect(fitsStrictMode(schema)).toBe(fits);
  });
});
