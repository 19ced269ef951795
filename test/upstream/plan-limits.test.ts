import { describe, expect, test } from "bun:test";
import { RelayError } from "../../src/lib/errors.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { moment } from "../../src/lib/time.ts";
import { PlanLimitsKeeper } from "../../src/upstream/plan-limits.ts";

const START = 1_795_217_431_000;

function keeper(options: { stopAtPercent?: number; answers?: (string | Error)[] } = {}) {
  const clock = { ms: START };
  const asked: number[] = [];
  const answers = [...(options.answers ?? [])];
  const limits = new PlanLimitsKeeper({
    stopAtPercent: options.stopAtPercent,
    now: () => clock.ms,
    log: SILENT_LOG,
    ask() {
      asked.push(clock.ms);
      const answer = answers.shift() ?? new Error("nothing scripted");
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });
  return { limits, clock, asked };
}

const used = (percent: number, inSeconds = 3600) =>
  JSON.stringify({
    plan_type: "plus",
    rate_limit: {
      primary_window: { used_percent: percent, limit_window_seconds: 18_000, reset_after_seconds: inSeconds },
    },
  });

async function refusal(promise: Promise<void>): Promise<RelayError | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
}

describe("without a limit of the owner's", () => {
  test("nothing is asked and nothing refused, however full the plan is", async () => {
    const { limits, asked } = keeper();
    limits.noticeBody(JSON.parse(used(100)), "acc");
    await limits.admit("gpt-5.5", "acc");
    expect(asked).toEqual([]);
    expect(limits.current()?.meters[0]?.primary?.usedPercent).toBe(100);
  });
});

describe("a window that fills is told in the log", () => {
  /** What was told after each of these percentages. */
  function told(...percents: number[]): string[][] {
    const lines: string[] = [];
    const limits = new PlanLimitsKeeper({
      stopAtPercent: undefined,
      now: () => START,
      log: { ...SILENT_LOG, warn: (message) => lines.push(message) },
      ask: () => Promise.reject(new Error("nobody asks")),
    });
    return percents.map((percent) => {
      limits.noticeBody(JSON.parse(used(percent)), "acc");
      return lines.splice(0);
    });
  }

  test("once at 80 and once at 95 percent, with its pace and its reset", () => {
    const lines = told(79.9, 80, 85, 95, 99, 100);
    expect(lines.map(({ length }) => length)).toEqual([0, 1, 0, 1, 0, 0]);
    // Four of five hours are over.
    expect(lines[1]?.[0]).toBe(
      `The 5 hours limit of the plan is 80 % used; at this rate full ${moment(START + 3_600_000, START)}; ` +
        `resets ${moment(START + 3_600_000, START)}. \`plansocket usage\` shows more.`,
    );
  });

  test("again after it has reset, and only once when it jumps", () => {
    expect(told(99, 3, 81).map(({ length }) => length)).toEqual([1, 0, 1]);
  });
});

describe("replies that say the same", () => {
  const words = (percent: number, more: object = {}) => ({
    "x-codex-primary-used-percent": String(percent),
    "x-codex-primary-reset-after-seconds": "60",
    ...more,
  });
  const usedNow = ({ limits }: ReturnType<typeof keeper>) => limits.current()?.meters[0]?.primary?.usedPercent;

  test("within a second are read once, whatever state their turns are in", () => {
    const { limits, clock } = keeper();
    limits.noticeHeaders(words(10, { "x-codex-turn-state": "a" }), "acc");
    const first = limits.current();
    clock.ms += 999;
    limits.noticeHeaders(words(10, { "x-codex-turn-state": "b" }), "acc");
    expect(limits.current()).toBe(first);
    clock.ms += 1;
    limits.noticeHeaders(words(10), "acc");
    expect(limits.current()?.seenAtMs).toBe(START + 1000);
    expect(limits.current()?.meters[0]?.primary?.resetsAtMs).toBe(START + 61_000);
    clock.ms -= 5000;
    limits.noticeHeaders(words(10), "acc");
    expect(limits.current()?.seenAtMs).toBe(START - 4000);
  });

  test("count anew after a question that failed: the next one is not asked sooner for it", async () => {
    const { limits, clock, asked } = keeper({ stopAtPercent: 90, answers: [new Error("away")] });
    limits.noticeHeaders(words(10), "acc");
    clock.ms += 10 * 60_000 - 1;
    limits.noticeHeaders(words(11), "acc");
    clock.ms += 1;
    limits.noticeHeaders(words(10), "other");
    await limits.admit("m", "acc");
    limits.noticeHeaders(words(10), "other");
    clock.ms += 2 * 60_000;
    await limits.admit("m", "other");
    expect(asked).toHaveLength(1);
  });

  test("count anew where something else was heard between them, or of another account", () => {
    const held = keeper();
    const { limits } = held;
    limits.noticeHeaders(words(10), "acc");
    limits.noticeBody(JSON.parse(used(50)), "acc");
    expect(usedNow(held)).toBe(50);
    limits.noticeHeaders(words(10), "acc");
    expect(usedNow(held)).toBe(10);
    limits.noticeHeaders(words(20), "acc");
    expect(usedNow(held)).toBe(20);
    limits.noticeHeaders(words(10), "acc");
    expect(usedNow(held)).toBe(10);
    const { meters } = limits.current() ?? {};
    limits.noticeHeaders(words(10), "other");
    expect(limits.current()?.meters).not.toBe(meters);
    limits.noticeBody(JSON.parse(used(70)), "other");
    limits.noticeHeaders({ "content-type": "text/event-stream" }, "other");
    limits.noticeHeaders({}, "other");
    expect(usedNow(held)).toBe(70);
  });
});

describe("with one", () => {
  test("asks once before the first request, and refuses in the backend's own form", async () => {
    const { limits, asked } = keeper({ stopAtPercent: 90, answers: [used(92.5)] });
    const [error] = await Promise.all([refusal(limits.admit("m", "acc")), refusal(limits.admit("m", "acc"))]);
    expect(asked).toHaveLength(1);
    expect(error).toMatchObject({
      code: "quota_exceeded",
      status: 429,
      wireCode: "usage_limit_reached",
      shouldRetry: false,
      retryAfterMs: 3_600_000,
      hint: "Wait, or raise --stop-at.",
      message:
        "The 5 hours limit of the plan is 92.5 % used, and this relay stops at 90 %. It resets at 2026-11-21T00:30:31.000Z.",
    });
    expect(JSON.parse(error?.upstreamBody?.text ?? "")).toMatchObject({
      error: {
        type: "usage_limit_reached",
        plan_type: "plus",
        resets_at: (START + 3_600_000) / 1000,
        resets_in_seconds: 3600,
      },
    });
  });

  test("lets requests pass below it, and again once the window has ended", async () => {
    const { limits, clock } = keeper({ stopAtPercent: 90, answers: [used(89.9), used(95, 3600)] });
    expect(await refusal(limits.admit("m", "acc"))).toBeUndefined();
    limits.noticeHeaders({ "x-codex-primary-used-percent": "90", "x-codex-primary-reset-after-seconds": "60" }, "acc");
    expect(await refusal(limits.admit("m", "acc"))).toBeDefined();
    clock.ms += 60_001;
    expect(await refusal(limits.admit("m", "acc"))).toBeUndefined();
  });

  test("asks again when the news are old", async () => {
    const { limits, clock, asked } = keeper({ stopAtPercent: 90, answers: [used(95, 86_400), used(10)] });
    expect(await refusal(limits.admit("m", "acc"))).toBeDefined();
    clock.ms += 9 * 60_000;
    expect(await refusal(limits.admit("m", "acc"))).toBeDefined();
    clock.ms += 2 * 60_000;
    expect(await refusal(limits.admit("m", "acc"))).toBeUndefined();
    expect(asked).toHaveLength(2);
  });

  test("another login's windows are not this one's", async () => {
    const { limits, asked } = keeper({ stopAtPercent: 90, answers: [used(10)] });
    limits.noticeBody(JSON.parse(used(100)), "other");
    expect(await refusal(limits.admit("m", "acc"))).toBeUndefined();
    expect(asked).toHaveLength(1);
    expect(limits.current()?.meters[0]?.primary?.usedPercent).toBe(10);
  });

  test.each([["acc"], [undefined]])(
    "when nobody can say how full %p's plan is, it is not asked each time",
    async (id) => {
      const { limits, clock, asked } = keeper({ stopAtPercent: 90, answers: [new Error("away"), "{}", used(99)] });
      expect(await refusal(limits.admit("m", id))).toBeUndefined();
      expect(await refusal(limits.admit("m", id))).toBeUndefined();
      expect(asked).toHaveLength(1);
      clock.ms += 60_000;
      expect(await refusal(limits.admit("m", id))).toBeUndefined();
      clock.ms += 60_000;
      expect(await refusal(limits.admit("m", id))).toBeDefined();
    },
  );

  test("requests that come while it is asked wait for the answer", async () => {
    const { limits, clock } = keeper({ stopAtPercent: 90, answers: [used(10), used(95)] });
    await limits.admit("m", "acc");
    clock.ms += 11 * 60_000;
    const both = await Promise.all([refusal(limits.admit("m", "acc")), refusal(limits.admit("m", "acc"))]);
    expect(both.map((error) => error?.code)).toEqual(["quota_exceeded", "quota_exceeded"]);
  });

  test("a model with a meter of its own is held against that", async () => {
    const { limits } = keeper({ stopAtPercent: 90 });
    limits.noticeHeaders(
      {
        "x-codex-primary-used-percent": "10",
        "x-codex-spark-primary-used-percent": "95",
        "x-codex-spark-limit-name": "gpt-spark",
      },
      "acc",
    );
    expect(await refusal(limits.admit("gpt-5.5", "acc"))).toBeUndefined();
    expect((await refusal(limits.admit("gpt-spark", "acc")))?.message).toBe(
      "The limit of gpt-spark is 95 % used, and this relay stops at 90 %.",
    );
  });
});
