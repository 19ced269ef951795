import { expect, test } from "bun:test";
import fc from "fast-check";
import { countTokens, estimateTokens } from "../../src/codex/count-tokens.ts";
import type { CodexRequest } from "../../src/codex/wire/request.ts";

const NOTHING: CodexRequest = { model: "m", input: [], include: [], store: false, stream: true };
/** Marks around the answer. */
const FRAME = 6;

test("texts are counted by their length, and what is none by its size", () => {
  const input = [
    { type: "message", role: "user", content: [{ type: "input_text", text: "a".repeat(400) }] },
    { type: "message", role: "user", content: [{ type: "input_image", image_url: "data:", detail: "auto" }] },
    { type: "message", role: "user", content: [{ type: "input_file", filename: "", file_data: "a".repeat(2048) }] },
    { type: "reasoning", summary: [{ type: "summary_text", text: "aaaa" }], encrypted_content: "a".repeat(50) },
    { type: "function_call", call_id: "call_1", name: "look", arguments: '{"a":1}' },
  ];
  const perItem = 3 * input.length;
  expect(estimateTokens({ ...NOTHING, instructions: "b".repeat(40), input })).toBe(
    FRAME + perItem + 1000 + 60 + 10 + Math.ceil((40 + 400 + 4 + 11) / 4),
  );
});

test("both ways of counting see the same", async () => {
  const text = "one two three four five six seven eight ";
  const body = { ...NOTHING, instructions: text, input: [{ type: "message", role: "user", content: text }] };
  expect(await countTokens(body)).toBe(FRAME + 3 + 18);
  expect(estimateTokens(body)).toBe(FRAME + 3 + 20);
});

test("a schema counts as much as its JSON, where no text in it is escaped", () => {
  const word = fc.constantFrom("", "a", "type", "properties", "words of a description");
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      word,
      fc.constantFrom(0, -1.5, 1e21, true, false, null),
      fc.array(tie("value")),
      fc.dictionary(word, tie("value")),
    ),
  }));
  fc.assert(
    fc.property(value, (schema) => {
      const tokens = Math.ceil(JSON.stringify(schema).length / 4);
      expect(estimateTokens({ ...NOTHING, tools: [{ type: "function", parameters: schema }] })).toBe(FRAME + tokens);
    }),
  );
});
