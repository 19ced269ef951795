import { describe, expect, test } from "bun:test";
import type { Credentials } from "../../src/auth/credentials.ts";
import { created, failed, fakeCodex, refuses, says, sse } from "../support/fake-codex.ts";
import { createEgress } from "../../src/upstream/egress.ts";
import { chatBody, fixedCredentials, post, startTestRelay } from "../support/relay.ts";

async function ask(baseUrl: string, body: object = chatBody(), over: object = {}) {
  await using relay = startTestRelay({ baseUrl, ...over });
  const reply = await post(`${relay.url}/v1/chat/completions`, body);
  return {
    status: reply.status,
    headers: reply.headers,
    json: (await reply.json()) as { choices?: { message: { content: string } }[] },
  };
}

describe("before the first output", () => {
  test.each([
    ["500", refuses(500, {})],
    ["502", refuses(502, "<html>bad gateway")],
    ["503 overloaded", refuses(503, { error: { code: "server_is_overloaded", message: "busy" } })],
    ["overload inside a 200", () => sse([created, failed("server_is_overloaded", "busy")])],
    ["a server error inside a 200", () => sse([created, failed("server_error", "oops")])],
  ])("%s is tried again", async (_name, fault) => {
    await using backend = fakeCodex(fault, says("second try"));
    const { status, json } = await ask(backend.baseUrl);
    expect([status, json.choices?.[0]?.message.content]).toEqual([200, "second try"]);
    expect(backend.bodies).toHaveLength(2);
  });

  test.each([
    ["a usage limit", refuses(429, { error: { type: "usage_limit_reached", message: "no" } })],
    ["a rate limit", refuses(429, { detail: "slow" })],
    ["a refused prompt", refuses(400, { detail: "no" })],
    ["a cut stream", () => sse([created])],
  ])("%s is not", async (_name, fault) => {
    await using backend = fakeCodex(fault, says("second try"));
    expect((await ask(backend.baseUrl)).status).toBeGreaterThanOrEqual(400);
    expect(backend.bodies).toHaveLength(1);
  });

  test("overload that lasts ends after four tries", async () => {
    await using backend = fakeCodex(refuses(503, { error: { code: "slow_down", message: "busy" } }));
    expect((await ask(backend.baseUrl)).status).toBe(429);
    expect(backend.bodies).toHaveLength(4);
  });
});

describe("a 401", () => {
  const login = (accessToken: string): Credentials => ({
    kind: "chatgpt",
    accessToken,
    accountId: "acc-1",
    expiresAtMs: undefined,
    isFedramp: true,
    email: undefined,
    plan: undefined,
    source: "test",
  });

  test("re-reads the login first and refreshes only then", async () => {
    await using backend = fakeCodex(refuses(401, { detail: "no" }), refuses(401, { detail: "no" }), says("in"));
    const attempts: number[] = [];
    const credentials = {
      current: () => Promise.resolve(login("old")),
      recover: (_rejected: Credentials, attempt: 1 | 2) => (
        attempts.push(attempt),
        Promise.resolve(login(`new-${attempt}`))
      ),
    };
    expect((await ask(backend.baseUrl, chatBody(), { credentials })).status).toBe(200);
    expect(attempts).toEqual([1, 2]);
    expect(backend.headers.map((headers) => headers.get("authorization"))).toEqual([
      "Bearer old",
      "Bearer new-1",
      "Bearer new-2",
    ]);
    expect(backend.headers[0]?.get("chatgpt-account-id")).toBe("acc-1");
    expect(backend.headers[0]?.get("x-openai-fedramp")).toBe("true");
  });
});

describe("a field that the backend no longer takes", () => {
  test("is left out on a second try, named, and remembered", async () => {
    await using backend = fakeCodex(refuses(400, { detail: "Unsupported parameter: service_tier" }), says("ok"));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const body = chatBody({ service_tier: "priority" });
    const first = await post(`${relay.url}/v1/chat/completions`, body);
    expect(first.status).toBe(200);
    expect(first.headers.get("x-plansocket-adjusted")).toBe("service_tier");
    const second = await post(`${relay.url}/v1/chat/completions`, body);
    expect(second.headers.get("x-plansocket-adjusted")).toBe("service_tier");
    expect(backend.bodies.map((sent) => "service_tier" in sent)).toEqual([true, false, false]);
  });

  test("that the request cannot do without is an error", async () => {
    await using backend = fakeCodex(refuses(400, { detail: "Unsupported parameter: input" }));
    expect((await ask(backend.baseUrl)).status).toBe(400);
    expect(backend.bodies).toHaveLength(1);
  });
});

test("reasoning that the backend cannot decrypt is left out on a second try", async () => {
  const refusal = refuses(400, { error: { code: "invalid_encrypted_content", message: "no" } });
  await using backend = fakeCodex(refusal, says("ok"));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const input = [
    { type: "reasoning", summary: [], encrypted_content: "E" },
    { role: "user", content: "hi" },
  ];
  const reply = await post(`${relay.url}/v1/responses`, { model: "gpt-5.5", input });
  expect(reply.status).toBe(200);
  expect(backend.bodies.map((body) => (body["input"] as { type: string }[]).map((item) => item.type))).toEqual([
    ["reasoning", "message"],
    ["message"],
  ]);
});

describe("a Responses-Lite model", () => {
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];

  test("gets the Lite envelope and its header where the owner asks for it (contract 0.2)", async () => {
    await using backend = fakeCodex(says("ok"));
    const upstream = { lite: { default: "on", models: {} } } as const;
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream });
    await post(`${relay.url}/v1/chat/completions`, {
      ...chatBody({ tools }),
      model: "gpt-6-sol",
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: "u" },
      ],
    });
    const sent = backend.bodies[0] ?? {};
    expect(backend.headers[0]?.get("x-openai-internal-codex-responses-lite")).toBe("true");
    expect((sent["input"] as { type: string; role: string }[]).map((item) => `${item.type}/${item.role}`)).toEqual([
      "additional_tools/developer",
      "message/developer",
      "message/user",
    ]);
    expect(sent).not.toHaveProperty("tools");
    expect(sent).not.toHaveProperty("instructions");
    expect(sent).toMatchObject({ parallel_tool_calls: false, reasoning: { context: "all_turns" } });
  });

  test("can be told otherwise by hand", async () => {
    await using backend = fakeCodex(says("ok"));
    await ask(
      backend.baseUrl,
      { ...chatBody(), model: "gpt-6-sol" },
      { upstream: { lite: { default: "auto", models: { "gpt-6-sol": "off" } } } },
    );
    expect(backend.headers[0]?.has("x-openai-internal-codex-responses-lite")).toBe(false);
    expect(backend.bodies[0]).toHaveProperty("instructions");
  });

  test("is asked in the classic shape for web search, and in its own where that is refused", async () => {
    await using backend = fakeCodex(refuses(404, { detail: "Model not found gpt-6-sol" }), says("ok"));
    const { status } = await ask(backend.baseUrl, { ...chatBody({ web_search_options: {} }), model: "gpt-6-sol" });
    expect(status).toBe(200);
    expect(backend.bodies.map((body) => "tools" in body)).toEqual([true, false]);
  });
});

describe("connections that wait for another request", () => {
  const MINUTE = 60_000;

  /** The way out of this process, on which the first request breaks in the given way; what each asked for. */
  function breaking(how: (signal: AbortSignal) => Promise<never>) {
    const isPooled: boolean[] = [];
    const egress = {
      connect: createEgress({ proxy: undefined, noProxy: "" }).connect,
      proxyFor: () => undefined,
      async fetch(url: string, init: RequestInit = {}) {
        if (!url.endsWith("/responses")) return fetch(url, init);
        isPooled.push(init.keepalive !== false);
        return isPooled.length === 1 ? how(init.signal ?? new AbortController().signal) : fetch(url, init);
      },
    };
    return { isPooled, egress };
  }

  test.each<[string, number, (signal: AbortSignal) => Promise<never>]>([
    ["breaks", 200, () => Promise.reject(Object.assign(new Error("reset"), { code: "ECONNRESET" }))],
    [
      "is silent",
      504,
      (signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ],
  ])("are left alone for a while when one of them %s", async (_how, status, how) => {
    await using backend = fakeCodex(says("ok"));
    const { isPooled, egress } = breaking(how);
    let nowMs = Date.now();
    await using relay = startTestRelay({
      baseUrl: backend.baseUrl,
      egress,
      now: () => nowMs,
      upstream: { firstByteTimeoutMs: 300 },
    });
    const say = () => post(`${relay.url}/v1/chat/completions`, chatBody());
    expect((await say()).status).toBe(status);
    nowMs += 4 * MINUTE;
    expect((await say()).status).toBe(200);
    nowMs += 2 * MINUTE;
    expect((await say()).status).toBe(200);
    expect([isPooled[0], ...isPooled.slice(-2)]).toEqual([true, false, true]);
    expect(isPooled.slice(1, -1)).not.toContain(true);
  });
});

test("one conversation keeps its cache key and its headers; another gets others", async () => {
  await using backend = fakeCodex(says("ok"));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const turn = (...contents: string[]) =>
    post(
      `${relay.url}/v1/chat/completions`,
      chatBody({ messages: contents.map((content, index) => ({ role: index % 2 ? "assistant" : "user", content })) }),
    );
  await turn("hello");
  await turn("hello", "ok", "and then?");
  await turn("good day");
  const keys = backend.bodies.map((body) => body["prompt_cache_key"]);
  expect(keys[0]).toBe(keys[1]);
  expect(keys[2]).not.toBe(keys[0]);
  expect(backend.headers.map((headers) => headers.get("session-id"))).toEqual(keys as string[]);
  expect(backend.headers.map((headers) => headers.get("thread-id"))).toEqual(keys as string[]);
});

test("a login that changes between requests is used at once", async () => {
  await using backend = fakeCodex(says("ok"));
  let token = "first";
  const login = await fixedCredentials().current();
  const provide = () => Promise.resolve({ ...login, accessToken: token });
  await using relay = startTestRelay({ baseUrl: backend.baseUrl, credentials: { current: provide, recover: provide } });
  await post(`${relay.url}/v1/chat/completions`, chatBody());
  token = "second";
  await post(`${relay.url}/v1/chat/completions`, chatBody());
  expect(backend.headers.map((headers) => headers.get("authorization"))).toEqual(["Bearer first", "Bearer second"]);
});
