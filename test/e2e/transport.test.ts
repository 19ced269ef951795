import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { TestRelayOptions } from "../support/relay.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

const started: DemoRelay[] = [];
afterEach(async () => {
  for (const demo of started.splice(0)) await demo.stop();
});

function start(
  transport: "auto" | "http" | "websocket" = "websocket",
  over: Partial<TestRelayOptions> = {},
): DemoRelay {
  const demo = startDemoRelay({ ...over, upstream: { transport, ...over.upstream } });
  started.push(demo);
  return demo;
}

const model = "gpt-5.5";
const SCHEMA = { type: "object", properties: { path: { type: "string" } } };

/** A client of one dialect: it asks, keeps what was answered as such clients do, and answers tool calls. */
interface Client {
  readonly path: string;
  /** The request for the next turn. */
  body(): JsonObject;
  say(text: string): void;
  /** Takes an answer in; returns how many calls of tools it has. */
  take(reply: JsonObject): number;
  /** Another wording of what the user said first: the history is edited. */
  edit(text: string): void;
}

const list = (value: unknown): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);
const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

const CLIENTS: Readonly<Record<string, () => Client>> = {
  chat() {
    const messages: JsonObject[] = [{ role: "system", content: "Be brief." }];
    const tools = [{ type: "function", function: { name: "read_file", parameters: SCHEMA } }];
    return {
      path: "/v1/chat/completions",
      body: () => ({ model, messages: structuredClone(messages), tools }),
      say: (text) => void messages.push({ role: "user", content: text }),
      edit: (text) => void (messages[1] = { role: "user", content: text }),
      take(reply) {
        const message = object(list(reply["choices"])[0]?.["message"]);
        messages.push(message);
        const calls = list(message["tool_calls"]);
        for (const { id } of calls) messages.push({ role: "tool", tool_call_id: id, content: "done" });
        return calls.length;
      },
    };
  },
  responses() {
    const input: JsonObject[] = [];
    const tools = [{ type: "function", name: "read_file", parameters: SCHEMA, strict: false }];
    return {
      path: "/v1/responses",
      body: () => ({ model, instructions: "Be brief.", input: structuredClone(input), tools, store: false }),
      say: (text) => void input.push({ role: "user", content: text }),
      edit: (text) => void (input[0] = { role: "user", content: text }),
      take(reply) {
        const output = list(reply["output"]);
        input.push(...output);
        const calls = output.filter(({ type }) => type === "function_call");
        for (const call of calls)
          input.push({ type: "function_call_output", call_id: call["call_id"], output: "done" });
        return calls.length;
      },
    };
  },
  messages() {
    const messages: JsonObject[] = [];
    const tools = [{ name: "read_file", input_schema: SCHEMA }];
    return {
      path: "/v1/messages",
      body: () => ({ model, max_tokens: 8192, system: "Be brief.", messages: structuredClone(messages), tools }),
      say: (text) => void messages.push({ role: "user", content: text }),
      edit: (text) => void (messages[0] = { role: "user", content: text }),
      take(reply) {
        const content = list(reply["content"]);
        messages.push({ role: "assistant", content });
        const uses = content.filter(({ type }) => type === "tool_use");
        const results = uses.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "done" }));
        if (results.length > 0) messages.push({ role: "user", content: results });
        return uses.length;
      },
    };
  },
  ollama() {
    const messages: JsonObject[] = [{ role: "system", content: "Be brief." }];
    const tools = [{ type: "function", function: { name: "read_file", parameters: SCHEMA } }];
    return {
      path: "/api/chat",
      body: () => ({ model, stream: false, messages: structuredClone(messages), tools }),
      say: (text) => void messages.push({ role: "user", content: text }),
      edit: (text) => void (messages[1] = { role: "user", content: text }),
      take(reply) {
        const message = object(reply["message"]);
        messages.push(message);
        const calls = list(message["tool_calls"]);
        for (const call of calls) {
          messages.push({ role: "tool", tool_name: object(call["function"])["name"], content: "done" });
        }
        return calls.length;
      },
    };
  },
};

async function post(demo: DemoRelay, path: string, body: JsonObject): Promise<JsonObject> {
  const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01" };
  const response = await fetch(demo.relay.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  const reply: unknown = await response.json();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(reply)}`);
  return object(reply);
}

const answers = (demo: DemoRelay) => demo.backend.requests.filter(({ path }) => path.endsWith("/codex/responses"));

/** What the backend was asked, as one comparable text: runs of the assistant's items in one order, ids left out. */
function meaning(body: unknown): string {
  const { input, ...settings } = object(body);
  const steps: string[] = [];
  let run: { texts: string[]; others: string[] } | undefined;
  const endRun = () => {
    if (run) steps.push(`assistant: ${run.texts.join("\n\n")} | ${run.others.toSorted().join(" ")}`);
    run = undefined;
  };
  const textOf = (content: unknown) =>
    typeof content === "string"
      ? content
      : list(content)
          .map((part) => String(part["text"]))
          .join("");
  for (const item of list(input)) {
    const isAssistants = item["role"] === "assistant" || /^(reasoning|function_call)$/.test(String(item["type"]));
    if (!isAssistants) {
      endRun();
      const { id: _id, status: _status, content, ...rest } = item;
      steps.push(`${JSON.stringify(rest)} ${textOf(content)}`);
      continue;
    }
    run ??= { texts: [], others: [] };
    if (item["role"] === "assistant") run.texts.push(textOf(item["content"]));
    else if (item["type"] === "reasoning") run.others.push(String(item["encrypted_content"]));
    else run.others.push(JSON.stringify([item["call_id"], item["name"], JSON.parse(String(item["arguments"]))]));
  }
  endRun();
  return JSON.stringify([settings, ...steps]);
}

describe.each(Object.entries(CLIENTS))("over a WebSocket, %s", (_dialect, makeClient) => {
  test("sends the turns of a tool loop as their new items alone", async () => {
    const demo = start();
    const client = makeClient();
    client.say("call read_file");
    expect(client.take(await post(demo, client.path, client.body()))).toBe(1);
    expect(client.take(await post(demo, client.path, client.body()))).toBe(0);
    const [first, second] = answers(demo).map(({ frame }) => object(frame));
    expect([first?.["previous_response_id"], list(first?.["input"]).length > 0]).toEqual([undefined, true]);
    expect(second?.["previous_response_id"]).toStartWith("resp_");
    expect(list(second?.["input"]).map(({ type }) => type)).toEqual(["function_call_output"]);
    expect(demo.backend.refusals).toEqual([]);
  });

  test("is understood as HTTP would have said it, whatever becomes of the conversation", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("call read_file", "say one", "think hard and say two") },
      { weight: 1, arbitrary: fc.constantFrom("EDIT", "AGAIN", "CUT") },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const demo = start();
        const client = makeClient();
        const asked: JsonObject[] = [];
        const ask = async () => {
          const body = client.body();
          asked.push(body);
          return client.take(await post(demo, client.path, body));
        };
        client.say("say hello");
        await ask();
        for (const what of steps) {
          if (what === "EDIT") client.edit(`say hello ${asked.length}`);
          else if (what === "CUT") demo.backend.cutSockets();
          else if (what !== "AGAIN") client.say(what);
          if (what === "AGAIN")
            await post(demo, client.path, asked.at(-1) ?? {}).then(() => asked.push(asked.at(-1) ?? {}));
          else if (what !== "CUT") for (let calls = await ask(); calls > 0;) calls = await ask();
        }
        const understood = answers(demo).map(({ body }) => meaning(body));
        demo.relay.upstream.reconfigure({ ...OPTIONS, transport: "http" });
        for (const body of asked) await post(demo, client.path, body);
        const overHttp = answers(demo)
          .slice(understood.length)
          .map(({ body, frame }) => {
            expect(frame).toBeUndefined();
            return meaning(body);
          });
        expect(understood).toEqual(overHttp);
        expect(demo.backend.refusals).toEqual([]);
        await demo.stop();
        started.splice(started.indexOf(demo), 1);
      }),
      { numRuns: Number(process.env["LAW_RUNS"] ?? 8) },
    );
  }, 60_000);
});

const OPTIONS = {
  lite: { default: "auto", models: {} },
  firstByteTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
  models: undefined,
} as const;

test("auto begins over HTTP, and opens a socket with the second turn", async () => {
  const demo = start("auto");
  const client = CLIENTS["responses"]?.();
  if (!client) throw new Error("no client");
  client.say("call read_file");
  client.take(await post(demo, client.path, client.body()));
  client.take(await post(demo, client.path, client.body()));
  client.say("call read_file");
  client.take(await post(demo, client.path, client.body()));
  client.take(await post(demo, client.path, client.body()));
  const ways = answers(demo).map(({ frame }) =>
    frame === undefined ? "http" : object(frame)["previous_response_id"] ? "rest" : "whole",
  );
  expect(ways).toEqual(["http", "whole", "rest", "rest"]);
});

test("a backend without sockets is asked over HTTP, and nobody notices", async () => {
  const demo = startDemoRelay({ upstream: { transport: "websocket" } }, { sockets: false });
  started.push(demo);
  const body = { model, messages: [{ role: "user", content: "say pong" }] };
  for (let turn = 0; turn < 3; turn += 1)
    expect(JSON.stringify(await post(demo, "/v1/chat/completions", body))).toContain("pong");
  expect(answers(demo).every(({ frame }) => frame === undefined)).toBe(true);
});

test("a socket that has lost its history has the whole conversation sent again", async () => {
  const demo = start();
  const client = CLIENTS["chat"]?.();
  if (!client) throw new Error("no client");
  client.say("call read_file");
  client.take(await post(demo, client.path, client.body()));
  demo.backend.forgetResponses();
  client.take(await post(demo, client.path, client.body()));
  expect(answers(demo).map(({ frame }) => object(frame)["previous_response_id"] !== undefined)).toEqual([false, false]);
});

test("what a socket's frames tell of the plan is in headers and metrics", async () => {
  const demo = start();
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "say pong" }] });
  const reply = await fetch(`${demo.v1}/chat/completions`, { method: "POST", body });
  expect(reply.headers.get("x-codex-primary-used-percent")).toBe("12");
  expect(reply.headers.get("x-ratelimit-remaining-requests")).toBe("88");
  await reply.text();
  expect(await (await fetch(`${demo.relay.url}/metrics`)).text()).toContain("plansocket_plan_used_ratio");
});
