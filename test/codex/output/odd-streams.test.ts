import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import { DIALECTS } from "../../../src/protocols/index.ts";
import { eventsOf, whole, type Case } from "../../support/cases.ts";
import { frames } from "../../support/fake-codex.ts";
import { expectOneReply } from "../../support/one-reply.ts";

/*
 * One answer, told by streams that leave out, empty, rename or misplace whatever some other event still tells: every
 * dialect makes the same of it as of the regular stream, streamed and whole.
 */

/** `ODD_RUNS=5000 bun test odd-streams` looks harder. */
const runs = Number(process.env["ODD_RUNS"] ?? 150);

interface Item {
  readonly type: string;
  readonly id: string;
  readonly [field: string]: unknown;
}

/** What an answer may hold, each item as it ends. */
const THOUGHT: Item = {
  type: "reasoning",
  id: "rs_a",
  encrypted_content: "gAAAA-a",
  summary: [
    { type: "summary_text", text: "First look." },
    { type: "summary_text", text: "Then tell." },
  ],
};
const message = (id: string, texts: string[], more: object = {}): Item => ({
  type: "message",
  id,
  role: "assistant",
  status: "completed",
  content: texts.map((text) => ({ type: "output_text", text, annotations: [], logprobs: [] })),
  ...more,
});
const COMMENT = message("msg_a", ["Looking it up."], { phase: "commentary" });
const ANSWER = message("msg_b", ["It is ", "row 3."], { phase: "final_answer" });
const call = (id: string, name: string, args: object): Item => ({
  type: "function_call",
  id: `fc_${id}`,
  call_id: `call_${id}`,
  name,
  arguments: JSON.stringify(args),
  status: "completed",
});
const CALLS = [call("a", "find", { of: "ladder" }), call("b", "find", { of: "rope", deep: { at: [1, 2] } })];
const CUSTOM: Item = {
  type: "custom_tool_call",
  id: "ctc_a",
  call_id: "call_c",
  name: "write",
  input: "Dear reader,",
  status: "completed",
};

const schema = { type: "object", properties: {} };
const user = { role: "user", content: "hi" };
const chatTool = { type: "function", function: { name: "find", parameters: schema } };
const custom = { name: "write" };

/** What each dialect can be answered, and how it is asked. */
const ASKED: Readonly<Record<string, { request: JsonObject; items: Item[] }>> = {
  chat: {
    request: { messages: [user], tools: [chatTool, { type: "custom", custom }] },
    items: [THOUGHT, COMMENT, ANSWER, ...CALLS, CUSTOM],
  },
  responses: {
    request: {
      input: "hi",
      tools: [
        { type: "function", name: "find", parameters: schema, strict: false },
        { type: "custom", ...custom },
      ],
    },
    items: [THOUGHT, COMMENT, ANSWER, ...CALLS, CUSTOM],
  },
  messages: {
    request: {
      max_tokens: 900,
      messages: [user],
      tools: [{ name: "find", input_schema: schema }],
      thinking: { type: "adaptive" },
    },
    items: [THOUGHT, COMMENT, ANSWER, ...CALLS],
  },
  completions: { request: { prompt: "hi" }, items: [COMMENT, ANSWER] },
  ollama: { request: { messages: [user], tools: [chatTool] }, items: [THOUGHT, COMMENT, ANSWER, ...CALLS] },
  "ollama-generate": { request: { prompt: "hi" }, items: [THOUGHT, COMMENT, ANSWER] },
};

/** How a stream tells an item. Not all of it may be missing everywhere. */
interface Told {
  readonly isAdded: boolean;
  readonly hasDeltas: boolean;
  /** In how many pieces. */
  readonly pieces: number;
  readonly hasTextDone: boolean;
  readonly isDone: boolean;
  /** What the item's own end leaves empty although it is told elsewhere. */
  readonly emptied: "nothing" | "texts" | "names";
  /** Arguments as an object, where an end tells them. */
  readonly asObject: boolean;
  readonly hasStatus: boolean;
}

interface Stream {
  readonly told: readonly Told[];
  readonly ids: "right" | "none" | "changing" | "shared";
  readonly indexes: "right" | "none" | "zero";
  readonly list: "whole" | "empty" | "null" | "messages" | "hollow";
  readonly hasResponse: boolean;
  readonly hasCreated: boolean;
  /** Whether pieces tell which part of their item they are of. */
  readonly hasPlaces: boolean;
  /** Events that come twice; not pieces, which then say it twice. */
  readonly repeated: readonly number[];
}

const told: fc.Arbitrary<Told> = fc.record({
  isAdded: fc.boolean(),
  hasDeltas: fc.boolean(),
  pieces: fc.integer({ min: 1, max: 4 }),
  hasTextDone: fc.boolean(),
  isDone: fc.boolean(),
  emptied: fc.constantFrom("nothing", "texts", "names"),
  asObject: fc.boolean(),
  hasStatus: fc.boolean(),
});

const streamOf = (items: readonly Item[]): fc.Arbitrary<Stream> =>
  fc
    .record({
      told: fc.array(told, { minLength: items.length, maxLength: items.length }),
      ids: fc.constantFrom("right", "none", "changing", "shared"),
      indexes: fc.constantFrom("right", "none", "zero"),
      list: fc.constantFrom("whole", "empty", "null", "messages", "hollow"),
      hasResponse: fc.boolean(),
      hasCreated: fc.boolean(),
      hasPlaces: fc.boolean(),
      repeated: fc.array(fc.nat(60), { maxLength: 3 }),
    })
    .map((stream) => lossless(items, stream));

/** The nearest stream that still tells everything. */
function lossless(items: readonly Item[], stream: Stream): Stream {
  // Something has to tell the items apart.
  const indexes = stream.ids === "right" ? stream.indexes : "right";
  const isListed = stream.hasResponse && stream.list === "whole";
  const isSeen = ({ isAdded, hasDeltas, hasTextDone, isDone }: Told) => isAdded || hasDeltas || hasTextDone || isDone;
  const lastSeen = stream.told.findLastIndex(isSeen);
  const each = items.map((item, place) => {
    const told = stream.told[place] ?? REGULAR;
    // Nothing but ends tells one part of a thought from the next.
    const isBlurred = !stream.hasPlaces && told.hasDeltas && !told.hasTextDone;
    const way = isBlurred && item.type === "reasoning" ? { ...told, hasDeltas: false } : told;
    const hasTexts = way.hasDeltas || way.hasTextDone;
    // Only an end has what is neither text nor name, and only one of its own has it in time.
    const needsDone =
      (item.type === "reasoning" && (hasTexts || !isListed)) ||
      (item.type === "message" ? !hasTexts && !isListed : !way.isAdded && (hasTexts || !isListed)) ||
      (!hasTexts && !isListed) ||
      (isBlurred && item.type === "message");
    // What only the last list tells comes behind the rest.
    const isDone = way.isDone || needsDone || (!hasTexts && place < lastSeen);
    const mayEmptyTexts = hasTexts && !isBlurred && item.type !== "reasoning";
    const mayEmptyNames = way.isAdded;
    const emptied =
      (way.emptied === "texts" && !mayEmptyTexts) || (way.emptied === "names" && !mayEmptyNames)
        ? "nothing"
        : way.emptied;
    // A phase that is told behind its text is another story (phases.test.ts), and under one index nothing else tells
    // whose the pieces of a call are.
    const isAdded = way.isAdded || (hasTexts && (item.type === "message" || indexes === "zero"));
    return { ...way, isAdded, isDone, emptied };
  });
  return { ...stream, indexes, told: each };
}

const REGULAR: Told = {
  isAdded: true,
  hasDeltas: true,
  pieces: 2,
  hasTextDone: true,
  isDone: true,
  emptied: "nothing",
  asObject: false,
  hasStatus: true,
};

interface Text {
  readonly delta: string;
  readonly done: string;
  readonly field: string;
  readonly key: JsonObject;
  readonly text: string;
}

function textsOf(item: Item): Text[] {
  const made = (name: string, field: string, text: unknown, key: JsonObject = {}): Text => ({
    delta: `response.${name}.delta`,
    done: `response.${name}.done`,
    field,
    key,
    text: String(text),
  });
  const list = (parts: unknown) => (Array.isArray(parts) ? parts.filter(isObject) : []);
  if (item.type === "function_call") return [made("function_call_arguments", "arguments", item["arguments"])];
  if (item.type === "custom_tool_call") return [made("custom_tool_call_input", "input", item["input"])];
  return item.type === "reasoning"
    ? list(item["summary"]).map(({ text }, at) => made("reasoning_summary_text", "text", text, { summary_index: at }))
    : list(item["content"]).map(({ text }, at) => made("output_text", "text", text, { content_index: at }));
}

const EMPTY: Readonly<Record<string, unknown>> = { content: [], summary: [], arguments: "", input: "" };

function withoutTexts(item: Item): Item {
  const texts = Object.keys(item).filter((field) => Object.hasOwn(EMPTY, field));
  return { ...item, ...Object.fromEntries(texts.map((field) => [field, EMPTY[field]])) };
}

function ended(item: Item, { emptied, asObject, hasStatus }: Told): JsonObject {
  const { status, ...plain } = emptied === "texts" ? withoutTexts(item) : item;
  const { arguments: args } = plain;
  return {
    ...plain,
    ...(emptied === "names" && "name" in plain ? { name: "" } : {}),
    ...(asObject && typeof args === "string" && args !== "" ? { arguments: JSON.parse(args) as unknown } : {}),
    ...(hasStatus && status !== undefined ? { status } : {}),
  };
}

function piecesOf(text: string, pieces: number): string[] {
  const size = Math.ceil(text.length / pieces);
  return Array.from({ length: pieces }, (_, at) => text.slice(at * size, (at + 1) * size)).filter(
    (piece) => piece !== "",
  );
}

function eventsIn(items: readonly Item[], stream: Stream): JsonObject[] {
  let count = 0;
  const idOf = (id: string) => {
    count += 1;
    if (stream.ids === "none") return {};
    return { item_id: stream.ids === "shared" ? "one" : stream.ids === "changing" ? `${id}_${count}` : id };
  };
  const indexOf = (at: number) =>
    stream.indexes === "none" ? {} : { output_index: stream.indexes === "zero" ? 0 : at };
  const named = (item: JsonObject, id: string) => {
    const { item_id: given } = idOf(id);
    const { id: _id, ...rest } = item;
    return given === undefined ? rest : { id: given, ...rest };
  };
  const body = items.flatMap((item, at) => {
    const way = stream.told[at] ?? REGULAR;
    const index = indexOf(at);
    const events: JsonObject[] = [];
    if (way.isAdded) {
      const status = item["status"] === undefined ? {} : { status: "in_progress" };
      events.push({
        type: "response.output_item.added",
        ...index,
        item: named({ ...withoutTexts(item), ...status }, item.id),
      });
    }
    for (const { delta, done, field, key, text } of textsOf(item)) {
      const place = () => ({ ...idOf(item.id), ...index, ...(stream.hasPlaces ? key : {}) });
      if (way.hasDeltas)
        for (const piece of piecesOf(text, way.pieces)) events.push({ type: delta, ...place(), delta: piece });
      if (way.hasTextDone) events.push({ type: done, ...place(), [field]: text });
    }
    if (way.isDone)
      events.push({ type: "response.output_item.done", ...index, item: named(ended(item, way), item.id) });
    return events;
  });
  const response = { id: "resp_1", object: "response", created_at: 1_700_000_000, model: "gpt-5.5" };
  const output = listOf(items, stream).map((item) => (isObject(item) ? named(item, String(item["id"])) : item));
  const usage = { input_tokens: 5, output_tokens: 7 };
  const end = { ...response, status: "completed", output: stream.list === "null" ? null : output, usage };
  const isPiece = ({ type }: JsonObject) => String(type).endsWith(".delta");
  const told = body.flatMap((event, place) =>
    stream.repeated.includes(place) && !isPiece(event) ? [event, event] : [event],
  );
  return [
    ...(stream.hasCreated
      ? [{ type: "response.created", response: { ...response, status: "in_progress", output: [] } }]
      : []),
    ...told,
    stream.hasResponse ? { type: "response.completed", response: end } : { type: "response.completed" },
  ];
}

function listOf(items: readonly Item[], { list, told: ways }: Stream): JsonObject[] {
  if (list === "whole") return items.map((item, at) => ended(item, { ...(ways[at] ?? REGULAR), emptied: "nothing" }));
  if (list === "messages") return items.filter(({ type }) => type === "message");
  return list === "hollow" ? items.map(withoutTexts) : [];
}

const REGULAR_STREAM: Stream = {
  told: [],
  ids: "right",
  indexes: "right",
  list: "whole",
  hasResponse: true,
  hasCreated: true,
  hasPlaces: true,
  repeated: [],
};

const UNEQUAL = new Set(["id", "usage", "created", "created_at", "prompt_eval_count", "eval_count"]);

/** A reply without what differs although nothing is lost: ids that nobody refers to, times, estimates, a call's turn. */
function comparable(reply: unknown): unknown {
  const plain: unknown = JSON.parse(
    JSON.stringify(reply, (key, value: unknown) => {
      if (UNEQUAL.has(key)) return undefined;
      if (key === "content" && Array.isArray(value)) return joined(value);
      if (key !== "tool_calls" || !Array.isArray(value)) return value;
      return value.map((one: unknown) => JSON.stringify(one).replace(/"(index|id)":("[^"]*"|\d+),?/g, "")).toSorted();
    }),
  );
  return plain;
}

/** Texts in a row are one text. */
function joined(parts: readonly unknown[]): unknown[] {
  return parts.reduce<unknown[]>((all, part) => {
    const last = all.at(-1);
    const isText =
      isObject(part) && isObject(last) && part["type"] === last["type"] && typeof part["text"] === "string";
    return isText
      ? [...all.slice(0, -1), { ...last, text: `${String(last["text"])}${String(part["text"])}` }]
      : [...all, part];
  }, []);
}

const tapeOf = (events: readonly JsonObject[]) => new TextEncoder().encode(frames([...events]));

describe.each(Object.entries(ASKED))("%s", (name, { request, items }) => {
  test("a stream that loses nothing makes the same reply as the regular one", async () => {
    const dialect = DIALECTS.find((one) => one.name === name);
    if (!dialect) throw new Error(`there is no dialect ${name}`);
    const protocol = await dialect.load();
    const one: Case = {
      name,
      protocol,
      route: "",
      request: { model: "gpt-5.5", ...request },
      settings: {},
      tape: new Uint8Array(),
      path: () => "",
    };
    const usual = comparable(whole(one, await eventsOf(tapeOf(eventsIn(items, REGULAR_STREAM)))));
    expect(JSON.stringify(usual)).toContain("row 3.");
    await fc.assert(
      fc.asyncProperty(streamOf(items), async (stream) => {
        const events = await eventsOf(tapeOf(eventsIn(items, stream)));
        expect(comparable(whole(one, events))).toEqual(usual);
        expectOneReply(one, events);
      }),
      { numRuns: runs },
    );
  });
});
