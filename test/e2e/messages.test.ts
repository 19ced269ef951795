import Anthropic from "@anthropic-ai/sdk";
import { describe, expect, test } from "bun:test";
import { completed, created, delta, fakeCodex, says, sse, sseThenSilence } from "../support/fake-codex.ts";
import { dataOf, fixedCredentials, post, startTestRelay } from "../support/relay.ts";

const body = (over: object = {}) => ({
  model: "gpt-5.5",
  max_tokens: 10,
  messages: [{ role: "user", content: "hi" }],
  ...over,
});

interface ErrorBody {
  type: string;
  error: { type: string; message: string };
  request_id: string;
}

const VERSION = { "anthropic-version": "2023-06-01" };

describe("who may not come in learns it in the dialect's own words", () => {
  const cases: [string, string, RequestInit, number, string][] = [
    ["no key", "/v1/messages", { method: "POST", body: JSON.stringify(body()) }, 401, "authentication_error"],
    ["no key, counting", "/v1/messages/count_tokens", { method: "POST", body: "{}" }, 401, "authentication_error"],
    ["no key for models", "/v1/models", { headers: VERSION }, 401, "authentication_error"],
    ["another host", "/v1/messages", { method: "POST", headers: { host: "evil.example" } }, 403, "permission_error"],
    ["another site", "/v1/messages", { method: "POST", headers: { origin: "https://e.x" } }, 403, "permission_error"],
    ["GET", "/messages", { headers: { "x-api-key": "k" } }, 405, "invalid_request_error"],
    [
      "too much",
      "/v1/messages?beta=true",
      { method: "POST", headers: { "x-api-key": "k" }, body: "x".repeat(3000) },
      413,
      "request_too_large",
    ],
    [
      "no JSON",
      "/messages",
      { method: "POST", headers: { "x-api-key": "k" }, body: "{" },
      400,
      "invalid_request_error",
    ],
    [
      "what is not offered",
      "/v1/messages/batches",
      { method: "POST", headers: { ...VERSION, "x-api-key": "k" }, body: "{}" },
      501,
      "api_error",
    ],
    ["what does not exist", "/v9", { headers: { ...VERSION, "x-api-key": "k" } }, 404, "not_found_error"],
  ];

  test.each(cases)("%s", async (_name, path, init, status, type) => {
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9", relay: { apiKey: "k", maxBodyBytes: 2000 } });
    const reply = await fetch(relay.url + path, init);
    const answer = (await reply.json()) as ErrorBody;
    expect([reply.status, answer.type, answer.error.type]).toEqual([status, "error", type]);
    expect(answer.error.message).toBeTruthy();
    expect(answer.request_id).toBe(reply.headers.get("request-id") ?? "");
  });

  test("others still hear OpenAI's", async () => {
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9", relay: { apiKey: "k" } });
    const reply = await fetch(`${relay.url}/v1/models`);
    expect(await reply.json()).toMatchObject({ error: { code: "invalid_api_key" } });
    expect(reply.headers.has("request-id")).toBe(false);
  });

  test("one request too many is overload", async () => {
    await using backend = fakeCodex(() => sseThenSilence([created, delta("x")]));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, relay: { maxRequests: 1 } });
    const first = await post(`${relay.url}/v1/messages`, body({ stream: true }));
    const second = await post(`${relay.url}/v1/messages`, body());
    expect([first.status, second.status, second.headers.get("retry-after")]).toEqual([200, 529, "1"]);
    expect(await second.json()).toMatchObject({ error: { type: "overloaded_error" } });
    await first.body?.cancel();
  });
});

test("with and without the prefix, with the client's own query and headers, by either kind of key", async () => {
  await using backend = fakeCodex(says("ok"));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl, relay: { apiKey: "k" } });
  for (const path of ["/v1/messages", "/messages", "/v1/messages?beta=true"]) {
    for (const key of [{ "x-api-key": "k" }, { authorization: "Bearer k" }]) {
      const reply = await post(relay.url + path, body(), { ...VERSION, ...key, "anthropic-beta": "a,b" });
      expect(await reply.json()).toMatchObject({ type: "message", content: [{ type: "text", text: "ok" }] });
    }
  }
  const head = await fetch(relay.url, { method: "HEAD" });
  expect(head.status).toBe(200);
});

test("silence gets pings, which are events of this dialect", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const frame = (event: object) => new TextEncoder().encode(`data: ${JSON.stringify(event)}\n\n`);
  await using backend = fakeCodex(
    () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            controller.enqueue(frame(delta("a")));
            await promise;
            controller.enqueue(frame(completed));
            controller.close();
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      ),
  );
  await using relay = startTestRelay({ baseUrl: backend.baseUrl, relay: { keepAliveMs: 10 } });
  const reply = await post(`${relay.url}/v1/messages`, body({ stream: true }));
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of reply.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("event: ping\n").length > 3) resolve();
  }
  expect(dataOf(text)).toContainEqual({ type: "ping" });
  expect(dataOf(text).at(-1)).toEqual({ type: "message_stop" });
});

test("fields that have no effect are named, and refused when the owner is strict; what nobody can leave out is not", async () => {
  await using backend = fakeCodex(says("ok"));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = await post(`${relay.url}/v1/messages`, body({ top_k: 3, temperature: 0 }));
  expect(reply.headers.get("x-plansocket-adjusted")).toBe("max_tokens, temperature, top_k");
  await using strict = startTestRelay({ baseUrl: backend.baseUrl, relay: { strict: true } });
  expect((await post(`${strict.url}/v1/messages`, body())).status).toBe(200);
  const refused = await post(`${strict.url}/v1/messages`, body({ top_k: 3 }));
  expect(refused.status).toBe(400);
  expect(((await refused.json()) as ErrorBody).error.message).toContain("top_k");
});

test("an OpenAI API key cannot answer it, and says so", async () => {
  await using relay = startTestRelay({
    baseUrl: "http://127.0.0.1:9",
    credentials: fixedCredentials({ kind: "api-key", accessToken: "sk-1", accountId: undefined }),
  });
  const reply = await post(`${relay.url}/v1/messages`, body());
  expect([reply.status, reply.headers.get("x-should-retry")]).toEqual([501, "false"]);
  expect(((await reply.json()) as ErrorBody).error.message).toContain("ChatGPT login");
});

test("no tokens at all are what clients ask for that only want the question to be cached", async () => {
  await using fake = fakeCodex(says("Hello."));
  await using relay = startTestRelay({ baseUrl: fake.baseUrl });
  const whole = await post(`${relay.url}/v1/messages`, body({ max_tokens: 0 }));
  expect(await whole.json()).toMatchObject({
    content: [],
    stop_reason: "max_tokens",
    usage: { input_tokens: expect.any(Number) as number, output_tokens: 0 },
  });
  const streamed = await post(`${relay.url}/v1/messages`, body({ max_tokens: 0, stream: true }));
  const types = dataOf(await streamed.text()).map((event) => (event as { type: string }).type);
  expect(types).toEqual(["message_start", "message_delta", "message_stop"]);
});

describe("a search's pages are told whatever tells them (router-for-me/CLIProxyAPI#121)", () => {
  const source = { type: "url", url: "https://tides.example/a", title: "Tide tables" };
  const search = (sources?: object[]) => ({
    id: "ws_t",
    type: "web_search_call",
    status: "completed",
    action: { type: "search", query: "tide", ...(sources ? { sources } : {}) },
  });
  const answer = (text: string, annotations: object[] = []) => ({
    id: "msg_t",
    type: "message",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text, annotations, logprobs: [] }],
  });
  const done = (item: object, index: number) => ({ type: "response.output_item.done", output_index: index, item });
  const cited = { ...source, type: "url_citation", start_index: 0, end_index: 3 };

  test.each<[string, object, object, string]>([
    ["its own list", search([source]), answer("At six."), "Tide tables"],
    ["citations", search(), answer("At six.", [cited]), "Tide tables"],
    ["Markdown links", search([]), answer("At six, say the [tables](https://tides.example/a)."), "tables"],
    ["titled links", search(), answer('See [tables](<https://tides.example/a> "of today").'), "tables"],
    ["plain addresses", search(), answer("From https://tides.example/a."), "https://tides.example/a"],
  ])("%s", async (_name, item, message, title) => {
    await using fake = fakeCodex(() => sse([created, done(item, 0), done(message, 1), completed]));
    await using relay = startTestRelay({ baseUrl: fake.baseUrl });
    const client = new Anthropic({ baseURL: relay.url, apiKey: "any", maxRetries: 0 });
    const tools = [{ type: "web_search_20250305" as const, name: "web_search" as const }];
    const asked = { model: "gpt-5.5", max_tokens: 500, messages: [{ role: "user" as const, content: "tide?" }], tools };
    const replies = [await client.messages.create(asked), await client.messages.stream(asked).finalMessage()];
    for (const { content, usage } of replies) {
      expect(content.map(({ type }) => type)).toEqual(["server_tool_use", "web_search_tool_result", "text"]);
      expect(content[1]).toMatchObject({ content: [{ type: "web_search_result", url: source.url, title }] });
      expect(usage.server_tool_use?.web_search_requests).toBe(1);
    }
    expect(fake.bodies[0]?.["include"]).toContain("web_search_call.action.sources");
  });
});
