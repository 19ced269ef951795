import { describe, expect, test } from "bun:test";
import { finishRequest } from "../../../src/codex/request/finish.ts";
import type { Envelope } from "../../../src/codex/request/lite.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { DIALECTS } from "../../../src/protocols/index.ts";
import { contextOf, translated } from "../../support/cases.ts";

/*
 * The backend's prompt cache holds as far as a turn begins like the one before, so what a conversation keeps saying must
 * come out of the relay byte for byte the same, in the same place.
 */

const schema = { type: "object", properties: { path: { type: "string", description: "A path. ".repeat(20) } } };
const SYSTEM = "Be exact and brief. ".repeat(40);

/** Three turns of one conversation with a tool, as a client of each API sends them. */
const TURNS: Readonly<Record<string, readonly JsonObject[]>> = {
  chat: grown(
    [
      { role: "system", content: SYSTEM },
      { role: "user", content: "List it." },
      {
        role: "assistant",
        content: "Now.",
        tool_calls: [{ id: "c1", type: "function", function: { name: "ls", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "c1", content: "a b" },
      { role: "assistant", content: "a and b." },
      { role: "user", content: "And now?" },
    ],
    [2, 4, 6],
    (messages) => ({ messages, tools: [{ type: "function", function: { name: "ls", parameters: schema } }] }),
  ),
  responses: grown(
    [
      { role: "user", content: "List it." },
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAAA" },
      { type: "function_call", id: "fc_1", call_id: "c1", name: "ls", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: "a b" },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "a and b.", annotations: [] }] },
      { role: "user", content: "And now?" },
    ],
    [1, 4, 6],
    (input) => ({
      input,
      instructions: SYSTEM,
      tools: [{ type: "function", name: "ls", parameters: schema, strict: false }],
    }),
  ),
  messages: grown(
    [
      { role: "user", content: "List it." },
      { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "ls", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "a b" }] },
      { role: "assistant", content: "a and b." },
      { role: "user", content: "And now?" },
    ],
    [1, 3, 5],
    (messages) => ({ messages, max_tokens: 9, system: SYSTEM, tools: [{ name: "ls", input_schema: schema }] }),
  ),
  ollama: grown(
    [
      { role: "system", content: SYSTEM },
      { role: "user", content: "List it." },
      { role: "assistant", content: "", tool_calls: [{ function: { name: "ls", arguments: {} } }] },
      { role: "tool", tool_name: "ls", content: "a b" },
      { role: "assistant", content: "a and b." },
      { role: "user", content: "And now?" },
    ],
    [2, 4, 6],
    (messages) => ({ messages, tools: [{ type: "function", function: { name: "ls", parameters: schema } }] }),
  ),
};

function grown(said: readonly JsonObject[], lengths: readonly number[], body: (said: JsonObject[]) => JsonObject) {
  return lengths.map((length) => ({ model: "gpt-6-sol", ...body(said.slice(0, length)) }));
}

function commonLength(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}

const ENVELOPES: readonly Envelope[] = ["full", "lite"];

describe.each(Object.entries(TURNS))("%s", (name, turns) => {
  test.each(ENVELOPES)("a turn in the %s envelope begins with at least 99 % of the one before", async (envelope) => {
    const protocol = await DIALECTS.find((dialect) => dialect.name === name)?.load();
    if (!protocol) throw new Error(`there is no dialect ${name}`);
    const sent = turns.map((turn) =>
      JSON.stringify(finishRequest(translated(protocol, turn, contextOf({})).body, { envelope, clientId: "c" }).wire),
    );
    for (const [index, later] of sent.slice(1).entries()) {
      const before = sent[index] ?? "";
      expect(commonLength(before, later) / before.length).toBeGreaterThanOrEqual(0.99);
    }
  });
});
