import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import bundled from "../../../src/codex/bundled-models.json" with { type: "json" };
import type { ModelCatalogue } from "../../../src/codex/models.ts";
import { BlockQueue, type BlockDelta, type StartedBlock } from "../../../src/protocols/messages/blocks.ts";
import { fitsStrictMode } from "../../../src/protocols/messages/format.ts";
import { modelOf } from "../../../src/protocols/messages/model.ts";
import { seal, unseal } from "../../../src/protocols/messages/thinking.ts";
import { toCallId, toToolUseId } from "../../../src/protocols/messages/tool-ids.ts";

const LIST: ModelCatalogue = { origin: "live", models: bundled.models };

describe("models", () => {
  const pick = (name: string, models = LIST, modelAliases = {}) => modelOf(name, { models, modelAliases }).slug;

  test.each([
    ["claude-opus-4-8", "gpt-6-astra"],
    ["claude-3-opus-20240229", "gpt-6-astra"],
    ["claude-fable-5", "gpt-6-astra"],
    ["claude-sonnet-4-5-20250929", "gpt-6.1-sol"],
    ["claude-next", "gpt-6.1-sol"],
    ["claude-3-5-haiku-latest", "gpt-6-luna"],
    ["anthropic/claude-sonnet-5", "gpt-6.1-sol"],
    ["claude-opus-4-8[1m]", "gpt-6-astra"],
    ["Opus", "gpt-6-astra"],
    ["gpt-5.5", "gpt-5.5"],
    ["gpt-5.5-high", "gpt-5.5"],
  ])("%s is %s", (name, slug) => {
    expect(pick(name)).toBe(slug);
  });

  test("what the owner says comes first, by name and then by family", () => {
    const own = { opus: "gpt-5.5-high", "claude-opus-4-8": "gpt-6-luna", "my-model": "gpt-5.5" };
    expect(["claude-opus-4-8", "claude-opus-5", "my-model"].map((name) => pick(name, LIST, own))).toEqual([
      "gpt-6-luna",
      "gpt-5.5",
      "gpt-5.5",
    ]);
    expect(modelOf("claude-opus-5", { models: LIST, modelAliases: own }).effort).toBe("high");
  });

  test("a list that tells nothing of its models has its first for all", () => {
    const bare: ModelCatalogue = { origin: "live", models: [{ slug: "a" }, { slug: "b" }], published: ["a", "b"] };
    expect(["claude-opus-5", "claude-haiku-5", "claude"].map((name) => pick(name, bare))).toEqual(["a", "a", "a"]);
  });

  test("words that every object knows are no names", () => {
    expect(() => pick("constructor")).toThrow("does not exist");
  });

  test("a small model is not asked to search", () => {
    expect(modelOf("claude-haiku-5", { models: LIST, modelAliases: {} }, true).slug).toBe("gpt-6.1-sol");
    expect(modelOf("claude-haiku-5", { models: LIST, modelAliases: { haiku: "gpt-6-luna" } }, true).slug).toBe(
      "gpt-6-luna",
    );
  });
});

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
    const queue = new BlockQueue({
      open: (block) => seen.push(`<${block.type === "tool_use" ? block.id : block.type}`),
      delta: (delta) => seen.push("text" in delta ? delta.text : (delta as { partial_json: string }).partial_json),
      close: () => seen.push(">"),
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
