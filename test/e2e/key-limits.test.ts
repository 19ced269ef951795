import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { completed, created, delta, fakeCodex, sse, type FakeCodex } from "../support/fake-codex.ts";
import { bearer, TestKeys } from "../support/keys.ts";
import { eventually, fixedCredentials, post, startTestRelay, type TestRelay } from "../support/relay.ts";
import { startStandIn } from "../stand-in/backend.ts";

const model = "gpt-5.5";
const messages = [{ role: "user", content: "hi" }];

let keys: TestKeys;
let stop: (() => Promise<unknown>)[];
beforeEach(() => {
  keys = new TestKeys();
  stop = [];
});
afterEach(async () => {
  for (const end of stop) await end();
  keys.remove();
});

function demoRelay(): DemoRelay {
  const demo = startDemoRelay(keys.forRelay);
  stop.push(() => demo.stop());
  return demo;
}

/** How each dialect says no. */
const DIALECTS: readonly [
  path: string,
  body: object,
  error: (code: string, message: string, type: string) => object,
][] = [
  ["/v1/chat/completions", { messages }, (code, message, type) => ({ error: { code, message, type } })],
  ["/v1/completions", { prompt: "hi" }, (code, message, type) => ({ error: { code, message, type } })],
  ["/v1/responses", { input: "hi" }, (code, message, type) => ({ error: { code, message, type } })],
  ["/v1/messages", { messages, max_tokens: 9 }, (_, message, type) => ({ type: "error", error: { type, message } })],
  ["/api/chat", { messages }, (_, message) => ({ error: message })],
];

describe("a key for some models", () => {
  test.each(DIALECTS)("refuses others on %s and names its own", async (path, body, error) => {
    const demo = demoRelay();
    const key = await keys.add("ci", { models: [model, "gpt-6-sol-high"] });
    const reply = await post(`${demo.relay.url}${path}`, { ...body, model: "gpt-5.6-sol" }, bearer(key));
    expect(reply.status).toBe(403);
    const said = "The key 'ci' may not use the model 'gpt-5.6-sol'. It may use gpt-5.5, gpt-6-sol.";
    expect(await reply.json()).toMatchObject(error("model_not_allowed", said, "permission_error"));
    for (const name of [model, "gpt-5.5-high", "openai/gpt-5.5:latest"]) {
      expect((await post(`${demo.relay.url}${path}`, { ...body, model: name }, bearer(key))).status).toBe(200);
    }
    expect(demo.backend.refusals).toEqual([]);
  });

  test("sees no others in any list", async () => {
    const demo = demoRelay();
    const key = await keys.add("ci", { models: [model] });
    const get = async (path: string, headers = {}) =>
      (await fetch(`${demo.relay.url}${path}`, { headers: { ...bearer(key), ...headers } })).json() as Promise<never>;
    const openai = new OpenAI({ baseURL: demo.v1, apiKey: key });
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual([model]);
    const { data } = (await get("/v1/models", { "anthropic-version": "2023-06-01" })) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual([model]);
    const { models } = (await get("/api/tags")) as { models: { model: string }[] };
    expect(models.map((entry) => entry.model.replace(":latest", ""))).toEqual([model]);
    const raw = (await get("/v1/models?client_version=0.169.0")) as { models: { slug: string }[] };
    expect(raw.models.map(({ slug }) => slug)).toEqual([model]);
    expect(await get("/v1/models/gpt-5.6-sol")).toMatchObject({ error: { code: "model_not_allowed" } });
    expect(await get(`/v1/models/${model}`)).toMatchObject({ id: model });
  });

  test("means one of them by a Claude name", async () => {
    const demo = demoRelay();
    const key = await keys.add("ci", { models: [model] });
    const body = { model: "claude-opus-4-6", max_tokens: 9, messages };
    const reply = await post(`${demo.v1}/messages`, body, bearer(key));
    expect([reply.status, reply.headers.get("x-plansocket-model")]).toEqual([200, model]);
  });

  test("and an API-key login", async () => {
    const backend = startStandIn();
    const relay = startTestRelay({
      ...keys.forRelay,
      baseUrl: backend.baseUrl,
      upstream: { openaiBaseUrl: backend.openaiBaseUrl },
      credentials: fixedCredentials({ kind: "api-key", accessToken: backend.issueApiKey() }),
    });
    stop.push(
      () => relay.stop(),
      () => backend.stop(),
    );
    const key = await keys.add("ci", { models: [model], tokensPerDay: 1 });
    const ask = (path: string, body: object) => post(`${relay.url}${path}`, body, bearer(key));
    expect((await ask("/v1/chat/completions", { model: "gpt-5.6-sol", messages })).status).toBe(403);
    expect((await ask("/v1/embeddings", { input: "hi" })).status).toBe(403);
    const list = await fetch(`${relay.url}/v1/models`, { headers: bearer(key) });
    expect(await list.json()).toMatchObject({ object: "list", data: [{ id: model }] });
    const reply = await ask("/v1/chat/completions", { model, messages });
    expect(reply.status).toBe(200);
    await reply.text();
    expect((await ask("/v1/chat/completions", { model, messages })).status).toBe(429);
  });
});

describe("a key that has used its tokens of the day", () => {
  test.each(DIALECTS)("gets a 429 on %s with the time it lifts", async (path, body, error) => {
    const demo = demoRelay();
    const key = await keys.add("ci", { tokensPerDay: 1 });
    const ask = () => post(`${demo.relay.url}${path}`, { ...body, model }, bearer(key));
    const first = await ask();
    expect(first.status).toBe(200);
    await first.text();
    const reply = await ask();
    expect(reply.status).toBe(429);
    const midnight = new Date().setHours(24, 0, 0, 0);
    const waitS = Number(reply.headers.get("retry-after"));
    expect(Math.abs(waitS - (midnight - Date.now()) / 1000)).toBeLessThan(5);
    const lifts = `lifts at ${new Date(midnight).toISOString()}`;
    const refusal = error("key_limit_reached", "", "rate_limit_error");
    const said = (await reply.json()) as { error: { message: string } | string };
    const text = typeof said.error === "string" ? said.error : said.error.message;
    expect(text).toContain(lifts);
    expect(text).toMatch(/The key 'ci' has used [\d,]+ of its 1 tokens a day\./);
    expect(said).toMatchObject(JSON.parse(JSON.stringify(refusal).replace('""', JSON.stringify(text))));
  });

  test("is told so on a socket too, which stays open", async () => {
    const demo = demoRelay();
    const key = await keys.add("ci", { tokensPerDay: 1 });
    const socket = new WebSocket(`${demo.v1.replace("http", "ws")}/responses`, {
      headers: bearer(key),
    } as unknown as string[]);
    const said: { type: string; status?: number; error?: { code: string }; headers?: object }[] = [];
    socket.addEventListener("message", ({ data }) => said.push(JSON.parse(String(data)) as (typeof said)[number]));
    const opened = Promise.withResolvers<void>();
    socket.addEventListener("open", () => opened.resolve());
    await opened.promise;
    const ask = () => socket.send(JSON.stringify({ type: "response.create", model, input: "hi" }));
    ask();
    await eventually(() => said.some(({ type }) => type === "response.completed"));
    await eventually(() => demo.relay.activeRequests() === 0);
    ask();
    await eventually(() => said.at(-1)?.type === "error");
    expect(said.at(-1)).toMatchObject({
      status: 429,
      error: { code: "key_limit_reached" },
      headers: { "retry-after": expect.stringMatching(/^\d+$/) },
    });
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.close();
  });

  test("is seen by a Codex client as its own limit", async () => {
    const demo = demoRelay();
    const key = await keys.add("ci", { tokensPerDay: 1 });
    const headers = {
      ...bearer(key),
      originator: "codex_exec",
      "user-agent": "codex_exec/0.169.0",
      version: "0.169.0",
    };
    (
      await keys.budgets.reserve({ id: keys.ring.find(await digestOf(key))?.id ?? "", name: "ci", limits: {} }, NONE)
    ).settle({ input: 5, cached: 0, output: 5 }, undefined);
    const reply = await post(`${demo.v1}/responses`, { model, input: [], stream: true, store: false }, headers);
    expect(reply.status).toBe(429);
    expect(await reply.json()).toMatchObject({ error: { type: "usage_limit_reached", resets_at: expect.any(Number) } });
  });
});

const NONE = { inputTokens: 0, plan: undefined };
const digestOf = async (text: string) => (await import("../../src/keys/key.ts")).keyDigest(text);

describe("100 requests that come together", () => {
  /** A backend that answers nobody before it may, with 600 tokens each. */
  function slowBackend() {
    const go = Promise.withResolvers<void>();
    const usage = { input_tokens: 500, output_tokens: 100, total_tokens: 600 };
    const done = { ...completed, response: { ...completed.response, usage } };
    const backend: FakeCodex = fakeCodex(async () => {
      await go.promise;
      return sse([created, delta("Hello"), done]);
    });
    const relay = startTestRelay({ baseUrl: backend.baseUrl, ...keys.forRelay });
    stop.push(
      () => relay.stop(),
      () => backend.stop(),
    );
    return { relay, backend, go: go.resolve };
  }

  test.each([
    ["requests at once", { requestsAtOnce: 3 }, 3],
    // A greeting, and 1,000 tokens for an answer nobody knows yet: 20 of them fit.
    ["tokens a day", { tokensPerDay: 20_000 }, 20],
  ])("pass a limit of %s by nothing", async (_, limits, most) => {
    const { relay, backend, go } = slowBackend();
    const key = await keys.add("ci", limits);
    const statuses: number[] = [];
    const all = Array.from({ length: 100 }, async (__, index) => {
      const [path, body] = DIALECTS[index % DIALECTS.length] ?? ["", {}];
      const reply = await post(`${relay.url}${path}`, { ...body, model }, bearer(key));
      statuses.push(reply.status);
      await reply.text();
    });
    await eventually(() => statuses.length >= 100 - most, 5000);
    expect(statuses.every((status) => status === 429)).toBe(true);
    expect(backend.bodies.length).toBeLessThanOrEqual(most);
    expect(backend.bodies.length).toBeGreaterThanOrEqual(most - 1);
    go();
    await Promise.all(all);
    expect(statuses.filter((status) => status === 200)).toHaveLength(backend.bodies.length);
    // Whatever was held is free again.
    const again = await post(`${relay.url}/v1/chat/completions`, { model, messages }, bearer(key));
    expect(again.status).toBe(200);
  });

  /** What asks once and leaves when it is told to; over when it has. */
  type Leaver = (relay: TestRelay, key: string, leave: AbortSignal) => Promise<unknown>;
  const byHttp =
    (path: string, body: object): Leaver =>
    (relay, key, leave) =>
      post(`${relay.url}${path}`, { ...body, model }, bearer(key), leave).catch(() => undefined);
  const bySocket: Leaver = async (relay, key, leave) => {
    const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/responses`, {
      headers: bearer(key),
    } as unknown as string[]);
    const closed = Promise.withResolvers<void>();
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "response.create", model, input: "hi" })));
    socket.addEventListener("close", () => closed.resolve());
    leave.addEventListener("abort", () => socket.close());
    await closed.promise;
  };

  test.each<[string, Leaver]>([
    ...DIALECTS.map(([path, body]): [string, Leaver] => [path, byHttp(path, body)]),
    ["/v1/chat/completions, streamed", byHttp("/v1/chat/completions", { messages, stream: true })],
    ["a WebSocket", bySocket],
  ])("give their room back as soon as their clients have left (%s)", async (_, asks) => {
    const { relay, backend, go } = slowBackend();
    const key = await keys.add("ci", { requestsAtOnce: 5 });
    const leave = new AbortController();
    const asked = Array.from({ length: 5 }, () => asks(relay, key, leave.signal));
    await eventually(() => backend.bodies.length === 5);
    leave.abort();
    await Promise.all(asked);
    await eventually(() => relay.activeRequests() === 0);
    go();
    expect((await post(`${relay.url}/v1/responses`, { model, input: "hi" }, bearer(key))).status).toBe(200);
  });
});

test("a share of the plan's window ends with the window", async () => {
  let used = 40;
  const resetsAtS = Math.floor(Date.now() / 1000) + 3600;
  const backend = fakeCodex(() =>
    sse([created, delta("Hello"), completed], {
      "x-codex-primary-used-percent": String(used),
      "x-codex-primary-window-minutes": "300",
      "x-codex-primary-reset-at": String(resetsAtS),
    }),
  );
  const relay = startTestRelay({ baseUrl: backend.baseUrl, ...keys.forRelay });
  stop.push(
    () => relay.stop(),
    () => backend.stop(),
  );
  const key = await keys.add("ci", { shareOfWindowPercent: 2 });
  const ask = async () => {
    const reply = await post(`${relay.url}/v1/chat/completions`, { model, messages }, bearer(key));
    await keys.budgets.close();
    return reply;
  };
  expect((await ask()).status).toBe(200);
  used = 43;
  expect((await ask()).status).toBe(200);
  const refused = await ask();
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(3500);
  expect(await refused.json()).toMatchObject({
    error: { message: expect.stringContaining(new Date(resetsAtS * 1000).toISOString()) },
  });
});
