import { afterEach, describe, expect, test } from "bun:test";
import type { FallbackChoice } from "../../src/upstream/options.ts";
import { keepLines } from "../support/log-lines.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { fixedCredentials, post, startTestRelay } from "../support/relay.ts";
import { startStandIn } from "../stand-in/backend.ts";

let demo: DemoRelay;
afterEach(() => demo.stop());

const RESERVE = "gpt-reserve";

/** A relay whose plan is used up for all models but `openModels`. */
function pastLimit(fallback: FallbackChoice | undefined, openModels: readonly string[], now?: () => number) {
  const log = keepLines();
  demo = startDemoRelay({ upstream: { fallback }, log, ...(now ? { now } : {}) }, { views: { openModels } });
  return log;
}

const question = [{ role: "user", content: "hello" }];
const DIALECTS = {
  chat: ["/v1/chat/completions", { model: "gpt-5.5", messages: question }],
  "chat, streamed": ["/v1/chat/completions", { model: "gpt-5.5", messages: question, stream: true }],
  responses: ["/v1/responses", { model: "gpt-5.5", input: "hello" }],
  messages: ["/v1/messages", { model: "gpt-5.5", max_tokens: 500, messages: question }],
  ollama: ["/api/chat", { model: "gpt-5.5", messages: question, stream: false }],
  completions: ["/v1/completions", { model: "gpt-5.5", prompt: "hello" }],
} as const;

/** What the backend was asked for, and what came of it. */
const asked = () =>
  demo.backend.requests
    .filter(({ path }) => path.endsWith("/responses"))
    .map((request) => [(request.body as { model: string }).model, request.status()]);

const ask = (over: object = {}) => post(`${demo.v1}/chat/completions`, { ...DIALECTS.chat[1], ...over });

describe.each(Object.entries(DIALECTS))("past the plan's limit, %s", (_, [path, body]) => {
  test("is answered by Luna Reserve when the owner wants that, and says so", async () => {
    const log = pastLimit({ kind: "reserve" }, [RESERVE]);
    const reply = await post(`${demo.relay.url}${path}`, body);
    await reply.text();
    expect(reply.status).toBe(200);
    expect(reply.headers.get("x-plansocket-fallback")).toBe("reserve");
    expect(reply.headers.get("x-plansocket-model")).toBe(RESERVE);
    expect(asked()).toEqual([
      ["gpt-5.5", 429],
      [RESERVE, 200],
    ]);
    expect(demo.backend.refusals).toEqual([]);
    expect(log.requests().at(-1)).toMatchObject({ status: 200, fallback: "reserve", model: RESERVE });
  });

  test("is refused as ever without a fallback", async () => {
    pastLimit(undefined, [RESERVE]);
    const reply = await post(`${demo.relay.url}${path}`, body);
    expect(reply.status).toBe(429);
    expect(reply.headers.get("x-plansocket-fallback")).toBeNull();
    expect(asked()).toEqual([["gpt-5.5", 429]]);
  });
});

test("another model of the plan answers, and later requests go to it at once until the plan is asked again", async () => {
  const clock = { ms: Date.now() };
  pastLimit({ kind: "model", model: "gpt-6-luna" }, ["gpt-6-luna"], () => clock.ms);
  for (let turn = 0; turn < 3; turn += 1) {
    const reply = await ask();
    expect(reply.headers.get("x-plansocket-fallback")).toBe("gpt-6-luna");
  }
  expect(asked().map(([model]) => model)).toEqual(["gpt-5.5", "gpt-6-luna", "gpt-6-luna", "gpt-6-luna"]);
  clock.ms += 61_000;
  demo.backend.setViews({ openModels: "all" });
  const reply = await ask();
  expect(reply.headers.get("x-plansocket-fallback")).toBeNull();
  expect(asked().at(-1)).toEqual(["gpt-5.5", 200]);
});

test("when the fallback is used up too, the first refusal is told, with its reset", async () => {
  pastLimit({ kind: "model", model: "gpt-6-luna" }, []);
  const reply = await ask();
  expect(reply.status).toBe(429);
  expect(Number(reply.headers.get("retry-after"))).toBeGreaterThan(0);
  const { error } = (await reply.json()) as { error: { code: string; message: string } };
  expect(error.code).toBe("usage_limit_reached");
  expect(error.message).toContain("The fallback (gpt-6-luna) has reached its limit too.");
});

test("the fallback's own model has no further one", async () => {
  pastLimit({ kind: "model", model: "gpt-5.5" }, []);
  expect((await ask()).status).toBe(429);
  expect(asked()).toEqual([["gpt-5.5", 429]]);
});

test("a fallback that is no model of the plan says that it is the fallback which failed", async () => {
  pastLimit({ kind: "model", model: "gpt-nine" }, ["gpt-nine"]);
  const { error } = (await (await ask()).json()) as { error: { message: string } };
  expect(error.message).toContain("gpt-nine");
  expect(error.message).toContain("This is the fallback (gpt-nine)");
});

test("errors that are no limits have no fallback", async () => {
  demo = startDemoRelay({ upstream: { fallback: { kind: "reserve" } } });
  const reply = await ask({ messages: [{ role: "user", content: "fault:context_length" }] });
  expect(reply.status).toBe(400);
  expect(asked()).toHaveLength(1);
});

test("--stop-at is a limit too: a model with room of its own answers", async () => {
  const primary_window = { used_percent: 1, limit_window_seconds: 18_000, reset_after_seconds: 3600 };
  const usage = { additional_rate_limits: [{ limit_name: RESERVE, rate_limit: { primary_window } }] };
  demo = startDemoRelay({ upstream: { fallback: { kind: "reserve" }, stopAtPercent: 30 } }, {}, { usage });
  const reply = await ask();
  expect(reply.headers.get("x-plansocket-fallback")).toBe("reserve");
  expect(asked()).toEqual([[RESERVE, 200]]);
});

test("Luna Reserve can be asked for by its name, over either transport, and its requests say that they mean it", async () => {
  demo = startDemoRelay();
  for (let turn = 0; turn < 3; turn += 1) expect((await ask({ model: RESERVE })).status).toBe(200);
  expect(demo.backend.refusals).toEqual([]);
});

describe("with the owner's API key", () => {
  /** The plan is used up, and the stand-in's public API takes the key that `keyOf` makes of a good one. */
  function withKey(keyOf = (issued: string) => issued) {
    const backend = startStandIn({ views: { openModels: [] } });
    const { accessToken, accountId } = backend.issueLogin({});
    const apiKey = keyOf(backend.issueApiKey());
    const relay = startTestRelay({
      baseUrl: backend.baseUrl,
      credentials: fixedCredentials({ accessToken, accountId }),
      upstream: { openaiBaseUrl: backend.openaiBaseUrl, fallback: { kind: "api-key", apiKey } },
    });
    const stop = async () => {
      await relay.stop();
      await backend.stop();
    };
    demo = { backend, relay, v1: `${relay.url}/v1`, stop };
    return { apiKey, accessToken };
  }

  test.each(Object.entries(DIALECTS))(
    "the public API answers %s, and learns nothing of the login",
    async (_, [path, body]) => {
      const { apiKey, accessToken } = withKey();
      const reply = await post(`${demo.relay.url}${path}`, body);
      expect(reply.status).toBe(200);
      expect(reply.headers.get("x-plansocket-fallback")).toBe("api-key");
      expect(reply.headers.get("x-plansocket-model")).toBe("gpt-5.5");
      expect(await reply.text()).toContain("public API");
      const sent = demo.backend.requests.at(-1);
      expect(sent?.path).toBe("/v1/responses");
      expect(sent?.headers["authorization"]).toBe(`Bearer ${apiKey}`);
      expect(JSON.stringify(sent?.headers)).not.toContain(accessToken);
      expect(Object.keys(sent?.headers ?? {})).not.toContain("chatgpt-account-id");
      expect(Object.keys(sent?.headers ?? {})).not.toContain("cookie");
    },
  );

  test("a key that is refused is told as such, and the login is not renewed for it", async () => {
    withKey(() => "sk-wrong");
    const reply = await ask();
    expect(reply.status).toBe(403);
    expect(await reply.text()).toContain("PLANSOCKET_FALLBACK_API_KEY");
    expect(demo.backend.requests.filter(({ path }) => path === "/v1/responses")).toHaveLength(1);
    expect(demo.backend.counts.refreshes).toBe(0);
  });

  test("what the plan is known to have used is not changed by the public API's headers", async () => {
    withKey();
    const { limits } = demo.relay.upstream;
    limits.noticeHeaders({ "x-codex-primary-used-percent": "100" }, "acc");
    await ask();
    expect(limits.current()?.meters[0]?.primary?.usedPercent).toBe(100);
  });
});
