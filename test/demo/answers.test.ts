import { expect, test } from "bun:test";
import { CodexEvent } from "../../src/codex/wire/schema.ts";
import { answer } from "../../src/demo/answers.ts";
import { FAULTS } from "../stand-in/faults.ts";
import type { Output } from "../../src/demo/output.ts";
import { replyEvents } from "../../src/demo/reply.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";

const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const fn = (name: string, properties: object, required: string[] = Object.keys(properties), description = "") => ({
  type: "function",
  name,
  description,
  parameters: { type: "object", properties, required },
});
const text = { type: "string" };

const weather = fn("get_weather", { city: text });
const clock = fn("get_time", { zone: text });

function ask(prompt: string, change: JsonObject = {}): Output[] {
  return answer({ model: "gpt-5.5", input: [user(prompt)], ...change });
}

/** Name and arguments of the calls, briefly. */
function calls(outputs: Output[]): unknown[] {
  return outputs.flatMap((output) => {
    if (output.kind === "function_call") return [[output.name, JSON.parse(output.arguments) as unknown]];
    if (output.kind === "custom_tool_call") return [[output.name, output.input]];
    return output.kind === "local_shell_call" ? [output.command] : [];
  });
}

function words(outputs: Output[]): string {
  return outputs.map((output) => (output.kind === "message" ? [...output.pieces].join("") : "")).join("");
}

const WRITE = "Write the text HELLO to the file out.txt";

test.each<[string, JsonObject[], unknown]>([
  [
    "a Write tool",
    [fn("Write", { file_path: text, content: text })],
    ["Write", { file_path: "out.txt", content: "HELLO" }],
  ],
  [
    "camel case",
    [fn("write", { filePath: text, content: text })],
    ["write", { filePath: "out.txt", content: "HELLO" }],
  ],
  [
    "an editor with commands",
    [
      fn("str_replace_based_edit_tool", {
        command: { type: "string", enum: ["view", "create"] },
        path: text,
        file_text: text,
      }),
    ],
    ["str_replace_based_edit_tool", { command: "create", path: "out.txt", file_text: "HELLO" }],
  ],
  ["a shell", [fn("exec_command", { cmd: text })], ["exec_command", { cmd: "printf '%s' HELLO > out.txt" }]],
  [
    "a shell that takes a list",
    [fn("shell", { command: { type: "array", items: text } })],
    ["shell", { command: ["bash", "-lc", "printf '%s' HELLO > out.txt"] }],
  ],
  ["a local shell", [{ type: "local_shell" }], ["bash", "-lc", "printf '%s' HELLO > out.txt"]],
  [
    "a patch tool",
    [{ type: "custom", name: "apply_patch", description: "" }],
    ["apply_patch", "*** Begin Patch\n*** Add File: out.txt\n+HELLO\n*** End Patch"],
  ],
])("a file is written with %s", (_title, tools, expected) => {
  expect(calls(ask(WRITE, { tools }))).toEqual([expected]);
});

test("an editor that wants the old text is passed over for a shell", () => {
  const edit = fn("edit", { filePath: text, oldString: text, newString: text });
  const bash = fn("bash", { command: text, description: text });
  expect(calls(ask(WRITE, { tools: [edit, bash] }))).toMatchObject([
    ["bash", { command: "printf '%s' HELLO > out.txt" }],
  ]);
});

test.each([
  'write "HELLO" to out.txt',
  "Please write the text `HELLO` into out.txt.",
  "create a file out.txt with the content HELLO",
  "Create a file named out.txt containing exactly HELLO.",
])("%s means the same", (prompt) => {
  const tools = [fn("write", { path: text, content: text })];
  expect(calls(ask(prompt, { tools }))).toEqual([["write", { path: "out.txt", content: "HELLO" }]]);
});

test("a path becomes absolute where the tool asks for that", () => {
  const tool = fn("Write", { file_path: { type: "string", description: "The absolute path" }, content: text });
  const instructions = "<env>\nWorking directory: /home/me/project\n</env>";
  expect(calls(ask(WRITE, { tools: [tool], instructions }))).toMatchObject([
    ["Write", { file_path: "/home/me/project/out.txt" }],
  ]);
});

test("a sentence that only sounds like it writes no file", () => {
  const tools = [fn("write", { path: text, content: text })];
  expect(calls(ask("Write a poem to my sister", { tools }))).toEqual([]);
});

test("a command is run in the shell, with required flags off", () => {
  const tools = [fn("run_shell_command", { command: text, is_background: { type: "boolean" } })];
  expect(calls(ask("run `ls -la` please", { tools }))).toEqual([
    ["run_shell_command", { command: "ls -la", is_background: false }],
  ]);
});

test("two steps take two rounds, then comes the text", () => {
  const tools = [fn("write", { path: text, content: text }), fn("read", { path: text })];
  const input: object[] = [user(`${WRITE}, then read it back`)];
  const done = (call_id: string, name: string, output: string) => {
    input.push(
      { type: "function_call", call_id, name, arguments: "{}" },
      { type: "function_call_output", call_id, output },
    );
  };
  expect(calls(answer({ input, tools }))).toMatchObject([["write", {}]]);
  done("1", "write", "written");
  expect(calls(answer({ input, tools }))).toEqual([["read", { path: "out.txt" }]]);
  done("2", "read", "HELLO");
  input.push(user("<system-reminder>be brief</system-reminder>"));
  expect(words(answer({ input, tools }))).toContain("HELLO");
});

test("tools of the Lite envelope are called with their namespace", () => {
  const tools = [{ type: "namespace", name: "functions", tools: [fn("exec_command", { cmd: text })] }];
  const input = [{ type: "additional_tools", role: "developer", tools }, user(WRITE)];
  expect(answer({ input })).toMatchObject([{ kind: "function_call", name: "exec_command", namespace: "functions" }]);
});

test("code mode gets JavaScript", () => {
  const tools = [{ type: "custom", name: "exec", description: "Run JavaScript code" }];
  expect(calls(ask(WRITE, { tools }))).toEqual([["exec", expect.stringContaining("await tools.exec_command({ cmd:")]]);
});

test.each<[string, string, JsonObject, unknown[]]>([
  ["a hint", "What is the weather in Rome?", {}, [["get_weather", { city: "Rome" }]]],
  ["a name", 'Call get_time with {"zone":"UTC"}', {}, [["get_time", { zone: "UTC" }]]],
  ["force", "hello", { tool_choice: "required" }, [["get_weather", { city: "example" }]]],
  [
    "a named choice",
    "hi",
    { tool_choice: { type: "function", name: "get_time" } },
    [["get_time", { zone: "example" }]],
  ],
  ["nothing", "say pong", {}, []],
  ["a ban", "call get_weather", { tool_choice: "none" }, []],
  [
    "parallel wishes",
    "Call get_weather and get_time in parallel",
    {},
    [
      ["get_weather", { city: "example" }],
      ["get_time", { zone: "example" }],
    ],
  ],
  [
    "parallel wishes where that is off",
    "Call get_weather and get_time in parallel",
    { parallel_tool_calls: false },
    [["get_weather", { city: "example" }]],
  ],
])("tools are called by %s", (_title, prompt, change, expected) => {
  expect(calls(ask(prompt, { tools: [weather, clock], ...change }))).toEqual(expected);
});

test("structured output fits the schema that was asked for", () => {
  const schema = { type: "object", properties: { n: { type: "integer", minimum: 5 } }, required: ["n"] };
  const outputs = ask("x", { text: { format: { type: "json_schema", name: "a", schema } } });
  expect(JSON.parse(words(outputs))).toEqual({ n: 5 });
});

test("a JSON object has the keys that are named, if any are", () => {
  const format = { text: { format: { type: "json_object" } } };
  const asked = ask("Answer in JSON with 'question' and 'answer' keys", format);
  expect(JSON.parse(words(asked))).toEqual({ question: "example", answer: "example" });
  // Quotes alone name no keys.
  expect(JSON.parse(words(ask("Say 'hello' in JSON", format)))).not.toHaveProperty("hello");
});

test("a call is guessed from the names and numbers of the text, within the tool's bounds", () => {
  const person = { first_name: { type: "string" }, age: { type: "integer", minimum: 0, maximum: 100 } };
  const tools = [fn("save_person", person)];
  expect(calls(ask('Save a person named "Erick", 27 years old', { tools }))).toEqual([
    ["save_person", { first_name: "Erick", age: 27 }],
  ]);
  const [[, tooOld] = []] = calls(ask('Save a person named "Erick", 270 years old', { tools })) as unknown[][];
  expect(tooOld).toEqual({ first_name: "Erick", age: 1 });
});

test("text tells what has arrived", () => {
  const image = { type: "input_image", image_url: "https://x.test/a.png", detail: "auto" };
  const input = [{ type: "message", role: "user", content: [{ type: "input_text", text: "Look" }, image] }];
  const told = words(answer({ model: "gpt-5.5", input, reasoning: { effort: "high" } }));
  expect(told).toContain("1 message, no tools, 1 image for gpt-5.5 at high effort");
  expect(words(ask("Reply with exactly: OK"))).toBe("OK");
});

const facts = { inputTokens: 1, cachedTokens: 0, createdAt: 1, nextId: (prefix: string) => `${prefix}_1` };

test("every event fits the schema of the backend's language", () => {
  const summary = { include: ["reasoning.encrypted_content"], reasoning: { effort: "low", summary: "auto" } };
  const bodies = [
    { input: [user("say pong")], ...summary },
    { input: [user(WRITE)], tools: [fn("write", { path: text, content: text })] },
    { input: [user(WRITE)], tools: [{ type: "custom", name: "apply_patch" }] },
    { input: [user("search the web for Bun")], tools: [{ type: "web_search" }] },
    { input: [user("draw a picture of a fox")], tools: [{ type: "image_generation" }] },
    { input: [user(WRITE)], tools: [{ type: "local_shell" }] },
    { input: [user("x"), { type: "compaction_trigger" }] },
  ];
  const seen = new Set<string>();
  for (const body of bodies) {
    for (const event of replyEvents({ body, outputs: answer(body), ...facts })) {
      expect(CodexEvent.safeParse(event).error?.issues ?? []).toEqual([]);
      seen.add(String(event["type"]));
    }
  }
  expect([...seen]).toContain("response.output_text.annotation.added");
  expect([...seen]).toContain("response.image_generation_call.partial_image");
  expect([...seen]).toContain("response.reasoning_summary_text.done");
});

test("scripted events fit it too", () => {
  for (const fault of Object.values(FAULTS)) {
    const script = fault.script();
    if (script.kind !== "events") continue;
    for (const event of script.events.filter(isObject)) expect(CodexEvent.safeParse(event).success).toBe(true);
  }
});
