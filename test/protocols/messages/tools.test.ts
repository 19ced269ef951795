import { describe, expect, test } from "bun:test";
import { parseMessagesRequest } from "../../../src/protocols/messages/schema.ts";
import { toCodex } from "../../../src/protocols/messages/request.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { contextOf } from "../../support/cases.ts";

const said = (content: unknown, role = "user") => ({ role, content });
const tool = (name: string, more: object = {}) => ({
  name,
  description: name,
  input_schema: { type: "object" },
  ...more,
});
const later = (name: string) => tool(name, { defer_loading: true });
const translate = (over: object) =>
  toCodex(parseMessagesRequest({ model: "gpt-5.5", max_tokens: 10, messages: [said("hi")], ...over }), contextOf({}));
const names = (over: object) => (translate(over).body.tools ?? []).map((one) => (one as JsonObject)["name"]);

/** A call of the client's own search, and what it found. */
const found = (...tools: string[]) => [
  said([{ type: "tool_use", id: "toolu_1", name: "Catalogue", input: {} }], "assistant"),
  said([
    {
      type: "tool_result",
      tool_use_id: "toolu_1",
      content: tools.map((name) => ({ type: "tool_reference", tool_name: name })),
    },
  ]),
];

describe("tools that a client announces for later (router-for-me/CLIProxyAPI#1725)", () => {
  const tools = [tool("Shelf"), later("Moorings"), later("Crane"), tool("Ledger")];

  test("are not offered before they are named, and their marker is not sent", () => {
    const { body } = translate({ tools });
    expect(names({ tools })).toEqual(["Shelf", "Ledger"]);
    expect(JSON.stringify(body)).not.toContain("defer_loading");
  });

  test("come behind the others in the order in which they were found, so that the beginning stays", () => {
    expect(names({ tools, messages: [said("q"), ...found("Crane", "Moorings")] })).toEqual([
      "Shelf",
      "Ledger",
      "Crane",
      "Moorings",
    ]);
  });

  test("are offered when they were called before, or are forced", () => {
    const called = [said("q"), said([{ type: "tool_use", id: "toolu_2", name: "Crane", input: {} }], "assistant")];
    const result = said([{ type: "tool_result", tool_use_id: "toolu_2", content: "x" }]);
    expect(names({ tools, messages: [...called, result] })).toEqual(["Shelf", "Ledger", "Crane"]);
    expect(names({ tools, tool_choice: { type: "tool", name: "Crane" } })).toEqual(["Shelf", "Ledger", "Crane"]);
  });

  test("are all offered when only the other service could search for them, which is named", () => {
    const search = { type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" };
    const request = { tools: [search, ...tools] };
    expect(names(request)).toEqual(["Shelf", "Moorings", "Crane", "Ledger"]);
    expect(translate(request).dropped).toEqual(["tools.tool_search_tool_regex"]);
  });
});

describe("system messages in the middle of a conversation", () => {
  const addition = (target: object) => ({ type: "tool_addition", tool: target });
  const reference = (name: string) => ({ type: "tool_reference", name });

  test("add and take away tools, also ones that they define themselves", () => {
    const define = addition({ type: "tool_definition", definition: tool("Clock") });
    const messages = [
      said("q"),
      said([{ type: "text", text: "From now on." }, define, addition(reference("Crane"))], "system"),
      said([{ type: "tool_removal", tool: reference("Shelf") }], "system"),
    ];
    const request = { tools: [tool("Shelf"), later("Crane")], messages };
    expect(names(request)).toEqual(["Clock", "Crane"]);
    expect(translate(request).body.input.map((item) => item["role"])).toEqual(["user", "developer"]);
  });

  test("say how hard to think", () => {
    const messages = [said("q"), said([{ type: "output_config", effort: "high" }], "system"), said("r")];
    expect(translate({ messages, output_config: { effort: "low" } }).body.reasoning).toMatchObject({ effort: "high" });
  });
});

describe("tools of the other vendor that the client runs itself (envoyproxy/ai-gateway#2467)", () => {
  test.each([
    ["bash_20241022", "bash", ["command", "restart"]],
    ["bash_20250124", "bash", ["command", "restart"]],
    [
      "text_editor_20250429",
      "str_replace_based_edit_tool",
      ["command", "file_text", "insert_line", "insert_text", "new_str", "old_str", "path", "view_range"],
    ],
    [
      "memory_20250818",
      "memory",
      [
        "command",
        "file_text",
        "insert_line",
        "insert_text",
        "new_path",
        "new_str",
        "old_path",
        "old_str",
        "path",
        "view_range",
      ],
    ],
    [
      "computer_20251124",
      "computer",
      ["action", "coordinate", "duration", "scroll_amount", "scroll_direction", "start_coordinate", "text"],
    ],
  ])("%s is a function of its own name, not strict, with what the client understands", (type, name, args) => {
    const [made] = translate({ tools: [{ type, name, display_width_px: 800, display_height_px: 600 }] }).body
      .tools as JsonObject[];
    expect(made).toMatchObject({ type: "function", name, strict: false, description: expect.any(String) as string });
    const { properties } = (made ?? {})["parameters"] as { properties: object };
    expect(Object.keys(properties).toSorted()).toEqual(args);
  });

  test("what they say of themselves reaches the model, and the rest is named", () => {
    const screen = { type: "computer_20251124", name: "computer", display_number: 2, enable_zoom: true, strict: true };
    const editor = { type: "text_editor_20250728", name: "str_replace_based_edit_tool", max_characters: 9000 };
    const { body, dropped } = translate({ tools: [screen, editor] });
    const [first, second] = body.tools as JsonObject[];
    expect(first?.["description"]).toContain("number 2");
    expect(first?.["parameters"]).toMatchObject({
      properties: { region: {}, action: { enum: expect.arrayContaining(["zoom"]) } },
    });
    expect(second?.["description"]).toContain("9000 characters");
    expect(dropped).toEqual(["tools.strict"]);
  });

  test("a set of tools that only the other vendor's models know is refused for that", () => {
    expect(() => translate({ tools: [{ type: "computer_toolset_20260801" }] })).toThrow("define the tools one by one");
  });

  test("web search is the hosted one under any date", () => {
    for (const type of ["web_search_20250305", "web_search_20260318", "web_search_preview"]) {
      const { body } = translate({ tools: [{ type, name: "web_search" }] });
      expect([body.tools, body.include]).toEqual([
        [{ type: "web_search" }],
        ["reasoning.encrypted_content", "web_search_call.action.sources"],
      ]);
    }
  });
});

describe("turns of one role in a row are one turn (openclaw/openclaw#27890)", () => {
  const use = (id: string, name: string) => ({ type: "tool_use", id, name, input: {} });
  const result = (id: string, content: unknown) => ({ type: "tool_result", tool_use_id: id, content });
  const shown = (messages: object[]) =>
    translate({ messages, tools: [tool("Sails"), tool("Anchor")] }).body.input.map(
      (item) => item["name"] ?? item["output"] ?? item["role"],
    );

  test("two assistant turns with a call each, and results in another order", () => {
    const messages = [
      said("q"),
      said([use("toolu_1", "Sails")], "assistant"),
      said([use("toolu_2", "Anchor")], "assistant"),
      said([result("toolu_2", "up"), result("toolu_1", "dry")]),
    ];
    expect(shown(messages)).toEqual(["user", "Sails", "Anchor", "up", "dry"]);
  });

  test("a remark between a call and its result", () => {
    const messages = [
      said("q"),
      said([use("toolu_1", "Sails")], "assistant"),
      said("Hold on.", "assistant"),
      said([result("toolu_1", "dry")]),
    ];
    expect(shown(messages)).toEqual(["user", "Sails", "assistant", "dry"]);
  });

  test("results spread over user turns, one of them empty", () => {
    const messages = [
      said("q"),
      said([use("toolu_1", "Sails"), use("toolu_2", "Anchor")], "assistant"),
      said([result("toolu_1", "dry")]),
      said([result("toolu_2", [])]),
    ];
    expect(shown(messages)).toEqual(["user", "Sails", "Anchor", "dry", ""]);
  });
});

test("places in the backend's refusals are those of the client's request", () => {
  const messages = [said("q"), said([{ type: "tool_use", id: "toolu_1", name: "Sails", input: {} }], "assistant")];
  const { clientPath } = translate({
    tools: [{ type: "tool_search_tool_bm25_20251119", name: "s" }, tool("Sails")],
    messages: [...messages, said([{ type: "tool_result", tool_use_id: "toolu_1", content: "dry" }])],
  });
  const places = [
    "input[0].content[0]",
    "input[1].arguments",
    "input[2].output",
    "tools[0].parameters",
    "reasoning.effort",
  ];
  expect(places.map((place) => clientPath?.(place))).toEqual([
    "messages.0.content.0",
    "messages.1",
    "messages.2.content",
    "tools.1.input_schema",
    "output_config.effort",
  ]);
});
