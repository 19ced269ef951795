import { describe, expect, test } from "bun:test";
import { AnswerReader } from "../../../src/codex/output/answer.ts";
import { ReasoningStore } from "../../../src/codex/reasoning-store.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";

/** What a client sees of an answer: its text, and what goes to the reasoning channel. */
function seen(events: readonly object[], { isWhole = false, stopSequences = [] as string[] } = {}) {
  const told = { text: "", reasoning: "" };
  const options = { stopSequences, memory: new ReasoningStore(), now: 0, limit: undefined, inputTokens: 0, isWhole };
  const reader = new AnswerReader(options, (event) => {
    if (event.type === "textDelta") told.text += event.text;
    if (event.type === "reasoningDelta") told.reasoning += event.text;
  });
  for (const event of events) {
    const wire = WireEvent.from(JSON.stringify(event));
    if (wire) reader.onEvent(wire);
  }
  reader.onEnd();
  return told;
}

const message = (index: number, text: string, at: { added?: string; done?: string }) => {
  const item = { id: `msg_${index}`, type: "message", role: "assistant" };
  const content = [{ type: "output_text", text, annotations: [] }];
  return [
    { type: "response.output_item.added", output_index: index, item: { ...item, content: [], phase: at.added } },
    { type: "response.output_text.delta", output_index: index, item_id: item.id, content_index: 0, delta: text },
    { type: "response.output_item.done", output_index: index, item: { ...item, content, phase: at.done ?? at.added } },
  ];
};
const completed = { type: "response.completed", response: { id: "resp_1", output: [] } };

describe("what is said on the way to the answer is no part of it (NousResearch/hermes-agent#24933)", () => {
  test.each(["commentary", "analysis", "a phase of tomorrow"])("%s", (phase) => {
    const events = [
      ...message(0, "Let me see.", { added: phase }),
      ...message(1, "Yes.", { added: "final_answer" }),
      completed,
    ];
    for (const isWhole of [false, true])
      expect(seen(events, { isWhole })).toEqual({ text: "Yes.", reasoning: "Let me see." });
  });

  test("a whole reply waits for a phase that only the end of the message tells", () => {
    const events = [
      ...message(0, "Let me see.", { done: "analysis" }),
      ...message(1, "Yes.", { done: "final_answer" }),
      completed,
    ];
    expect(seen(events, { isWhole: true })).toEqual({ text: "Yes.", reasoning: "Let me see." });
  });

  test("a stream waits for it from the first message on that told it so late", () => {
    const events = [
      ...message(0, "First. ", { done: "final_answer" }),
      ...message(1, "Hm.", { done: "commentary" }),
      ...message(2, "Last.", { done: "final_answer" }),
      completed,
    ];
    expect(seen(events)).toEqual({ text: "First. Last.", reasoning: "Hm." });
  });

  test("messages of models that know no phases are the answer", () => {
    const events = [...message(0, "One. ", {}), ...message(1, "Two.", {}), completed];
    for (const isWhole of [false, true])
      expect(seen(events, { isWhole })).toEqual({ text: "One. Two.", reasoning: "" });
  });
});

test("a stop sequence in a comment does not end the answer (NousResearch/hermes-agent#58868)", () => {
  const events = [...message(0, "Cut --8<-- here?", { added: "commentary" }), ...message(1, "There.", {}), completed];
  for (const isWhole of [false, true]) {
    expect(seen(events, { isWhole, stopSequences: ["--8<--"] }).text).toBe("There.");
  }
});

test("an answer of nothing but comments is told as the answer too", () => {
  const events = [...message(0, "All done.", { added: "commentary" }), completed];
  expect(seen(events)).toEqual({ text: "All done.", reasoning: "All done." });
});
