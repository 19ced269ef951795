import { describe, expect, test } from "bun:test";
import { Normalizer } from "../../../src/codex/output/normalize.ts";
import { OutputLimit } from "../../../src/codex/output/output-limit.ts";
import { WireEvent } from "../../../src/codex/wire/event.ts";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";

function regular(events: readonly object[], maxTokens?: number): { sent: WireEvent[]; output: JsonObject[] } {
  const sent: WireEvent[] = [];
  const normalizer = new Normalizer((event) => sent.push(event), {
    keepsText: true,
    // A letter is a token.
    cut:
      maxTokens === undefined
        ? undefined
        : { limit: new OutputLimit(maxTokens, (text) => text.length), inputTokens: 1 },
  });
  for (const event of events) {
    const wire = WireEvent.from(JSON.stringify(event));
    if (wire) normalizer.onEvent(wire);
  }
  const last: unknown = sent.at(-1)?.event;
  const response = isObject(last) && isObject(last["response"]) ? last["response"] : {};
  return { sent, output: (response["output"] ?? []) as JsonObject[] };
}

const created = { type: "response.created", response: { id: "resp_1", status: "in_progress", output: [] } };
const completed = (output: object[] = []) => ({ type: "response.completed", response: { id: "resp_1", output } });
const added = (item: object, index = 0) => ({ type: "response.output_item.added", output_index: index, item });
const done = (item: object, index = 0) => ({ type: "response.output_item.done", output_index: index, item });
const message = (text: string, id = "msg_0") => ({
  id,
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [], logprobs: [] }],
});
const at = { output_index: 0, item_id: "msg_0", content_index: 0 };
const part = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] });
const call = { id: "fc_0", type: "function_call", call_id: "call_0", name: "f", arguments: "{}", status: "completed" };

const REGULAR = [
  created,
  added({ ...message(""), status: "in_progress", content: [] }),
  { type: "response.content_part.added", ...at, part: part("") },
  { type: "response.output_text.delta", ...at, delta: "Hi" },
  { type: "response.output_text.done", ...at, text: "Hi" },
  { type: "response.content_part.done", ...at, part: part("Hi") },
  done(message("Hi")),
];

test("a regular stream passes as it is, to the letter", () => {
  const events = REGULAR.map((event) => WireEvent.from(JSON.stringify(event)) as WireEvent);
  const sent: WireEvent[] = [];
  const normalizer = new Normalizer((event) => sent.push(event), { keepsText: true });
  for (const event of events) normalizer.onEvent(event);
  expect(sent).toHaveLength(events.length);
  for (const [index, event] of events.entries()) expect(sent[index]).toBe(event);
});

describe("nothing that was told is lost by a later event that leaves it out", () => {
  test("items that the last list omits (james-6-23/codex2api#422)", () => {
    const { output } = regular([
      created,
      done(call),
      done(message("Hi", "msg_1"), 1),
      completed([message("Hi", "msg_1")]),
    ]);
    expect(output).toEqual([call, message("Hi", "msg_1")]);
  });

  test.each([[[]], [null], [[{ type: "output_text", text: "" }]], [[{ type: "output_text", text: null }]]])(
    "a message that the last list has with the content %j",
    (content) => {
      expect(regular([created, done(message("Hi")), completed([{ ...message(""), content }])]).output).toEqual([
        message("Hi"),
      ]);
    },
  );

  test.each(["", null, undefined])("a name that its end has as %p (BigPizzaV3/CodexPlusPlus#614)", (name) => {
    const begun = added({ ...call, arguments: "", status: "in_progress" });
    expect(regular([created, begun, done({ ...call, name }), completed([{ ...call, name }])]).output).toEqual([call]);
  });
});

test("a call is announced once its name is known, with all that came before (BigPizzaV3/CodexPlusPlus#614)", () => {
  const begun = added({ ...call, name: "", arguments: "", status: "in_progress" });
  const piece = { type: "response.function_call_arguments.delta", output_index: 0, item_id: "fc_0", delta: '{"a":1}' };
  const { sent, output } = regular([created, begun, piece, done({ ...call, arguments: '{"a":1}' }), completed()]);
  expect(sent.map(({ type }) => type)).toEqual([
    "response.created",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.completed",
  ]);
  expect(sent[1]?.event).toMatchObject({ item: { name: "f", arguments: "" } });
  expect(output).toEqual([{ ...call, arguments: '{"a":1}' }]);
});

test.each([
  [{ a: { b: [1] } }, '{"a":{"b":[1]}}'],
  ["", "{}"],
  [undefined, "{}"],
])("arguments that are %j become a JSON text", (given, text) => {
  const { sent, output } = regular([created, done({ ...call, arguments: given }), completed()]);
  expect(output).toEqual([{ ...call, arguments: text }]);
  expect(sent.map(({ event }) => ("delta" in event ? event.delta : "")).join("")).toBe(text);
});

test("two items that share an index or an id are told apart", () => {
  const delta = (text: string, id: string, index: number) => ({
    type: "response.output_text.delta",
    output_index: index,
    item_id: id,
    content_index: 0,
    delta: text,
  });
  const begun = (id: string) => ({ ...message("", id), content: [], status: "in_progress" });
  for (const [first, second] of [
    [
      ["a", 0],
      ["b", 0],
    ],
    [
      ["a", 0],
      ["a", 1],
    ],
  ] as const) {
    const { output } = regular([
      created,
      added(begun(first[0]), first[1]),
      delta("One", first[0], first[1]),
      done(message("One", first[0]), first[1]),
      added(begun(second[0]), second[1]),
      delta("Two", second[0], second[1]),
      done(message("Two", second[0]), second[1]),
      completed(),
    ]);
    expect(output.map(({ content }) => (content as { text: string }[])[0]?.text)).toEqual(["One", "Two"]);
    expect(new Set(output.map(({ id }) => id)).size).toBe(2);
  }
});

test.each([
  [
    { input_tokens: 40, output_tokens: 2 },
    { input_tokens: 40, output_tokens: 2, total_tokens: 42 },
  ],
  [
    { input_tokens: 55, output_tokens: null },
    { input_tokens: 55, output_tokens: 0, total_tokens: 55 },
  ],
])("usage with holes is completed: %j", (usage, whole) => {
  const end = { type: "response.completed", response: { id: "resp_1", usage } };
  const last = regular([created, end]).sent.at(-1)?.event;
  const details = {
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens_details: { reasoning_tokens: 0 },
  };
  expect(last).toMatchObject({ response: { usage: { ...whole, ...details } } });
});

test("an annotation that is no list is lost, and no more", () => {
  const two = { ...message("He"), content: [part("He"), { ...part("llo"), annotations: { value: [] } }] };
  const { sent, output } = regular([
    created,
    added({ ...message(""), status: "in_progress", content: [] }),
    { type: "response.output_text.delta", output_index: 0, item_id: "msg_0", delta: "Hello" },
    done(message("Hello")),
    completed([two]),
  ]);
  expect(sent.map(({ type }) => type).filter((type) => type.includes("annotation"))).toEqual([]);
  expect(output).toHaveLength(1);
});

test("usage that the relay estimates has the details that the public schema requires", () => {
  const bare = { ...message(""), content: [{ type: "output_text", text: "abcdefgh" }] };
  const { sent } = regular([created, done(bare), completed([bare])], 1);
  expect(sent.at(-1)?.event).toMatchObject({
    response: {
      status: "incomplete",
      usage: {
        input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
        output_tokens_details: { reasoning_tokens: 0 },
      },
    },
  });
});

test("every text that the relay tells itself has the log probabilities that the public schema requires", () => {
  const bare = { ...message(""), content: [{ type: "output_text", text: "abcdefgh" }] };
  for (const maxTokens of [undefined, 3]) {
    const { sent, output } = regular([created, done(bare), completed([bare])], maxTokens);
    const texts = sent.filter(({ type }) => type.startsWith("response.output_text."));
    expect(texts.map(({ type }) => type)).toEqual(["response.output_text.delta", "response.output_text.done"]);
    for (const { event } of texts) expect(event).toMatchObject({ logprobs: [] });
    const parts = sent.filter(({ type }) => type.startsWith("response.content_part."));
    expect(parts).toHaveLength(2);
    for (const { event } of parts) expect(event).toMatchObject({ part: { logprobs: [] } });
    expect(output).toMatchObject([{ content: [{ logprobs: [] }] }]);
  }
});

test("an end without a response ends what began", () => {
  const { sent, output } = regular([created, ...REGULAR.slice(1, 4), { type: "response.completed" }]);
  expect(sent.at(-1)?.event).toMatchObject({ response: { id: "resp_1", status: "completed" } });
  expect(output).toEqual([message("Hi")]);
});

describe("a client's limit of tokens ends an answer once, whatever tells its text", () => {
  const url = { type: "url_citation", url: "https://a.example", title: "A", start_index: 0, end_index: 1 };
  const cited = { ...message(""), content: [{ ...part("abcdefgh"), annotations: [url] }] };
  const twice = { ...message(""), content: [part("abcdefgh"), part("second")] };
  const told = { type: "response.output_text.done", ...at, text: "abcdefgh" };
  const partDone = { type: "response.content_part.done", ...at, part: cited.content[0] };

  test.each([
    ["deltas", [{ type: "response.output_text.delta", ...at, delta: "abcdefgh" }, done(message("abcdefgh"))]],
    ["the end of a text", [told, done(message("abcdefgh"))]],
    ["the end of a part with a citation", [partDone, done(cited)]],
    ["the end of an item", [done(message("abcdefgh"))]],
    ["the end of an item with a citation", [done(cited)]],
    ["the end of an item of two parts", [done(twice)]],
    ["the last event alone", []],
  ])("%s", (_name, events) => {
    for (const last of [message("abcdefgh"), cited, twice]) {
      const { sent, output } = regular([created, ...events, completed([last, message("more", "msg_1")])], 3);
      const ends = sent.flatMap(({ type }, index) => (/completed|incomplete$/.test(type) ? [[type, index]] : []));
      expect(ends).toEqual([["response.incomplete", sent.length - 1]]);
      expect(output).toMatchObject([{ status: "incomplete", content: [{ text: "abc" }] }]);
      const text = sent.map(({ event }) => ("delta" in event ? event.delta : "")).join("");
      expect(text).toBe("abc");
    }
  });

  test.each([
    ["a message", REGULAR],
    ["a call", [created, added({ ...call, arguments: "" }), done(call)]],
    ["a thought", [created, added({ id: "rs_0", type: "reasoning", summary: [] })]],
  ])("of none before %s begins", (_name, events) => {
    const { sent, output } = regular([...events, completed()], 0);
    expect(sent.map(({ type }) => type)).toEqual(["response.created", "response.incomplete"]);
    expect(output).toEqual([]);
  });
});
