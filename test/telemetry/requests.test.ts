import { afterEach, describe, expect, test } from "bun:test";
import { keepLines } from "../support/log-lines.ts";
import { completed, created, delta, failed, fakeCodex, refuses, sse, sseThenSilence } from "../support/fake-codex.ts";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp-receiver.ts";
import { bearer, TestKeys } from "../support/keys.ts";
import {
  chatBody,
  eventually,
  fixedCredentials,
  post,
  startTestRelay,
  type TestRelayOptions,
} from "../support/relay.ts";
import { openTelemetry } from "../../src/telemetry/index.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";

type Answers = Parameters<typeof fakeCodex>;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop();
});

interface Over {
  readonly env?: Record<string, string>;
  readonly relay?: Partial<TestRelayOptions>;
}

async function setUp(answers: Answers, { env = {}, relay: over = {} }: Over = {}) {
  const receiver = new OtlpReceiver();
  const codex = fakeCodex(...answers);
  const log = keepLines();
  const asked = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", ...env };
  const telemetry = (await openTelemetry(asked, { fetch, log })) as Telemetry;
  const relay = startTestRelay({ baseUrl: codex.baseUrl, telemetry, ...over });
  open.push(receiver, codex, relay);
  /** All that was sent, once every request has ended. */
  const sent = async () => {
    await eventually(() => relay.activeRequests() === 0);
    await telemetry.close();
    const servers = receiver.spans.filter(({ kind }) => kind === "server");
    const clients = receiver.spans.filter(({ kind }) => kind === "client");
    return { receiver, servers, clients, server: servers[0] as ReceivedSpan, client: clients[0] as ReceivedSpan };
  };
  return { codex, relay, receiver, sent };
}

const USAGE = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 64 },
  output_tokens: 7,
  output_tokens_details: { reasoning_tokens: 3 },
};
const SECRET_ANSWER = "the-answer-that-nobody-may-see";
const SECRET_PROMPT = "the-prompt-that-nobody-may-see";
const SECRET_TOKEN = "the-token-that-nobody-may-see";
const SECRET_KEY = "the-key-that-nobody-may-see";
const answer = () =>
  sse([created, delta(SECRET_ANSWER), { ...completed, response: { ...completed.response, usage: USAGE } }]);
const messages = [{ role: "user", content: SECRET_PROMPT }];
const model = "gpt-5.5";

const DIALECTS: readonly [path: string, body: object, operation: string][] = [
  ["/v1/chat/completions", { model, messages }, "chat"],
  ["/v1/responses", { model, input: SECRET_PROMPT }, "chat"],
  ["/v1/completions", { model, prompt: SECRET_PROMPT }, "text_completion"],
  ["/v1/messages", { model, messages, max_tokens: 1000 }, "chat"],
  ["/api/chat", { model, messages }, "chat"],
  ["/api/generate", { model, prompt: SECRET_PROMPT }, "text_completion"],
];
const CASES = DIALECTS.flatMap(([path, body, operation]) =>
  [true, false].map((stream) => ({ path, body: { ...body, stream }, operation, stream })),
);

describe("each dialect", () => {
  test.each(CASES)("$path, streamed: $stream", async ({ path, body, operation, stream }) => {
    const { relay, sent } = await setUp([answer], {
      relay: {
        relay: { apiKey: SECRET_KEY },
        credentials: fixedCredentials({
          accessToken: SECRET_TOKEN,
          email: "owner@nobody-may-see",
          accountId: "account-that-nobody-may-see",
        }),
      },
    });
    const reply = await post(`${relay.url}${path}`, body, { authorization: `Bearer ${SECRET_KEY}` });
    const text = await reply.text();
    expect(text).toContain(SECRET_ANSWER);
    const { receiver, servers, clients, server, client } = await sent();
    expect([servers.length, clients.length]).toEqual([1, 1]);
    expect(server).toMatchObject({ name: `POST ${path}`, parentSpanId: "", isError: false });
    expect(server.attributes).toMatchObject({
      "http.request.method": "POST",
      "http.route": path,
      "url.path": path,
      "url.scheme": "http",
      "http.response.status_code": 200,
      "gen_ai.request.model": model,
      "gen_ai.request.stream": stream,
      "plansocket.key": "owner",
      "plansocket.request.id": reply.headers.get("x-request-id"),
    });
    expect(client).toMatchObject({
      name: `${operation} ${model}`,
      traceId: server.traceId,
      parentSpanId: server.spanId,
      isError: false,
    });
    expect(client.attributes).toMatchObject({
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": model,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 100,
      "gen_ai.usage.output_tokens": 7,
      "gen_ai.usage.cache_read.input_tokens": 64,
      "gen_ai.usage.reasoning.output_tokens": 3,
      "gen_ai.response.time_to_first_chunk": expect.any(Number),
      "server.address": "127.0.0.1",
      "server.port": expect.any(Number),
    });
    const labels = {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": model,
    };
    for (const name of [
      "gen_ai.client.operation.duration",
      "gen_ai.client.operation.time_to_first_chunk",
      "gen_ai.server.request.duration",
      "gen_ai.server.time_to_first_token",
    ]) {
      expect(receiver.points(name)).toEqual([
        expect.objectContaining({ count: 1, attributes: expect.objectContaining(labels) }),
      ]);
    }
    const tokens = receiver.points("gen_ai.client.token.usage");
    expect(tokens.map(({ attributes, sum }) => [attributes["gen_ai.token.type"], sum])).toEqual([
      ["input", 100],
      ["output", 7],
    ]);
    const everything = receiver.posts.map(({ bytes }) => new TextDecoder().decode(bytes)).join("");
    expect(everything).not.toContain("nobody-may-see");
  });
});

test("requests over one socket are traces of their own, and its handshake is none", async () => {
  const { relay, sent } = await setUp([answer]);
  const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/responses`);
  const ended = Promise.withResolvers<void>();
  let turns = 0;
  socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "response.create", model, input: "one" })));
  socket.addEventListener("message", ({ data }) => {
    if (!String(data).includes("response.completed")) return;
    turns += 1;
    if (turns === 2) return ended.resolve();
    socket.send(JSON.stringify({ type: "response.create", model, input: "two" }));
  });
  await ended.promise;
  socket.close();
  const { servers, clients } = await sent();
  expect(servers.map(({ name }) => name)).toEqual(["WS /v1/responses", "WS /v1/responses"]);
  expect(servers.map(({ attributes }) => attributes["network.protocol.name"])).toEqual(["websocket", "websocket"]);
  expect(new Set(servers.map(({ traceId }) => traceId)).size).toBe(2);
  expect(clients.map(({ parentSpanId }) => parentSpanId).toSorted()).toEqual(
    servers.map(({ spanId }) => spanId).toSorted(),
  );
});

test("a Codex client's frame brings its own trace, in place of the handshake's", async () => {
  const { relay, sent } = await setUp([answer]);
  const traced = (digit: string) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`;
  const headers = { originator: "codex_cli_rs", traceparent: traced("1") };
  const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/responses`, { headers } as unknown as string[]);
  const ended = Promise.withResolvers<void>();
  const frame = { type: "response.create", model, input: [{ type: "message", role: "user", content: "hi" }] };
  const own = { ws_request_header_traceparent: traced("2") };
  const frames = [{ ...frame, client_metadata: own }, frame];
  const next = () => socket.send(JSON.stringify(frames.shift()));
  socket.addEventListener("open", next);
  socket.addEventListener("message", ({ data }) => {
    if (!String(data).includes("response.completed")) return;
    if (frames.length > 0) next();
    else ended.resolve();
  });
  await ended.promise;
  socket.close();
  const { servers } = await sent();
  expect(servers.map(({ traceId }) => traceId)).toEqual(["2".repeat(32), "1".repeat(32)]);
});

describe("failures", () => {
  test("a full plan is the client's 429 and the call's error", async () => {
    const { relay, sent } = await setUp([refuses(429, { error: { type: "usage_limit_reached", message: "full" } })]);
    await (await post(`${relay.url}/v1/chat/completions`, chatBody())).text();
    const { server, client, receiver } = await sent();
    expect([server.isError, client.isError]).toEqual([false, true]);
    expect(server.attributes["http.response.status_code"]).toBe(429);
    expect(server.attributes["error.type"]).toBe(client.attributes["error.type"]);
    const [http] = receiver.points("http.server.request.duration");
    expect(http?.attributes).toMatchObject({
      "http.response.status_code": 429,
      "error.type": client.attributes["error.type"],
    });
    const [operation] = receiver.points("gen_ai.client.operation.duration");
    expect(operation?.attributes["error.type"]).toBe(client.attributes["error.type"]);
    expect(receiver.points("gen_ai.client.token.usage")).toEqual([]);
  });

  test("a stream that breaks is an error of both, under a good status", async () => {
    const { relay, sent } = await setUp([() => sse([created, delta("Hel"), failed("server_error", "broke")])]);
    await (await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }))).text();
    const { server, client } = await sent();
    expect([server.isError, client.isError]).toEqual([true, true]);
    expect(server.attributes).toMatchObject({
      "http.response.status_code": 200,
      "error.type": client.attributes["error.type"],
    });
  });

  test("an attempt that is repeated is an event of one call", async () => {
    const { relay, sent } = await setUp([refuses(503, {}), answer]);
    await (await post(`${relay.url}/v1/chat/completions`, chatBody())).text();
    const { clients, client } = await sent();
    expect([clients.length, client.isError]).toEqual([1, false]);
    expect(client.events).toEqual([{ name: "retry", attributes: { "error.type": expect.any(String) } }]);
  });

  test("what the relay refuses itself asks no backend", async () => {
    const { relay, sent, codex } = await setUp([answer]);
    await post(`${relay.url}/v1/chat/completions`, "{");
    await fetch(`${relay.url}/v1/no-such-thing-${"x".repeat(500)}`);
    const { servers, clients, receiver } = await sent();
    expect([codex.bodies.length, clients.length]).toEqual([0, 0]);
    expect(servers.map(({ name }) => name)).toEqual(["POST /v1/chat/completions", "GET"]);
    expect(servers.map(({ attributes }) => attributes["http.response.status_code"])).toEqual([400, 404]);
    expect(String(servers[1]?.attributes["url.path"]).length).toBeLessThanOrEqual(200);
    expect(receiver.points("gen_ai.client.operation.duration")).toEqual([]);
  });

  test("a client that leaves is named as the reason, and nobody's error", async () => {
    const { relay, sent, codex } = await setUp([() => sseThenSilence([created, delta("Hel")])]);
    const leaving = new AbortController();
    const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }), {}, leaving.signal);
    await reply.body?.getReader().read();
    leaving.abort();
    await eventually(() => codex.aborted() === 1);
    const { server, client } = await sent();
    expect([server.isError, client.isError]).toEqual([false, false]);
    expect(server.attributes).toMatchObject({ "error.type": "client_closed", "plansocket.client_left": true });
    expect(client.attributes["error.type"]).toBe("client_closed");
  });

  test("models and codes that clients or backends make up do not multiply the series", async () => {
    const codes = Array.from(
      { length: 70 },
      (_, index) => () =>
        refuses(400, { error: { code: `made_up_${index}`, message: "no" } })({}, new Request("http://h")),
    );
    const { relay, sent } = await setUp(codes);
    for (let index = 0; index < 70; index += 1) {
      await (await post(`${relay.url}/v1/responses`, { model: `made-up-${index}`, input: "hi" })).text();
    }
    const { receiver } = await sent();
    const points = receiver.points("gen_ai.server.request.duration");
    expect(new Set(points.map(({ attributes }) => attributes["gen_ai.request.model"]))).toEqual(new Set(["other"]));
    expect(points.length).toBeLessThanOrEqual(65);
  });
});

test("past a full plan each backend's call is a span of its own", async () => {
  const full = refuses(429, { error: { type: "usage_limit_reached", message: "full", resets_in_seconds: 60 } });
  const fallback = { kind: "model", model: "gpt-6-sol" } as const;
  const { relay, sent } = await setUp([full, answer], { relay: { upstream: { fallback } } });
  expect((await post(`${relay.url}/v1/chat/completions`, chatBody())).status).toBe(200);
  const { server, clients } = await sent();
  expect(clients.map(({ name, isError }) => [name, isError])).toEqual([
    ["chat gpt-5.5", true],
    ["chat gpt-6-sol", false],
  ]);
  expect(server.attributes["plansocket.fallback"]).toBe("gpt-6-sol");
});

test("an API-key login is a call to the public API, whose model nobody has read", async () => {
  const publicApi = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ usage: null }) });
  open.push({ stop: () => publicApi.stop(true) });
  const { relay, sent } = await setUp([answer], {
    relay: {
      credentials: fixedCredentials({ kind: "api-key" }),
      upstream: { openaiBaseUrl: `http://127.0.0.1:${publicApi.port}/v1` },
    },
  });
  await (await post(`${relay.url}/v1/chat/completions`, chatBody())).text();
  const { client } = await sent();
  expect(client).toMatchObject({ name: "chat", isError: false });
  expect(client.attributes).toMatchObject({ "server.address": "127.0.0.1", "server.port": publicApi.port });
});

test("the plan's windows are told as they are known", async () => {
  const plan = { "x-codex-primary-used-percent": "12.5", "x-codex-primary-window-minutes": "300" };
  const { relay, sent } = await setUp([() => sse([created, delta("Hi"), completed], plan)]);
  await (await post(`${relay.url}/v1/chat/completions`, chatBody())).text();
  const { receiver } = await sent();
  expect(receiver.gauge("plansocket.plan.used")).toEqual([
    { attributes: { "plansocket.plan.meter": "codex", "plansocket.plan.window": "primary" }, value: 0.125 },
  ]);
});

test("keys are told by name", async () => {
  const keys = new TestKeys();
  open.push({ stop: async () => keys.remove() });
  const key = await keys.add("laptop");
  const { relay, sent } = await setUp([answer], { relay: keys.forRelay });
  await (await post(`${relay.url}/v1/chat/completions`, chatBody(), bearer(key))).text();
  const { server, receiver } = await sent();
  expect(server.attributes["plansocket.key"]).toBe("laptop");
  expect(receiver.posts.map(({ bytes }) => new TextDecoder().decode(bytes)).join("")).not.toContain(key);
});

test("health checks, scrapes and preflights are no traces", async () => {
  const { relay, sent } = await setUp([answer]);
  for (const path of ["/health", "/ready", "/metrics", "/"]) await (await fetch(`${relay.url}${path}`)).text();
  await fetch(`${relay.url}/v1/chat/completions`, { method: "OPTIONS" });
  const { receiver } = await sent();
  expect(receiver.posts).toEqual([]);
});

describe("W3C trace context", () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const parent = (flags: string) => ({ traceparent: `00-${traceId}-00f067aa0ba902b7-${flags}` });
  const ask = async (headers: Record<string, string>, env: Record<string, string> = {}) => {
    const { relay, sent, codex } = await setUp([answer], { env });
    await (await post(`${relay.url}/v1/chat/completions`, chatBody(), headers)).text();
    return { ...(await sent()), passedOn: codex.headers[0] };
  };

  test("a client's trace is gone on with, and so is its state towards a gateway", async () => {
    const { server, client, passedOn } = await ask({ ...parent("01"), tracestate: "vendor=1" });
    expect(server).toMatchObject({ traceId, parentSpanId: "00f067aa0ba902b7" });
    expect(client.traceId).toBe(traceId);
    expect(passedOn?.get("traceparent")).toBe(`00-${traceId}-${client.spanId}-01`);
    expect(passedOn?.get("tracestate")).toBe("vendor=1");
  });

  test("a trace that its client does not sample is not sent, but counted", async () => {
    const { servers, receiver, passedOn } = await ask(parent("00"));
    expect(servers).toEqual([]);
    expect(passedOn?.get("traceparent")).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
    expect(receiver.points("gen_ai.client.operation.duration")).toHaveLength(1);
  });

  test.each([
    "nonsense",
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `ff-${traceId}-00f067aa0ba902b7-01`,
    `00-${traceId.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${traceId}-00f067aa0ba902b7-01-more`,
  ])("'%s' is none", async (traceparent) => {
    const { server } = await ask({ traceparent });
    expect(server.parentSpanId).toBe("");
    expect(server.traceId).not.toBe(traceId);
  });

  test("without the propagator it is neither taken nor passed on", async () => {
    const { server, passedOn } = await ask(parent("01"), { OTEL_PROPAGATORS: "b3" });
    expect(server).toMatchObject({ parentSpanId: "" });
    expect(passedOn?.has("traceparent")).toBe(false);
  });

  test("a sampler of the owner's may leave all out", async () => {
    const { servers, receiver } = await ask({}, { OTEL_TRACES_SAMPLER: "always_off" });
    expect(servers).toEqual([]);
    expect(receiver.points("gen_ai.client.operation.duration")).toHaveLength(1);
  });
});

test("without telemetry a client's trace context goes nowhere", async () => {
  const codex = fakeCodex(answer);
  const relay = startTestRelay({ baseUrl: codex.baseUrl });
  open.push(codex, relay);
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  await (await post(`${relay.url}/v1/chat/completions`, chatBody(), { traceparent })).text();
  expect(codex.headers[0]?.has("traceparent")).toBe(false);
});
