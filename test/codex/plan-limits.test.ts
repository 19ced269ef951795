import { describe, expect, test } from "bun:test";
import {
  fullestWindow,
  headersFromLimits,
  limitsFromBody,
  limitsFromHeaders,
  mergeLimits,
  metersFor,
  reserveOf,
  windowsOf,
  windowName,
} from "../../src/codex/plan-limits.ts";
import { namedHeaders } from "../../src/codex/wire/reply-headers.ts";

const NOW = 1_795_217_431_000;

/** As the backend sends them beside a refusal. */
const HEADERS = {
  "x-codex-active-limit": "premium",
  "x-codex-plan-type": "plus",
  "x-codex-primary-used-percent": "100",
  "x-codex-primary-window-minutes": "300",
  "x-codex-primary-reset-after-seconds": "13873",
  "x-codex-primary-reset-at": "1795231304",
  "x-codex-secondary-used-percent": "80.5",
  "x-codex-secondary-window-minutes": "10080",
  "x-codex-secondary-reset-after-seconds": "316705",
  "x-codex-secondary-reset-at": "",
  "x-codex-primary-over-secondary-limit-percent": "0",
  "x-codex-credits-has-credits": "True",
  "x-codex-credits-unlimited": "False",
  "x-codex-credits-balance": "12.5",
  "x-codex-rate-limit-reached-type": "primary",
  "x-codex-bengalfox-primary-used-percent": "3",
  "x-codex-bengalfox-limit-name": "gpt-5.3-codex-spark",
  "x-codex-gpt-7-primary-used-percent": "4",
};

describe("from headers", () => {
  test("windows, credits and meters of single models", () => {
    expect(limitsFromHeaders(namedHeaders(new Headers(HEADERS)), NOW)).toEqual({
      plan: "plus",
      meters: [
        {
          id: "codex",
          name: undefined,
          primary: { usedPercent: 100, windowMinutes: 300, resetsAtMs: 1_795_231_304_000 },
          // An empty moment says nothing; the wait does.
          secondary: { usedPercent: 80.5, windowMinutes: 10_080, resetsAtMs: NOW + 316_705_000 },
          isReached: undefined,
        },
        {
          id: "bengalfox",
          name: "gpt-5.3-codex-spark",
          primary: { usedPercent: 3, windowMinutes: undefined, resetsAtMs: undefined },
          secondary: undefined,
          isReached: undefined,
        },
        {
          id: "gpt_7",
          name: "gpt-7",
          primary: { usedPercent: 4, windowMinutes: undefined, resetsAtMs: undefined },
          secondary: undefined,
          isReached: undefined,
        },
      ],
      credits: { hasCredits: true, isUnlimited: false, balance: "12.5" },
      reached: "primary",
      seenAtMs: NOW,
    });
  });

  test.each([[{}], [{ "x-codex-plan-type": "pro" }], [{ "x-codex-primary-window-minutes": "300" }]])(
    "%j says nothing",
    (headers) => {
      expect(limitsFromHeaders(namedHeaders(new Headers(headers as Record<string, string>)), NOW)).toBeUndefined();
    },
  );

  test("junk in one of them spoils no other", () => {
    const limits = limitsFromHeaders(
      namedHeaders(new Headers({ ...HEADERS, "x-codex-primary-used-percent": "many" })),
      NOW,
    );
    expect(limits?.meters[0]).toMatchObject({ id: "codex", primary: undefined, secondary: { usedPercent: 80.5 } });
  });
});

describe("from the usage endpoint, in seconds", () => {
  const body = {
    email: "dev@example.com",
    plan_type: "pro",
    rate_limit: {
      allowed: true,
      limit_reached: true,
      primary_window: {
        used_percent: 12,
        limit_window_seconds: 18_000,
        reset_after_seconds: 900,
        reset_at: 1_795_300_000,
      },
      secondary_window: null,
    },
    code_review_rate_limit: null,
    additional_rate_limits: [
      {
        limit_name: "gpt-5.3-codex-spark",
        metered_feature: "codex_bengalfox",
        rate_limit: { primary_window: { used_percent: 1, limit_window_seconds: 604_800, reset_after_seconds: 10 } },
      },
    ],
    credits: { has_credits: true, unlimited: false, balance: "12.5", approx_local_messages: [1, 2] },
    rate_limit_reached_type: { type: "workspace_owner_limit" },
  };

  test("the whole of it", () => {
    expect(limitsFromBody(body, NOW)).toEqual({
      plan: "pro",
      meters: [
        {
          id: "codex",
          name: undefined,
          primary: { usedPercent: 12, windowMinutes: 300, resetsAtMs: 1_795_300_000_000 },
          secondary: undefined,
          isReached: true,
        },
        {
          id: "codex_bengalfox",
          name: "gpt-5.3-codex-spark",
          primary: { usedPercent: 1, windowMinutes: 10_080, resetsAtMs: NOW + 10_000 },
          secondary: undefined,
          isReached: undefined,
        },
      ],
      credits: { hasCredits: true, isUnlimited: false, balance: "12.5" },
      reached: "workspace_owner_limit",
      seenAtMs: NOW,
    });
  });

  test.each([
    [{ ...body, credits: "none", additional_rate_limits: "none" }, 1],
    [{ ...body, rate_limit: { primary_window: "x", secondary_window: { used_percent: 5 } } }, 2],
  ])("parts of another form are left out: %#", (odd, meters) => {
    expect(limitsFromBody(odd, NOW)?.meters).toHaveLength(meters);
  });

  test.each([[null], ["x"], [{}], [[]], [{ rate_limit: null }], [{ detail: "Not Found" }]])(
    "%j says nothing",
    (odd) => {
      expect(limitsFromBody(odd, NOW)).toBeUndefined();
    },
  );
});

test("from the event of a stream, in minutes", () => {
  const event = {
    type: "codex.rate_limits",
    plan_type: "pro",
    rate_limits: {
      allowed: true,
      limit_reached: false,
      primary: { used_percent: 42, window_minutes: 300, reset_after_seconds: 100, reset_at: 1_795_300_000 },
      secondary: { used_percent: 5, window_minutes: 10_080, reset_after_seconds: 1000, reset_at: 1_795_900_000 },
    },
    code_review_rate_limits: null,
    additional_rate_limits: null,
    metered_limit_name: null,
    limit_name: null,
    credits: { has_credits: false, unlimited: false, balance: null },
    promo: null,
  };
  expect(limitsFromBody(event, NOW)).toMatchObject({
    plan: "pro",
    meters: [
      {
        id: "codex",
        primary: { usedPercent: 42, windowMinutes: 300 },
        secondary: { usedPercent: 5, windowMinutes: 10_080, resetsAtMs: 1_795_900_000_000 },
        isReached: false,
      },
    ],
    credits: { hasCredits: false, isUnlimited: false, balance: undefined },
  });
  const named = limitsFromBody({ ...event, metered_limit_name: "codex-bengalfox" }, NOW);
  expect(named?.meters).toMatchObject([{ id: "codex_bengalfox", name: "codex-bengalfox" }]);
});

test.each([1e18, 1e300, -1e18])("a reset at %p is none: it could not be shown", (at) => {
  const window = { used_percent: 1, reset_at: at, reset_after_seconds: at };
  const body = limitsFromBody({ rate_limit: { primary_window: window } }, NOW);
  expect(body?.meters[0]?.primary).toEqual({ usedPercent: 1, windowMinutes: undefined, resetsAtMs: undefined });
  const headers = { "x-codex-primary-used-percent": "1", "x-codex-primary-reset-after-seconds": String(at) };
  expect(limitsFromHeaders(namedHeaders(new Headers(headers)), NOW)?.meters[0]?.primary?.resetsAtMs).toBeUndefined();
});

test("newer news replace what they speak of and leave the rest", () => {
  const older = limitsFromHeaders(namedHeaders(new Headers(HEADERS)), NOW);
  const newer = limitsFromHeaders(namedHeaders(new Headers({ "x-codex-primary-used-percent": "1" })), NOW + 1);
  if (!older || !newer) throw new Error("nothing read");
  const merged = mergeLimits(older, newer);
  expect(merged.meters.map((meter) => [meter.id, meter.primary?.usedPercent])).toEqual([
    ["codex", 1],
    ["bengalfox", 3],
    ["gpt_7", 4],
  ]);
  expect(merged).toMatchObject({ plan: "plus", credits: { balance: "12.5" }, reached: undefined, seenAtMs: NOW + 1 });
  expect(mergeLimits(undefined, newer)).toBe(newer);
});

test("a model counts on its own meter where it has one; an ended window counts no more", () => {
  const limits = limitsFromHeaders(namedHeaders(new Headers(HEADERS)), NOW);
  if (!limits) throw new Error("nothing read");
  expect(metersFor(limits, "gpt-5.3-codex-spark").map(({ id }) => id)).toEqual(["bengalfox"]);
  const [main] = metersFor(limits, "gpt-5.5");
  if (!main) throw new Error("no meter");
  expect(main.id).toBe("codex");
  expect(fullestWindow(main, NOW)?.usedPercent).toBe(100);
  expect(fullestWindow(main, NOW + 13_874_000)?.usedPercent).toBe(80.5);
  expect(fullestWindow(main, NOW + 400_000_000)).toBeUndefined();
});

test.each([
  [300, "5 hours"],
  [10_080, "week"],
  [1440, "day"],
  [43_200, "month"],
  [60, "hour"],
  [45, "45 minutes"],
  [undefined, "window"],
])("%p minutes are called %s", (minutes, name) => {
  expect(windowName(minutes)).toBe(name);
});

describe("plans that count in other ways", () => {
  test("a workspace's spending limit is a meter of all models (contract 0.5)", () => {
    const limits = limitsFromBody(
      {
        plan_type: "enterprise",
        rate_limit: null,
        spend_control: {
          reached: false,
          individual_limit: {
            limit: "50.00",
            used: "12.50",
            used_percent: 25,
            reset_at: 1_796_000_000,
            unit: "credit",
          },
        },
      },
      NOW,
    );
    expect(limits?.meters).toMatchObject([
      {
        id: "spend",
        primary: { usedPercent: 25, resetsAtMs: 1_796_000_000_000 },
        amount: { used: "12.50", limit: "50.00", unit: "credit" },
        isReached: false,
      },
    ]);
    expect(limits && metersFor(limits, "gpt-5.5").map(({ id }) => id)).toEqual(["spend"]);
  });

  test.each([
    [{ remaining_percent: 60 }, 40],
    [{ limit: "20", used: "5" }, 25],
    [{ limit: 20, used: 5 }, 25],
  ])("a spending limit of %j is %d % used", (limit, percent) => {
    const limits = limitsFromBody({ spend_control: { individual_limit: limit } }, NOW);
    expect(limits?.meters[0]?.primary?.usedPercent).toBe(percent);
  });

  test("a spending limit that says no amount is no meter, and one that is reached is told", () => {
    expect(limitsFromBody({ spend_control: { individual_limit: { limit: "0", used: "0" } } }, NOW)).toBeUndefined();
    const limits = limitsFromBody({ spend_control: { reached: true, individual_limit: { used_percent: 100 } } }, NOW);
    expect(limits).toMatchObject({ reached: "spend", meters: [{ isReached: true }] });
  });

  test("a monthly window stands beside the others (openai/codex#45908)", () => {
    const body = { rate_limit: { monthly_window: { used_percent: 33, limit_window_seconds: 2_592_000 } } };
    const limits = limitsFromBody(body, NOW);
    expect(limits && windowsOf(limits)).toMatchObject([{ kind: "monthly", window: { usedPercent: 33 } }]);
    const meter = limits?.meters[0];
    expect(meter && windowName(fullestWindow(meter, NOW)?.windowMinutes)).toBe("month");
    const told = limitsFromHeaders(namedHeaders(new Headers({ "x-codex-monthly-used-percent": "7" })), NOW);
    expect(told?.meters[0]?.monthly?.usedPercent).toBe(7);
  });

  test("Luna Reserve is a meter of its own that says what it stands in for (contract 0.4)", () => {
    const reserve = (isReached: boolean) =>
      limitsFromBody(
        {
          rate_limit: { limit_reached: true, primary_window: { used_percent: 100 } },
          additional_rate_limits: [
            {
              limit_name: "gpt-reserve",
              metered_feature: "base_model_inference",
              normal_model_slug: "gpt-5.6-luna",
              rate_limit: { limit_reached: isReached, primary_window: { used_percent: 3 } },
            },
          ],
          rate_limit_upsell: { banner_type: "luna_reserve" },
        },
        NOW,
      );
    const limits = reserve(false);
    expect(limits).toMatchObject({
      isReserveOffered: true,
      meters: [{ id: "codex" }, { standsInFor: "gpt-5.6-luna" }],
    });
    expect(limits && reserveOf(limits)?.name).toBe("gpt-reserve");
    expect(limits && metersFor(limits, "gpt-reserve").map(({ id }) => id)).toEqual(["base_model_inference"]);
    const used = reserve(true);
    expect(used && reserveOf(used)).toBeUndefined();
  });

  test("banked resets alone are worth telling, and later headers do not take them away", () => {
    const limits = limitsFromBody({ rate_limit_reset_credits: { available_count: 2 } }, NOW);
    expect(limits).toMatchObject({ meters: [], bankedResets: 2 });
    const newer = limitsFromHeaders(namedHeaders(new Headers(HEADERS)), NOW);
    expect(newer && mergeLimits(limits, newer).bankedResets).toBe(2);
  });
});

test.each(["プラス", "plus\r\nx: y", ""])(
  "a plan called %j, which no header can carry, is left out of headers",
  (plan) => {
    const limits = limitsFromBody({ plan_type: plan, rate_limit: { primary_window: { used_percent: 1 } } }, NOW);
    const headers = limits && headersFromLimits(limits, NOW);
    expect(headers).toEqual({ "x-codex-primary-used-percent": "1" });
    expect(() => new Headers(headers)).not.toThrow();
  },
);
