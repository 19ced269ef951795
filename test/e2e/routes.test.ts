import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fakeCodex, says, type FakeCodex } from "../support/fake-codex.ts";
import { chatBody, eventually, fixedCredentials, post, startTestRelay, type TestRelay } from "../support/relay.ts";

let backend: FakeCodex;
let relay: TestRelay;

beforeAll(() => {
  backend = fakeCodex(says("ok"));
  relay = startTestRelay({ baseUrl: backend.baseUrl });
});
afterAll(async () => {
  await relay.stop();
  await backend.stop();
});

/** Sends bytes as they are and returns the status line: for what fetch will not send. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(relay.port, "127.0.0.1", () => socket.write(text));
    let reply = "";
    socket.on("data", (chunk) => {
      reply += chunk.toString();
      if (reply.includes("\r\n")) socket.destroy();
    });
    socket.on("close", () => resolve(reply.split("\r\n")[0] ?? ""));
    socket.on("error", reject);
    socket.setTimeout(2000, () => socket.destroy());
  });
}

describe("routes", () => {
  test.each([
    ["GET", "/health", 200],
    ["HEAD", "/health", 200],
    ["GET", "/healthz", 200],
    ["GET", "/ready", 200],
    ["GET", "/", 200],
    ["HEAD", "/", 200],
    ["GET", "/v1/models", 200],
    ["GET", "/models", 200],
    ["GET", "/v1/models/gpt-5.5", 200],
    ["GET", "/v1/models/gpt%2D5.5", 200],
    ["GET", "/v1/models/hidden-one", 200],
    ["GET", "/v1/models/a/b", 404],
    ["GET", "/v1/models/nope", 404],
    ["POST", "/v1/models", 405],
    ["POST", "/health", 405],
    ["GET", "/v1/chat/completions", 405],
    ["DELETE", "/v1/chat/completions", 405],
    ["GET", "/v1/responses", 405],
    ["PUT", "/v1/responses", 405],
    ["GET", "/v1/responses/resp_1", 404],
    ["DELETE", "/v1/responses/resp_1", 404],
    ["GET", "/v1/responses/resp_1/input_items", 404],
    ["POST", "/v1/embeddings", 501],
    ["POST", "/embeddings", 501],
    ["POST", "/v1/audio/speech", 501],
    ["POST", "/v1/audio/translations", 501],
    ["POST", "/v1/audio/transcriptions", 415],
    ["POST", "/v1/images/variations", 501],
    ["POST", "/v1/images/generations", 400],
    ["POST", "/images/edits", 400],
    ["GET", "/v1/images/generations", 405],
    ["GET", "/v1/files", 501],
    ["POST", "/v1/batches", 501],
    ["GET", "/v1/assistants", 501],
    ["POST", "/v1/moderations", 501],
    ["POST", "/v1/fine_tuning/jobs", 501],
    ["POST", "/v1/vector_stores/x/files", 501],
    ["POST", "/v1/responses/compact", 400],
    ["PUT", "/v1/responses/compact", 405],
    ["POST", "/responses/input_tokens", 400],
    ["POST", "/v1/responses/resp_1", 405],
    ["POST", "/v1/x", 404],
    ["GET", "/nothing", 404],
    ["OPTIONS", "/v1/chat/completions", 204],
  ])("%s %s: %i", async (method, path, status) => {
    const reply = await fetch(relay.url + path, { method });
    const text = await reply.text();
    expect(reply.status).toBe(status);
    expect(reply.headers.get("x-request-id")).toBeTruthy();
    if (status === 405) expect(reply.headers.get("allow")).toMatch(/GET|POST/);
    if (status === 501) expect(reply.headers.get("x-should-retry")).toBe("false");
    if (status >= 400) expect(JSON.parse(text)).toMatchObject({ error: { type: "invalid_request_error" } });
  });

  test("chat answers with and without the prefix, whatever the content type", async () => {
    for (const path of ["/v1/chat/completions", "/chat/completions"]) {
      const reply = await fetch(relay.url + path, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: JSON.stringify(chatBody()),
      });
      expect(reply.status).toBe(200);
    }
    expect((await post(`${relay.url}/responses`, { model: "gpt-5.5", input: "hi" })).status).toBe(200);
  });

  test("the model list is the account's, without hidden ones", async () => {
    const reply = await fetch(`${relay.url}/v1/models`);
    const { object, data } = (await reply.json()) as { object: string; data: { id: string; object: string }[] };
    expect([object, data.map(({ id }) => id)]).toEqual(["list", ["gpt-5.5", "gpt-6-sol"]]);
    expect(data[0]).toMatchObject({ object: "model", created: 0, owned_by: "openai" });
  });

  test("a Codex client gets the backend's own list with its ETag", async () => {
    const reply = await fetch(`${relay.url}/v1/models?client_version=0.169.0`);
    expect(reply.headers.get("etag")).toBe('W/"1"');
    expect(((await reply.json()) as { models: object[] }).models).toHaveLength(3);
  });

  test("readiness says why not, and nothing private", async () => {
    const failing = {
      current: () => Promise.reject(new Error("secret path")),
      recover: () => Promise.reject(new Error("x")),
    };
    await using other = startTestRelay({ baseUrl: "http://127.0.0.1:9", credentials: failing });
    const reply = await fetch(`${other.url}/ready`);
    expect(reply.status).toBe(503);
    expect(await reply.text()).not.toContain("secret");
    expect(await (await fetch(`${relay.url}/ready`)).json()).toEqual({ status: "ready", mode: "chatgpt" });
  });
});

describe("the gate on every route", () => {
  test.each(["/v1/chat/completions", "/v1/models", "/health", "/ready", "/nothing", "/v1/embeddings"])(
    "%s",
    async (path) => {
      const hostile = await fetch(relay.url + path, { headers: { host: "evil.example" } });
      expect([hostile.status, ((await hostile.json()) as { error: { code: string } }).error.code]).toEqual([
        403,
        "host_not_allowed",
      ]);
      const page = await fetch(relay.url + path, { headers: { origin: "https://evil.example" } });
      expect(page.status).toBe(403);
      expect(page.headers.get("access-control-allow-origin")).toBeNull();
      const image = await fetch(relay.url + path, { headers: { "sec-fetch-site": "cross-site" } });
      expect(image.status).toBe(403);
    },
  );

  test("a Host that is no host does not break anything", async () => {
    expect(await raw("GET /health HTTP/1.1\r\nHost: a b\r\n\r\n")).toMatch(/ 4\d\d /);
    expect(await raw("GET /health HTTP/1.1\r\nHost: %%%\r\n\r\n")).toMatch(/ 4\d\d /);
    expect(await raw("GET /health HTTP/1.0\r\n\r\n")).toMatch(/ 4\d\d /);
    expect(await raw("GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n\r\n")).toMatch(/ 403 /);
    expect(await raw("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n")).toMatch(/ 4\d\d /);
    expect(await raw("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n")).toMatch(/ 4\d\d /);
    expect((await fetch(`${relay.url}/health`)).status).toBe(200);
  });

  test("an allowed page may ask, be answered and must say JSON", async () => {
    await using open = startTestRelay({
      baseUrl: backend.baseUrl,
      relay: { corsOrigins: ["https://app.example"], apiKey: "k" },
    });
    const origin = "https://app.example";
    const preflight = await fetch(`${open.url}/v1/chat/completions`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
    });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, origin]);
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    const key = { authorization: "Bearer k", origin };
    const reply = await post(`${open.url}/v1/chat/completions`, chatBody(), key);
    expect([reply.status, reply.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
    const form = await fetch(`${open.url}/v1/chat/completions`, {
      method: "POST",
      headers: { ...key, "content-type": "text/plain" },
      body: JSON.stringify(chatBody()),
    });
    expect(form.status).toBe(415);
  });

  test("with a key, only health is open", async () => {
    await using locked = startTestRelay({ baseUrl: backend.baseUrl, relay: { apiKey: "k" } });
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await fetch(locked.url + path, { headers })).status;
    expect(await Promise.all(["/health", "/healthz", "/ready"].map((path) => status(path)))).toEqual([200, 200, 200]);
    expect(await Promise.all(["/v1/models", "/v1/embeddings", "/nothing"].map((path) => status(path)))).toEqual([
      401, 401, 401,
    ]);
    expect(await status("/v1/models", { authorization: "Bearer k" })).toBe(200);
    expect(await status("/v1/models", { "x-api-key": "k" })).toBe(200);
    const refused = await fetch(`${locked.url}/v1/models`);
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await refused.json()).toMatchObject({ error: { code: "invalid_api_key", type: "invalid_request_error" } });
  });

  test("off loopback without a key it does not start", () => {
    expect(() => startTestRelay({ baseUrl: backend.baseUrl, relay: { host: "0.0.0.0" } })).toThrow("needs an API key");
  });

  test("a busy port is named", () => {
    expect(() => startTestRelay({ baseUrl: backend.baseUrl, relay: { port: relay.port } })).toThrow(
      `Port ${relay.port}`,
    );
  });
});

test("--strict refuses what would be dropped", async () => {
  await using strict = startTestRelay({ baseUrl: backend.baseUrl, relay: { strict: true } });
  const reply = await post(`${strict.url}/v1/chat/completions`, chatBody({ temperature: 1 }));
  expect(reply.status).toBe(400);
  expect(await reply.json()).toMatchObject({ error: { code: "unsupported_parameter", param: "temperature" } });
  const emulated = chatBody({ stop: "x", max_tokens: 500 });
  expect((await post(`${strict.url}/v1/chat/completions`, emulated)).status).toBe(200);
});

test("otherwise what was dropped is named", async () => {
  const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ temperature: 1, max_tokens: 5, top_k: 3 }));
  expect(reply.headers.get("x-plansocket-adjusted")).toBe("max_tokens, temperature, top_k");
});

describe("an API-key login", () => {
  test("speaks to the public API, bytes in and bytes out", async () => {
    const seen: { path: string; headers: Headers; body: string }[] = [];
    const publicApi = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const { pathname, search } = new URL(request.url);
        seen.push({ path: pathname + search, headers: request.headers, body: await request.text() });
        if (pathname === "/v1/embeddings")
          return Response.json(
            { error: { message: "bad", type: "t", param: null, code: "c" } },
            { status: 418, headers: { "x-ratelimit-limit-requests": "9" } },
          );
        return new Response('data: {"x":1}\n\n', { headers: { "content-type": "text/event-stream" } });
      },
    });
    await using other = startTestRelay({
      baseUrl: "http://127.0.0.1:9",
      upstream: { openaiBaseUrl: `http://127.0.0.1:${publicApi.port}/v1` },
      credentials: fixedCredentials({ kind: "api-key", accessToken: "sk-1", accountId: undefined }),
    });
    const body = '{"model":"x",  "temperature":0.123,"n":3,"messages":[]}';
    const chat = await post(`${other.url}/v1/chat/completions?a=b`, body, {
      "openai-organization": "org",
      cookie: "c",
    });
    expect(await chat.text()).toBe('data: {"x":1}\n\n');
    expect(chat.headers.get("content-type")).toBe("text/event-stream");
    expect(seen[0]?.body).toBe(body);
    expect(seen[0]?.path).toBe("/v1/chat/completions?a=b");
    expect(
      ["authorization", "openai-organization", "cookie", "chatgpt-account-id"].map((name) =>
        seen[0]?.headers.get(name),
      ),
    ).toEqual(["Bearer sk-1", "org", null, null]);
    const refused = await post(`${other.url}/v1/embeddings`, "{}");
    expect([refused.status, refused.headers.get("x-ratelimit-limit-requests")]).toEqual([418, "9"]);
    expect(await refused.json()).toMatchObject({ error: { code: "c" } });
    expect((await post(`${other.url}/responses`, "{}")).status).toBe(200);
    expect((await fetch(`${other.url}/v1/models`)).status).toBe(200);
    // What the public API has beyond the relay's own routes is for it to answer.
    expect((await fetch(`${other.url}/v1/chat/completions?limit=2`)).status).toBe(200);
    expect((await fetch(`${other.url}/models/ft:x`, { method: "DELETE" })).status).toBe(200);
    expect((await post(`${other.url}/v1/responses/compact`, "{}")).status).toBe(200);
    expect((await post(`${other.url}/health`, "{}")).status).toBe(405);
    // Of another API, so what is asked there is not for this one to read.
    expect((await post(`${other.url}/api/embed`, "{}")).status).toBe(501);
    expect(seen.map((request) => request.path).slice(1)).toEqual([
      "/v1/embeddings",
      "/v1/responses",
      "/v1/models",
      "/v1/chat/completions?limit=2",
      "/v1/models/ft:x",
      "/v1/responses/compact",
    ]);
    await publicApi.stop(true);
  });

  test("counts among the requests in flight until its reply ends", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let hasLeft = false;
    await using publicApi = listening((request) => {
      request.signal.addEventListener("abort", () => (hasLeft = true));
      return new Response(
        new ReadableStream({
          async start(controller) {
            controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
            await promise;
            controller.close();
          },
        }),
      );
    });
    await using one = startTestRelay({
      baseUrl: "http://127.0.0.1:9",
      relay: { maxRequests: 1 },
      upstream: { openaiBaseUrl: `http://127.0.0.1:${publicApi.port}/v1` },
      credentials: fixedCredentials({ kind: "api-key", accessToken: "sk-1", accountId: undefined }),
    });
    const leaving = new AbortController();
    await post(`${one.url}/v1/chat/completions`, "{}", {}, leaving.signal);
    expect(one.activeRequests()).toBe(1);
    expect((await post(`${one.url}/v1/chat/completions`, "{}")).status).toBe(503);
    leaving.abort();
    await eventually(() => hasLeft && one.activeRequests() === 0);
    const whole = await post(`${one.url}/v1/chat/completions`, "{}");
    resolve();
    expect(await whole.text()).toBe("data: 1\n\n");
    expect(one.activeRequests()).toBe(0);
  });

  test("may take as long for a whole answer as silence is allowed inside a stream", async () => {
    await using publicApi = listening(async () => {
      await Bun.sleep(200);
      return Response.json({ id: "chatcmpl_1" });
    });
    await using one = startTestRelay({
      baseUrl: "http://127.0.0.1:9",
      upstream: { openaiBaseUrl: `http://127.0.0.1:${publicApi.port}/v1`, firstByteTimeoutMs: 20 },
      credentials: fixedCredentials({ kind: "api-key", accessToken: "sk-1", accountId: undefined }),
    });
    expect((await post(`${one.url}/v1/chat/completions`, "{}")).status).toBe(200);
  });

  test("is not spent on whoever has no key", async () => {
    const seen: string[] = [];
    await using publicApi = listening((request) => {
      seen.push(request.method);
      return new Response("{}");
    });
    await using locked = startTestRelay({
      baseUrl: "http://127.0.0.1:9",
      relay: { apiKey: "k" },
      upstream: { openaiBaseUrl: `http://127.0.0.1:${publicApi.port}/v1` },
      credentials: fixedCredentials({ kind: "api-key", accessToken: "sk-1", accountId: undefined }),
    });
    for (const path of ["/v1/files", "/v1/x", "/embeddings"]) {
      await fetch(locked.url + path, { method: "OPTIONS" });
      await fetch(locked.url + path, { method: "POST", body: "{}" });
    }
    expect(seen).toEqual([]);
  });
});

/** A server of the test's own on a free port. */
function listening(answer: (request: Request) => Response | Promise<Response>) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}
