import { describe, expect, test } from "bun:test";
import { continuationOf, DigestedBody, historyAfter, type FinishedBody } from "../../src/codex/continuation.ts";
import type { InputItem } from "../../src/codex/wire/request.ts";
import type { OutputItem } from "../../src/codex/wire/schema.ts";

const user = (text: string): InputItem => ({
  type: "message",
  role: "user",
  content: [{ type: "input_text", text }],
});
const assistant = (...texts: string[]): InputItem => ({
  type: "message",
  role: "assistant",
  content: texts.map((text) => ({ type: "output_text", text })),
});
const said = (text: string, over: object = {}): OutputItem => ({
  type: "message",
  id: "msg_1",
  status: "completed",
  role: "assistant",
  content: [{ type: "output_text", text, annotations: [] }],
  ...over,
});
const reasoning = {
  type: "reasoning",
  id: "rs_1",
  summary: [{ type: "summary_text", text: "Hm." }],
  encrypted_content: "gAAA",
};
const call = {
  type: "function_call",
  id: "fc_1",
  status: "completed",
  call_id: "call_1",
  name: "read",
  arguments: '{"a":1,"b":2}',
};
const result = { type: "function_call_output", call_id: "call_1", output: "42" };

const body = (input: InputItem[], over: object = {}): FinishedBody => ({
  model: "gpt-5.5",
  instructions: "Be brief.",
  stream: true,
  store: false,
  input,
  ...over,
});

/** What goes out for `next` after `output` answered `first`. */
function rest(first: InputItem[], output: OutputItem[], next: InputItem[], over: object = {}) {
  const [held, gone] = [new DigestedBody(body(first)), new DigestedBody(body(first))];
  gone.letGo();
  const history = historyAfter(held, "resp_1", output);
  // The body is not needed any more once its digests are made.
  expect(historyAfter(gone, "resp_1", output)).toEqual(history);
  return continuationOf(history, new DigestedBody(body(next, over)));
}

describe("a request goes on from the last answer with its new items alone", () => {
  test("after a text that went on from one of the assistant's, and after one that nothing came before", () => {
    const bye = { previous_response_id: "resp_1", input: [user("bye")] };
    const begun = [user("hi"), assistant("Hel")];
    expect(rest(begun, [said("lo.")], [...begun, assistant("lo."), user("bye")])).toEqual(bye);
    expect(rest([], [said("Hello.")], [assistant("Hello."), user("bye")])).toEqual(bye);
  });

  test("after a text", () => {
    expect(rest([user("hi")], [said("Hello.")], [user("hi"), assistant("Hello."), user("bye")])).toEqual({
      previous_response_id: "resp_1",
      input: [user("bye")],
    });
  });

  test("after a tool call whose arguments the client wrote anew, in another order", () => {
    const replayed = { type: "function_call", call_id: "call_1", name: "read", arguments: '{ "b": 2, "a": 1 }' };
    const next = [user("hi"), { type: "reasoning", encrypted_content: "gAAA", summary: [] }, replayed, result];
    expect(rest([user("hi")], [reasoning, call], next)?.input).toEqual([result]);
  });

  test("after a tool call whose arguments are nested more deeply than the stack is, as nothing keeps a client from", () => {
    const deep = { ...call, arguments: `${"[".repeat(200_000)}${"]".repeat(200_000)}` };
    const first = [user("hi"), deep, result];
    expect(rest(first, [said("ok")], [...first, assistant("ok"), user("bye")])?.input).toEqual([user("bye")]);
  });

  test("when reasoning has moved to the call that it led to, as Chat's replays have it", () => {
    const { id: _id, status: _status, ...replayed } = call;
    const next = [
      user("hi"),
      assistant("Let me see."),
      { type: "reasoning", encrypted_content: "gAAA" },
      replayed,
      result,
    ];
    expect(rest([user("hi")], [reasoning, said("Let me see."), call], next)?.input).toEqual([result]);
  });

  test("when the client joined two messages into one text, or split them into parts of one message", () => {
    const output = [said("One.", { phase: "commentary" }), said("Two.", { id: "msg_2" })];
    const joined = [user("hi"), assistant("One.\n\nTwo."), user("bye")];
    expect(rest([user("hi")], output, joined)?.input).toEqual([user("bye")]);
    const split = [user("hi"), assistant("One.", "Two."), user("bye")];
    expect(rest([user("hi")], output, split)?.input).toEqual([user("bye")]);
  });

  test("when the client keeps a message in which nothing was said, or leaves it out", () => {
    const first = [user("hi")];
    const kept = [...first, assistant("One."), assistant(), user("bye")];
    expect(rest(first, [said("One.")], kept)?.input).toEqual([user("bye")]);
    const left = [...first, assistant("One."), user("bye")];
    expect(rest(first, [said("One."), said("", { content: [] })], left)?.input).toEqual([user("bye")]);
  });

  test("over many turns", () => {
    const first = [user("1"), assistant("a"), user("2")];
    expect(rest(first, [said("b")], [...first, assistant("b"), user("3")])?.input).toEqual([user("3")]);
  });
});

describe("a request goes out whole when anything before its new items", () => {
  const next = [user("hi"), assistant("Hello."), user("bye")];

  test.each<[string, InputItem[], object]>([
    ["was edited by the user", [user("ho"), assistant("Hello."), user("bye")], {}],
    ["is another answer", [user("hi"), assistant("Hello!"), user("bye")], {}],
    ["has lost the answer", [user("hi"), user("bye")], {}],
    ["has lost its end", [user("hi"), assistant("Hello.")], {}],
    ["has a new item in the middle", [user("hi"), user("well?"), assistant("Hello."), user("bye")], {}],
    ["belongs to another model", next, { model: "gpt-6-sol" }],
    ["has other instructions", next, { instructions: "Be long." }],
    ["has other tools", next, { tools: [{ type: "function", name: "read" }] }],
    ["asks for another effort", next, { reasoning: { effort: "low" } }],
  ])("%s", (_case, input, over) => {
    expect(rest([user("hi")], [said("Hello.")], input, over)).toBeUndefined();
  });

  test("lacks the reasoning that the backend has", () => {
    expect(rest([user("hi")], [reasoning, said("Hello.")], next)).toBeUndefined();
  });

  test("lacks a hosted search that the backend has", () => {
    const search = { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } };
    expect(rest([user("hi")], [search, said("Hello.")], next)).toBeUndefined();
  });

  test("has a compaction under another id, to which its ciphertext is bound", () => {
    const compaction = { type: "compaction", id: "cmp_1", encrypted_content: "gAAA" };
    const whole = (id: string) => [{ ...compaction, id }, user("hi"), assistant("Hello."), user("bye")];
    const first = [compaction, user("hi")];
    expect(rest(first, [said("Hello.")], whole("cmp_1"))?.input).toEqual([user("bye")]);
    expect(rest(first, [said("Hello.")], whole("cmp_2"))).toBeUndefined();
  });
});
