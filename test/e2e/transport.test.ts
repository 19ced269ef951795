import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { JsonObject } from "../../src/lib/json.ts";
import type { TestRelayOptions } from "../support/relay.ts";
import { DIALECT_CLIENTS, list, model, object, post } from "../support/dialect-clients.ts";
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

describe.each(Object.entries(DIALECT_CLIENTS))("over a WebSocket, %s", (_dialect, makeClient) => {
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
  const client = DIALECT_CLIENTS["responses"]?.();
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

test("a socket that is opened within a turn brings the turn's state in its handshake", async () => {
  const demo = start("auto");
  const client = DIALECT_CLIENTS["chat"]?.();
  if (!client) throw new Error("no client");
  client.say("call read_file");
  client.take(await post(demo, client.path, client.body()));
  client.take(await post(demo, client.path, client.body()));
  const [overHttp, onSocket] = answers(demo);
  expect(overHttp?.headers["x-codex-turn-state"]).toBeUndefined();
  expect(onSocket?.frame).toBeDefined();
  expect(onSocket?.headers["x-codex-turn-state"]).toStartWith("turn-");
  expect(demo.backend.refusals).toEqual([]);
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
  const client = DIALECT_CLIENTS["chat"]?.();
  if (!client) throw new Error("no client");
  client.say("call read_file");
  client.take(await post(demo, client.path, client.body()));
  demo.backend.forgetResponses();
  client.take(await post(demo, client.path, client.body()));
  expect(answers(demo).map(({ frame }) => object(frame)["previous_response_id"] !== undefined)).toEqual([false, false]);
});

test("an answer that the backend still counts as under way after its end keeps nobody off", async () => {
  const demo = startDemoRelay({ upstream: { transport: "websocket" } }, { paceMs: 10 });
  started.push(demo);
  const client = DIALECT_CLIENTS["chat"]?.();
  if (!client) throw new Error("no client");
  for (let turn = 0; turn < 3; turn += 1) {
    client.say("hello");
    client.take(await post(demo, client.path, client.body()));
  }
  expect(answers(demo)).toHaveLength(3);
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
