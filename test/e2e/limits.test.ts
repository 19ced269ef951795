import { afterEach, expect, test } from "bun:test";
import OpenAI from "openai";
import { FAULTS } from "../stand-in/faults.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
afterEach(() => demo.stop());

const client = () => new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
const ask = () =>
  client().chat.completions.create({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] });

test("traffic tells how full the plan is, and clients see it in the form that SDKs know", async () => {
  demo = startDemoRelay();
  expect(demo.relay.upstream.limits.current()).toBeUndefined();
  const { response } = await ask().withResponse();
  expect(response.headers.get("x-codex-primary-used-percent")).toBe("12");
  expect(response.headers.get("x-ratelimit-limit-requests")).toBe("100");
  expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("88");
  expect(response.headers.get("x-ratelimit-reset-requests")).toBe("13873s");
  expect(demo.relay.upstream.limits.current()).toMatchObject({
    plan: "pro",
    meters: [{ id: "codex", primary: { usedPercent: 12, windowMinutes: 300 }, secondary: { usedPercent: 34 } }],
  });
});

test("so does the event inside a stream", async () => {
  demo = startDemoRelay();
  const reply = await client().chat.completions.create({
    model: "gpt-5.5",
    stream: true,
    messages: [{ role: "user", content: "fault:codex_events" }],
  });
  for await (const _ of reply);
  expect(demo.relay.upstream.limits.current()?.meters[0]?.primary?.usedPercent).toBe(42);
});

test("--stop-at refuses before anything is spent: one request, 429, with the reset", async () => {
  demo = startDemoRelay({ upstream: { stopAtPercent: 30 } });
  const error = await ask().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OpenAI.RateLimitError)) throw new Error(`not refused: ${String(error)}`);
  expect(error.code).toBe("usage_limit_reached");
  expect(error.message).toContain("The week limit of the plan is 34 % used, and this relay stops at 30 %.");
  expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(316_000);
  expect(demo.backend.counts.responses).toBe(0);
});

const BUSINESS = {
  rate_limit: null,
  additional_rate_limits: [],
  spend_control: { reached: false, individual_limit: { limit: "50", used: "46", reset_at: 4_102_444_800 } },
};

test("--stop-at holds for the spending limit of a Business plan, which has no windows (contract 0.5)", async () => {
  demo = startDemoRelay({ upstream: { stopAtPercent: 90 } }, {}, { usage: BUSINESS });
  const error: unknown = await ask().catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("The spending limit of the workspace is 92 % used, and this relay stops at 90 %.");
  expect(demo.backend.requests.filter(({ path }) => path.endsWith("/responses"))).toEqual([]);
});

test("replies say how much of a Business plan's spending limit is used, which is asked beside them (contract 0.5)", async () => {
  demo = startDemoRelay({}, {}, { plan: "self_serve_business_usage_based", usage: BUSINESS });
  const { limits } = demo.relay.upstream;
  await ask();
  for (let round = 0; round < 400 && !limits.current(); round += 1) await Bun.sleep(5);
  const { response } = await ask().withResponse();
  expect(response.headers.get("x-codex-spend-used-percent")).toBe("92");
  expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("8");
  await ask();
  expect(demo.backend.requests.filter(({ path }) => path.endsWith("/usage"))).toHaveLength(1);
});

test("other plans are not asked: their replies say it", async () => {
  demo = startDemoRelay();
  await ask();
  await ask();
  expect(demo.backend.requests.filter(({ path }) => path.endsWith("/usage"))).toEqual([]);
});

test("a used-up plan's error names Luna Reserve and banked resets, and uses neither (contract 0.4, 0.5)", async () => {
  const usage = {
    rate_limit_reset_credits: { available_count: 2 },
    rate_limit_upsell: { banner_type: "luna_reserve" },
  };
  demo = startDemoRelay({}, {}, { usage });
  await demo.relay.upstream.usage(AbortSignal.timeout(5000));
  demo.backend.script(FAULTS.usage_limit.script());
  const error: unknown = await ask().catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("Luna Reserve is left: ask for the model gpt-reserve.");
  expect(String(error)).toContain("2 banked resets are left");
  expect(demo.backend.requests.filter(({ path }) => path.endsWith("/responses"))).toHaveLength(1);
});

test("below it nothing changes", async () => {
  demo = startDemoRelay({ upstream: { stopAtPercent: 35 } });
  expect((await ask()).choices).toHaveLength(1);
  expect(demo.backend.refusals).toEqual([]);
});

test("a Codex client gets the refusal in the form that it reads", async () => {
  demo = startDemoRelay({ upstream: { stopAtPercent: 30 } });
  const reply = await fetch(`${demo.v1}/responses`, {
    method: "POST",
    headers: { originator: "codex_exec", "user-agent": "codex_exec/0.169.0", "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5.5", input: [], store: false, stream: true }),
  });
  expect(reply.status).toBe(429);
  const { error } = (await reply.json()) as { error: Record<string, unknown> };
  expect(error).toMatchObject({ type: "usage_limit_reached", plan_type: "pro" });
  expect(Number(error["resets_in_seconds"])).toBeGreaterThan(316_000);
});
