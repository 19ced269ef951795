import { expect, test } from "bun:test";
import { asJson, drawing } from "../../src/cli/usage/plan.ts";
import { moment, span } from "../../src/lib/time.ts";
import type { PlanLimits } from "../../src/codex/plan-limits.ts";
import { demoHome } from "../support/demo-home.ts";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const window = (usedPercent: number, windowMinutes: number, inMs: number) => ({
  usedPercent,
  windowMinutes,
  resetsAtMs: NOW + inMs,
});

const LIMITS: PlanLimits = {
  plan: "pro",
  meters: [
    {
      id: "codex",
      name: undefined,
      primary: window(12, 300, 13_860_000),
      secondary: window(100, 10_080, 316_800_000),
      isReached: true,
    },
    { id: "spark", name: "gpt-spark", primary: window(33.3, 300, -1), secondary: undefined, isReached: false },
  ],
  credits: { hasCredits: true, isUnlimited: false, balance: "12.5" },
  reached: undefined,
  seenAtMs: NOW,
};

test("windows are drawn as bars with their reset", () => {
  const clock = (ms: number) => moment(NOW + ms, NOW);
  expect(drawing({ limits: LIMITS, email: "dev@example.com" }, NOW).split("\n")).toEqual([
    "dev@example.com, plan pro",
    `5 hours             ███░░░░░░░░░░░░░░░░░░░░░    12 % used  resets ${clock(13_860_000)} (in 3 h 51 min)`,
    `week                ████████████████████████   100 % used  resets ${clock(316_800_000)} (in 3 d 16 h)`,
    "gpt-spark, 5 hours  ████████░░░░░░░░░░░░░░░░  33.3 % used  has reset since",
    "credits: 12.5",
    "A limit is reached: requests are refused until it resets.",
  ]);
});

test("a window that does not last at its pace says when it is full", () => {
  // 300 minutes, of which 100 are over with 50 % used: full in 100 more.
  const meters = [
    { id: "codex", name: undefined, primary: window(50, 300, 12_000_000), secondary: undefined, isReached: false },
  ];
  const [, row, pace] = drawing({ limits: { ...LIMITS, meters }, email: "dev@example.com" }, NOW).split("\n");
  expect(row).toContain("50 % used");
  expect(pace?.trim()).toBe(`at this rate full ${moment(NOW + 6_000_000, NOW)}, 1 h 40 min before it resets`);
  expect(asJson({ limits: { ...LIMITS, meters }, email: undefined }, NOW).windows[0]).toMatchObject({
    full_at: new Date(NOW + 6_000_000).toISOString(),
    percent_at_reset: 150,
  });
});

test("for scripts every number has its unit in its name", () => {
  expect(asJson({ limits: LIMITS, email: undefined }, NOW)).toMatchObject({
    plan: "pro",
    email: null,
    limit_reached: true,
    windows: [
      { meter: "codex", name: null, kind: "primary", window_minutes: 300, used_percent: 12, resets_in_seconds: 13_860 },
      { kind: "secondary", resets_at: "2026-11-25T02:00:00.000Z" },
      { meter: "spark", name: "gpt-spark", resets_in_seconds: 0 },
    ],
    credits: { has_credits: true, unlimited: false, balance: "12.5" },
  });
});

test.each([
  [0, "0 s"],
  [59_000, "59 s"],
  [60_000, "1 min"],
  [3_600_000, "1 h"],
  [13_860_000, "3 h 51 min"],
  [86_400_000, "1 d"],
  [316_800_000, "3 d 16 h"],
])("%i ms are %s", (ms, text) => {
  expect(span(ms)).toBe(text);
});

test("a moment has its day when it is not soon, and its year when it is far", () => {
  expect(moment(NOW + 3_600_000, NOW)).toMatch(/^\d\d:\d\d$/);
  expect(moment(NOW + 316_800_000, NOW)).toMatch(
    /^[A-Z][a-z]{2}, \d+ Nov \d\d:\d\d$|^[A-Z][a-z]{2} \d+ Nov \d\d:\d\d$/,
  );
  expect(moment(NOW + 400 * 86_400_000, NOW)).toMatch(/2027 \d\d:\d\d$/);
});

const demo = demoHome(({ accessToken }) => ({ OPENAI_ACCESS_TOKEN: accessToken }));

test("the command asks the backend", async () => {
  const { code, out, err } = await demo.home.run(["usage"]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toStartWith("dev@example.com, plan pro\n5 hours ");
  expect(out).toContain("gpt-5.3-codex-spark, week");
  expect(out).toContain("credits: 12.5");
  const asked = demo.backend.requests.filter((request) => request.path.endsWith("/wham/usage"));
  expect(asked).toHaveLength(1);
  expect(Object.keys(asked[0]?.headers ?? {}).toSorted()).toEqual([
    "accept",
    "accept-encoding",
    "authorization",
    "chatgpt-account-id",
    "connection",
    "host",
    "user-agent",
  ]);
  const json = JSON.parse((await demo.home.run(["usage", "--json"])).out) as { windows: unknown[] };
  expect(json.windows).toHaveLength(4);
});

test("Business plans, banked resets and Luna Reserve are shown (contract 0.4, 0.5)", async () => {
  const { accessToken } = demo.backend.issueLogin({
    plan: "business",
    usage: {
      rate_limit: null,
      spend_control: {
        reached: false,
        individual_limit: { limit: "50", used: "12.5", used_percent: 25, reset_at: 4_102_444_800, unit: "credit" },
      },
      additional_rate_limits: [
        {
          limit_name: "gpt-reserve",
          metered_feature: "base_model_inference",
          normal_model_slug: "gpt-5.6-luna",
          rate_limit: { limit_reached: false, primary_window: { used_percent: 3, limit_window_seconds: 604_800 } },
        },
      ],
      rate_limit_reset_credits: { available_count: 2 },
      rate_limit_upsell: { banner_type: "luna_reserve" },
    },
  });
  const env = { OPENAI_ACCESS_TOKEN: accessToken };
  const { out } = await demo.home.run(["usage"], env);
  expect(out.split("\n")).toEqual([
    "dev@example.com, plan business",
    expect.stringMatching(/^spending limit +█{6}░{18} +25 % used +12\.5 of 50 credit, resets /),
    expect.stringMatching(/^Luna Reserve \(gpt-reserve\), week +█░{23} +3 % used/),
    "credits: 12.5",
    "banked resets: 2 (use them in ChatGPT or the Codex CLI; the relay never does)",
    "Luna Reserve is offered: ask for gpt-reserve in place of gpt-5.6-luna.",
    "",
  ]);
  expect(JSON.parse((await demo.home.run(["usage", "--json"], env)).out)).toMatchObject({
    windows: [
      { meter: "spend", amount: { used: "12.5", limit: "50", unit: "credit" } },
      { stands_in_for: "gpt-5.6-luna" },
    ],
    banked_resets: 2,
    reserve_offered: true,
  });
});

test("--watch goes on, one object a line for scripts", async () => {
  const watching = demo.home.start(["usage", "--watch", "--json"]);
  const [line] = await watching.says(/^\{.*\}\n/);
  expect(JSON.parse(line)).toMatchObject({ plan: "pro" });
  watching.kill();
  await watching.ended;
});

test.each([
  [["--every", "1"], {}, 2, "Bad value '1' for --every.", "at least 5"],
  [["--every"], {}, 2, "--every needs a value.", "--every VALUE"],
  [[], { OPENAI_ACCESS_TOKEN: "dead" }, 1, "The access token has expired", "OPENAI_REFRESH_TOKEN"],
  [[], { PLANSOCKET_BASE_URL: "http://127.0.0.1:9" }, 1, "127.0.0.1:9 could not be reached", "Check your network"],
])("usage %j with %j fails in plain words", async (args, env, code, message, hint) => {
  const ended = await demo.home.run(["usage", ...args], env);
  expect([ended.code, ended.out]).toEqual([code, ""]);
  expect(ended.err).toContain(message);
  expect(ended.err).toContain(hint);
});

test("serve refuses a fallback to an API key that nobody has set, and other commands do not mind", async () => {
  const { code, err } = await demo.home.run(["serve", "--port", "0", "--fallback", "api-key"]);
  expect([code, err]).toEqual([
    2,
    "plansocket: --fallback api-key needs the key that pays.\n" +
      "  Set PLANSOCKET_FALLBACK_API_KEY, or PLANSOCKET_FALLBACK_API_KEY_FILE, to an API key of the public API.\n",
  ]);
  expect((await demo.home.run(["usage", "--json"], { PLANSOCKET_FALLBACK: "api-key" })).code).toBe(0);
});
