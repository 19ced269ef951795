import { describe, expect, test } from "bun:test";
import type { CredentialProvider } from "../../src/auth/credentials.ts";
import { RelayError } from "../../src/lib/errors.ts";
import {
  completed,
  created,
  delta,
  failed,
  fakeCodex,
  refuses,
  says,
  sse,
  sseThenSilence,
} from "../support/fake-codex.ts";
import { chatBody, dataOf, fixedCredentials, post, startTestRelay } from "../support/relay.ts";

interface Envelope {
  error: { message: string; type: string; param: string | null; code: string | null };
}

const ROUTES = {
  "chat, whole": ["/v1/chat/completions", chatBody()],
  "chat, streamed": ["/v1/chat/completions", chatBody({ stream: true })],
  "responses, whole": ["/v1/responses", { model: "gpt-5.5", input: "hi" }],
  "responses, streamed": ["/v1/responses", { model: "gpt-5.5", input: "hi", stream: true }],
} as const;

/** Cause at the backend → what the client sees: status, type, code, and headers that belong to it. */
const CAUSES: [string, ReturnType<typeof refuses>, number, string, string | null, Record<string, string>?][] = [
  ["an unknown parameter", refuses(400, { detail: "Unsupported parameter: foo" }), 400, "invalid_request_error", null],
  ["403", refuses(403, { detail: "no" }), 403, "permission_error", "access_denied"],
  [
    "a Cloudflare page",
    refuses(403, "<html>Just a moment...</html>", { "cf-mitigated": "challenge" }),
    502,
    "permission_error",
    "access_denied",
  ],
  [
    "a model of another plan",
    refuses(400, { detail: "The 'x' model is not supported when using Codex with a ChatGPT account." }),
    404,
    "invalid_request_error",
    "model_not_found",
  ],
  [
    "a full context over HTTP",
    refuses(400, {
      error: { code: "context_length_exceeded", message: "Your input exceeds the context window of this model." },
    }),
    400,
    "invalid_request_error",
    "context_length_exceeded",
  ],
  [
    "a full context in the stream",
    () => sse([created, failed("context_length_exceeded", "Your input exceeds the context window of this model.")]),
    400,
    "invalid_request_error",
    "context_length_exceeded",
  ],
  ["a policy", () => sse([created, failed("cyber_policy", "no")]), 400, "invalid_request_error", "cyber_policy"],
  [
    "an invalid prompt",
    () => sse([created, failed("invalid_prompt", "no")]),
    400,
    "invalid_request_error",
    "invalid_prompt",
  ],
  [
    "a usage limit",
    refuses(429, {
      error: {
        type: "usage_limit_reached",
        message: "The usage limit has been reached",
        plan_type: "plus",
        resets_in_seconds: 90,
      },
    }),
    429,
    "insufficient_quota",
    "usage_limit_reached",
    { "retry-after": "90", "x-should-retry": "false" },
  ],
  [
    "a plan without Codex",
    refuses(429, { error: { type: "usage_not_included", message: "no" } }),
    429,
    "insufficient_quota",
    "usage_not_included",
    { "x-should-retry": "false" },
  ],
  [
    "a spent quota in the stream",
    () => sse([created, failed("insufficient_quota", "none left")]),
    429,
    "insufficient_quota",
    "insufficient_quota",
    { "x-should-retry": "false" },
  ],
  [
    "a rate limit in the stream",
    () => sse([created, failed("rate_limit_exceeded", "Please try again in 2.5s.")]),
    429,
    "rate_limit_error",
    "rate_limit_exceeded",
    { "retry-after": "3" },
  ],
  [
    "a rate limit over HTTP",
    refuses(429, { detail: "slow down please" }, { "retry-after": "4" }),
    429,
    "rate_limit_error",
    "rate_limit_exceeded",
    { "retry-after": "4" },
  ],
  [
    "overload over HTTP",
    refuses(503, { error: { code: "server_is_overloaded", message: "busy" } }),
    503,
    "server_error",
    "server_is_overloaded",
    { "retry-after": "5" },
  ],
  [
    "overload inside a 200",
    () => sse([created, failed("server_is_overloaded", "busy")]),
    503,
    "server_error",
    "server_is_overloaded",
    { "retry-after": "5" },
  ],
  [
    "slow_down inside a 200",
    () => sse([created, { type: "error", code: "slow_down", message: "busy" }]),
    429,
    "rate_limit_error",
    "slow_down",
  ],
  [
    "a flat error first",
    () => sse([created, { type: "error", code: "rate_limit_exceeded", message: "Slow" }]),
    429,
    "rate_limit_error",
    "rate_limit_exceeded",
  ],
  ["a server error", () => sse([created, failed("server_error", "oops")]), 502, "server_error", "server_error"],
  ["500", refuses(500, { detail: "oops" }), 502, "server_error", "upstream_error"],
  ["a cut before output", () => sse([created]), 502, "server_error", "upstream_stream_truncated"],
  ["an empty stream", () => sse([]), 502, "server_error", "upstream_stream_truncated"],
  ["JSON instead of a stream", () => Response.json({ hello: 1 }), 502, "server_error", "upstream_error"],
  [
    "HTML instead of a stream",
    () => new Response("<html>hi", { headers: { "content-type": "text/html" } }),
    502,
    "server_error",
    "upstream_error",
  ],
];

describe.each(Object.entries(ROUTES))("%s:", (_name, [path, body]) => {
  test.each(CAUSES)("%s", async (_cause, answer, status, type, code, headers = {}) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.type, error.code]).toEqual([status, type, code]);
    expect(error.message).not.toBe("");
    expect(error.message).not.toContain("<html");
    expect(reply.headers.get("content-type")).toStartWith("application/json");
    expect(reply.headers.get("x-request-id")).toBeTruthy();
    for (const [name, value] of Object.entries(headers)) expect(reply.headers.get(name)).toBe(value);
  });

  test("no login says what to run", async () => {
    const dead: CredentialProvider = {
      current: () =>
        Promise.reject(new RelayError("codex_auth_required", "Not logged in.", { hint: "Run `codex login`." })),
      recover: () => Promise.reject(new RelayError("codex_auth_required", "Not logged in.")),
    };
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9", credentials: dead });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.type, error.code]).toEqual([401, "authentication_error", "codex_auth_required"]);
    expect(error.message).toContain("codex login");
  });

  test("401 that no refresh cures", async () => {
    await using backend = fakeCodex(refuses(401, { detail: "Unauthorized" }));
    let recoveries = 0;
    const login = fixedCredentials();
    const credentials = { ...login, recover: () => ((recoveries += 1), login.current()) };
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, credentials });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.type, error.code]).toEqual([401, "authentication_error", "invalid_api_key"]);
    expect(recoveries).toBe(2);
    expect(backend.bodies).toHaveLength(3);
  });

  test("nobody listening", async () => {
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9" });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.code]).toEqual([502, "upstream_unreachable"]);
  });

  test("no response headers in time, told with the host", async () => {
    await using backend = fakeCodex(() => new Promise<Response>(() => {}));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { firstByteTimeoutMs: 30 } });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.code]).toEqual([504, "upstream_timeout"]);
    expect(error.message).toStartWith(`${new URL(backend.baseUrl).host} did not answer within`);
  });

  test("a refusal that never ends", async () => {
    const never = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("{")) });
    await using backend = fakeCodex(() => new Response(never, { status: 429, headers: { "retry-after": "7" } }));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { idleTimeoutMs: 30 } });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, reply.headers.get("retry-after"), error.code]).toEqual([429, "7", "rate_limit_exceeded"]);
  });

  test("silence after the headers", async () => {
    await using backend = fakeCodex(() => sseThenSilence([created]));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { idleTimeoutMs: 30 } });
    const reply = await post(relay.url + path, body);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.code]).toEqual([504, "upstream_timeout"]);
  });

  test.each([
    ["{not json", 400, null],
    ["[]", 400, null],
    ["", 400, null],
    ["null", 400, null],
  ])("a body of %j", async (text, status, code) => {
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9" });
    const reply = await post(relay.url + path, text);
    const { error } = (await reply.json()) as Envelope;
    expect([reply.status, error.type, error.code, error.param]).toEqual([status, "invalid_request_error", code, null]);
  });

  test("a body over the limit, announced or not", async () => {
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9", relay: { maxBodyBytes: 1000 } });
    const large = "x".repeat(2000);
    const chunks = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(large));
        controller.close();
      },
    });
    for (const sent of [large, chunks]) {
      const reply = await fetch(relay.url + path, { method: "POST", body: sent });
      const { error } = (await reply.json()) as Envelope;
      expect([reply.status, error.code]).toEqual([413, "request_too_large"]);
    }
  });

  test("a packed body is unpacked, within the limit", async () => {
    await using backend = fakeCodex(says("ok"));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, relay: { maxBodyBytes: 100_000 } });
    const send = (bytes: Uint8Array<ArrayBuffer>, encoding: string) =>
      fetch(relay.url + path, { method: "POST", body: bytes, headers: { "content-encoding": encoding } });
    const text = new TextEncoder().encode(JSON.stringify(body));
    expect((await send(Bun.gzipSync(text), "gzip")).status).toBe(200);
    expect((await send(new Uint8Array(Bun.zstdCompressSync(text)), "zstd")).status).toBe(200);
    expect((await send(Bun.gzipSync(new Uint8Array(200_000)), "gzip")).status).toBe(413);
    expect((await send(text, "gzip")).status).toBe(400);
    expect((await send(text, "rot13")).status).toBe(415);
  });
});

describe("after output has begun", () => {
  const cases: [string, () => Response, string][] = [
    ["a cut", () => sse([created, delta("Hel")]), "upstream_stream_truncated"],
    ["a failure", () => sse([created, delta("Hel"), failed("server_error", "oops")]), "server_error"],
    ["silence", () => sseThenSilence([created, delta("Hel")]), "upstream_timeout"],
  ];

  test.each(cases)("%s is an error frame in chat, never a stop", async (_name, answer, code) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { idleTimeoutMs: 100 } });
    const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }));
    expect(reply.status).toBe(200);
    const text = await reply.text();
    const frames = dataOf(text);
    expect(frames.at(-1)).toBe("[DONE]");
    expect(frames.at(-2)).toMatchObject({ error: { code } });
    expect(text).toContain('"content":"Hel"');
    expect(text).not.toContain('"finish_reason":"stop"');
  });

  test.each(cases)("%s is a failure in responses", async (_name, answer, code) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { idleTimeoutMs: 100 } });
    const reply = await post(`${relay.url}/v1/responses`, { model: "gpt-5.5", input: "hi", stream: true });
    expect(reply.status).toBe(200);
    const last = dataOf(await reply.text()).at(-1) as { type: string };
    expect(["error", "response.failed"]).toContain(last.type);
    expect(JSON.stringify(last)).toContain(code);
    expect(last.type).not.toBe("response.completed");
  });

  test.each(cases)("%s is an HTTP error for a whole reply", async (_name, answer, code) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl, upstream: { idleTimeoutMs: 100 } });
    const reply = await post(`${relay.url}/v1/chat/completions`, chatBody());
    expect(reply.status).toBeGreaterThanOrEqual(500);
    expect(((await reply.json()) as Envelope).error.code).toBe(code);
  });
});

describe("a Codex client", () => {
  const headers = { originator: "codex_exec", "user-agent": "codex_exec/0.169.0 (Debian 12; x86_64)" };
  const body = { model: "gpt-5.5", input: [], stream: true };

  test("gets the refusal's very bytes and headers", async () => {
    const refusal = {
      error: { type: "usage_limit_reached", message: "The usage limit has been reached", resets_at: 1_777_936_568 },
    };
    await using backend = fakeCodex(refuses(429, refusal, { "x-codex-primary-used-percent": "100" }));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const reply = await post(`${relay.url}/v1/responses`, body, headers);
    expect(reply.status).toBe(429);
    expect(await reply.json()).toEqual(refusal);
    expect(reply.headers.get("x-codex-primary-used-percent")).toBe("100");
    expect(backend.bodies).toHaveLength(1);
  });

  test("gets failures inside the stream as they came", async () => {
    const events = [created, failed("server_is_overloaded", "busy")];
    await using backend = fakeCodex(() => sse(events));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const reply = await post(`${relay.url}/v1/responses`, body, headers);
    expect(reply.status).toBe(200);
    expect(dataOf(await reply.text())).toEqual(events);
  });

  test("passes its headers on, and gets upstream's back", async () => {
    await using backend = fakeCodex(() =>
      sse([created, completed], {
        "x-codex-turn-state": "T",
        "x-models-etag": "E",
        "openai-model": "M",
        "set-cookie": "s",
      }),
    );
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const mine = {
      ...headers,
      "session-id": "S",
      "thread-id": "H",
      "x-codex-window-id": "W:0",
      version: "0.200.0",
      cookie: "c",
    };
    const reply = await post(`${relay.url}/v1/responses`, body, mine);
    await reply.text();
    const sent = backend.headers[0];
    expect(
      ["session-id", "thread-id", "x-codex-window-id", "version", "originator", "cookie"].map((name) =>
        sent?.get(name),
      ),
    ).toEqual(["S", "H", "W:0", "0.200.0", "codex_exec", null]);
    expect(
      ["x-codex-turn-state", "x-models-etag", "openai-model", "set-cookie"].map((name) => reply.headers.get(name)),
    ).toEqual(["T", "E", "M", null]);
  });
});
