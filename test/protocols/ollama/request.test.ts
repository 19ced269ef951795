import { describe, expect, test } from "bun:test";
import { RelayError } from "../../../src/lib/errors.ts";
import { ollamaChat, ollamaGenerate } from "../../../src/protocols/ollama/index.ts";
import { contextOf, translated } from "../../support/cases.ts";

const said = (role: string, content: string, more: object = {}) => ({ role, content, ...more });
const chat = (over: object) =>
  translated(ollamaChat, { model: "gpt-5.5", messages: [said("user", "hi")], ...over }, contextOf({}));
const generate = (over: object) =>
  translated(ollamaGenerate, { model: "gpt-5.5", prompt: "hi", ...over }, contextOf({}));

/** Every item in short, and whether calls and results belong together as the backend wants them. */
function shown(messages: object[]) {
  const { input, instructions } = chat({ messages }).body;
  const calls = input.filter(({ type }) => type === "function_call").map((item) => item["call_id"]);
  const results = input.filter(({ type }) => type === "function_call_output").map((item) => item["call_id"]);
  const items = input.map(({ type, role, name, output, content }) =>
    type === "message"
      ? `${String(role)}: ${(content as { text: string }[]).map(({ text }) => text).join(" ")}`
      : (name ?? output),
  );
  return {
    items,
    instructions,
    isWhole: Bun.deepEquals(new Set(results), new Set(calls)) && results.length === calls.length,
  };
}

const call = (name: string) => ({ function: { name, arguments: { tank: "north" } } });

describe("a history that is not whole is answered, and nothing of it is lost (taketwo/llm-ollama#71)", () => {
  test("a result whose call was dropped says which tool it comes from", () => {
    const messages = [
      said("user", "How full?"),
      said("assistant", "Reading it."),
      said("tool", "71 percent", { tool_name: "read_gauge" }),
    ];
    expect(shown(messages)).toEqual({
      items: ["user: How full?", "assistant: Reading it.", "user: Result of the tool read_gauge: 71 percent"],
      instructions: "",
      isWhole: true,
    });
  });

  test("a history that begins with a result", () => {
    const messages = [said("system", "Be exact."), said("tool", "71 percent"), said("user", "And the other?")];
    expect(shown(messages)).toEqual({
      items: ["user: Result of a tool: 71 percent", "user: And the other?"],
      instructions: "Be exact.",
      isWhole: true,
    });
  });

  test("results that come late, twice and by name alone find their calls", () => {
    const messages = [
      said("user", "Both."),
      said("assistant", "", { tool_calls: [call("read_gauge"), call("open_valve")] }),
      said("tool", "valve open", { tool_name: "open_valve" }),
      said("user", "Quickly."),
      said("tool", "71 percent", { tool_name: "read_gauge" }),
      said("tool", "70 percent", { tool_name: "read_gauge" }),
    ];
    expect(shown(messages)).toEqual({
      items: [
        "user: Both.",
        "read_gauge",
        "open_valve",
        "valve open",
        "user: Quickly.",
        "71 percent",
        "user: Result of the tool read_gauge: 70 percent",
      ],
      instructions: "",
      isWhole: true,
    });
  });

  test("a call without a result gets an empty one behind it", () => {
    const messages = [
      said("user", "q"),
      said("assistant", "", { tool_calls: [call("a"), call("b")] }),
      said("user", "well?"),
    ];
    expect(shown(messages)).toEqual({
      items: ["user: q", "a", "", "b", "", "user: well?"],
      instructions: "",
      isWhole: true,
    });
  });
});

describe("roles of neighbouring APIs mean what they mean there (ollama/ollama-python#453)", () => {
  test.each([
    ["developer", "Answer in one word.", "Answer in one word.", []],
    ["System", "Be brief.", "Be brief.", []],
    ["ASSISTANT", "a", "", ["assistant: a"]],
    ["model", "a", "", ["assistant: a"]],
    ["narrator", "a", "", ["user: a"]],
    ["", "a", "", ["user: a"]],
  ])("%s", (role, content, instructions, items) => {
    expect(shown([said(role, content), said("user", "q")])).toMatchObject({
      instructions,
      items: [...items, "user: q"],
    });
  });
});

test.each([
  ["max", "xhigh"],
  ["low", "low"],
  [false, "none"],
  [true, undefined],
])("think %p", (think, effort) => {
  expect(chat({ think }).body.reasoning?.effort).toBe(effort);
});

test("a word that is no effort is refused in Ollama's words", () => {
  expect(() => chat({ think: "hard" })).toThrow(RelayError);
});

test("fields without effect are named; empty ones and those that say what is usual are not", () => {
  expect(generate({ suffix: "}", context: [1, 2], raw: true, truncate: true, options: { seed: 1 } }).dropped).toEqual([
    "context",
    "options.seed",
    "raw",
    "suffix",
    "truncate",
  ]);
  expect(generate({ suffix: "", context: [], raw: false, keep_alive: "5m", template: null }).dropped).toEqual([]);
});

test("places in the backend's refusals are those of the client's messages", () => {
  const { clientPath } = chat({
    messages: [
      said("system", "s"),
      said("user", "q"),
      said("assistant", "", { tool_calls: [call("a")] }),
      said("tool", "x"),
    ],
    tools: [{ type: "function", function: { name: "a" } }],
    format: "json",
  });
  const places = ["input[1].content[0].text", "input[3].output", "tools[0].parameters", "reasoning.effort"];
  expect(places.map((place) => clientPath?.(place))).toEqual([
    "messages[1].content[0]",
    "messages[3].content",
    "tools[0].function.parameters",
    "think",
  ]);
});

test("thoughts and pictures in messages that the model is not told of are named", () => {
  const messages = [
    said("user", "a"),
    { ...said("assistant", "b"), thinking: "hm", images: ["iVBORw0KGgo="] },
    { ...said("assistant", "c"), thinking: "hm" },
  ];
  const { dropped, changed } = chat({ messages });
  expect([dropped, changed]).toEqual([["messages[1].images"], ["messages[1].thinking"]]);
});

test("a limit of tokens is named, and what asks for none is not", () => {
  const named = (limit: unknown) => chat({ options: { num_predict: limit } }).changed;
  expect([named(5), named("5")]).toEqual([["options.num_predict"], ["options.num_predict"]]);
  expect([named(-1), named(-2), named(0), named(null)]).toEqual([[], [], [], []]);
});
