import { describe, expect, test } from "bun:test";
import { chat } from "../../../src/protocols/chat/index.ts";
import { contextOf, translated } from "../../support/cases.ts";

const user = (content: unknown, more: object = {}) => ({ role: "user", content, ...more });
const translate = (over: object) =>
  translated(chat, { model: "gpt-5.5", messages: [user("hi")], ...over }, contextOf({}));
const textsOf = (over: object) =>
  translate(over).body.input.map(({ content }) => (content as { text?: string }[])[0]?.text);

test("no field vanishes unseen, and what is empty or usual is not named (BerriAI/litellm#37125)", () => {
  expect(translate({ user: "u", top_k: 1, guided_regex: "x", audio: null, logprobs: true }).dropped).toEqual([
    "guided_regex",
    "logprobs",
    "top_k",
    "user",
  ]);
  expect(translate({ stream_options: { include_usage: true, include_obfuscation: false } }).dropped).toEqual([
    "stream_options.include_obfuscation",
  ]);
  expect(translate({ store: false, logprobs: false, n: 1, modalities: ["text"], top_k: null }).dropped).toEqual([]);
  expect(translate({ reasoning: { effort: "low", max_tokens: 5 } }).dropped).toEqual(["reasoning.max_tokens"]);
});

test("marks for a cache and spoken answers in messages are named, each mark once (BerriAI/litellm#37125)", () => {
  const marked = [{ type: "text", text: "a", cache_control: { type: "ephemeral" } }];
  const messages = [
    user(marked),
    { role: "assistant", content: "b", audio: { id: "audio_1" } },
    user([{ type: "text", text: "c", prompt_cache_breakpoint: { mode: "explicit" } }]),
    user(marked),
  ];
  const { dropped, changed } = translate({ messages });
  expect(dropped).toEqual(["messages[1].audio"]);
  expect(changed).toEqual(["messages[0].content[0].cache_control", "messages[2].content[0].prompt_cache_breakpoint"]);
});

test("functions beside tools give way to them and are named", () => {
  const f = { name: "f", parameters: { type: "object", properties: {} } };
  const both = { tools: [{ type: "function", function: f }], functions: [f], function_call: "none" };
  const { body, dropped } = translate(both);
  expect([body.tools?.length, body.tool_choice, dropped]).toEqual([1, "auto", ["function_call", "functions"]]);
  expect(translate({ functions: [f], function_call: "none" }).dropped).toEqual([]);
});

describe("a message's name says who speaks (microsoft/autogen#5401)", () => {
  test("users' names stand before what they say", () => {
    const messages = [
      user("I have the rope.", { name: "deckhand" }),
      user([{ type: "text", text: "I have the lamp." }], { name: "steward" }),
    ];
    expect(textsOf({ messages })).toEqual(["deckhand: I have the rope.", "steward: I have the lamp."]);
    expect(translate({ messages }).dropped).toEqual([]);
  });

  test("also before a picture", () => {
    const picture = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
    expect(textsOf({ messages: [user([picture], { name: "steward" })] })).toEqual(["steward:"]);
  });

  test("names of others are named as left out", () => {
    const messages = [
      { role: "system", content: "s", name: "rules" },
      user("q"),
      { role: "assistant", content: "a", name: "bot" },
    ];
    expect(translate({ messages }).dropped).toEqual(["messages[0].name", "messages[2].name"]);
  });
});

test("places in the backend's refusals are those of the client's messages and tools", () => {
  const call = { id: "c1", type: "function", function: { name: "f", arguments: "{}" } };
  const { clientPath } = translate({
    messages: [
      { role: "system", content: "s" },
      user([
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ]),
      { role: "assistant", content: "x", tool_calls: [call] },
      { role: "tool", tool_call_id: "c1", content: "r" },
    ],
    tools: [{ type: "function", function: { name: "f" } }, { type: "web_search" }],
  });
  const places = [
    ["input[0].content[1].text", "messages[1].content[1]"],
    ["input[1].content[0]", "messages[2].content[0]"],
    ["input[2].arguments", "messages[2]"],
    ["input[3].output", "messages[3].content"],
    ["tools[0].parameters", "tools[0].function.parameters"],
    ["tools[1].filters", "tools[1].filters"],
    ["reasoning.effort", "reasoning_effort"],
    ["text.format.schema", "response_format.json_schema.schema"],
    ["text.verbosity", "verbosity"],
  ];
  expect(places.map(([place = ""]) => [place, clientPath?.(place) ?? ""])).toEqual(places);
});

test.each([
  ["slides.pptx", "UEsD", "data:application/vnd.openxmlformats-officedocument.presentationml.presentation;base64,UEsD"],
  ["week.dat", "data:text/calendar;base64,QkVH", "data:text/calendar;base64,QkVH"],
])("a file part %s gets the type of its name (vercel/ai#12842)", (filename, data, url) => {
  const [message] = translate({ messages: [user([{ type: "file", file: { filename, file_data: data } }])] }).body.input;
  expect(message?.["content"]).toEqual([{ type: "input_file", filename, file_data: url }]);
});
