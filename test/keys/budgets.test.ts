import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlanLimits } from "../../src/codex/plan-limits.ts";
import type { Reservation, Spent } from "../../src/keys/budgets.ts";
import type { KeyLimits } from "../../src/keys/key.ts";
import { LocalBudgets } from "../../src/keys/local-budgets.ts";
import { UsageFile, usagePath } from "../../src/keys/usage-file.ts";
import { endOfDay, merged, NO_USAGE, withRequest, NO_DELTA, type UsageState } from "../../src/keys/usage-state.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";

let folder: string;
let nowMs: number;
const open: LocalBudgets[] = [];
const budgets = () => {
  const opened = new LocalBudgets({ file: new UsageFile(usagePath(folder)), log: SILENT_LOG, now: () => nowMs });
  open.push(opened);
  return opened;
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-budgets-"));
  nowMs = new Date(2027, 0, 30, 12).getTime();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((opened) => opened.close()));
  rmSync(folder, { recursive: true, force: true });
});

const key = (limits: KeyLimits, name = "laptop") => ({ id: `id of ${name}`, name, limits });
const estimate = (inputTokens = 0, plan?: PlanLimits) => ({ inputTokens, plan });
const spent = (tokens: number): Spent => ({ input: 0, cached: 0, output: tokens });
const plan = (usedPercent: number, resetsAtMs: number): PlanLimits => ({
  plan: "pro",
  meters: [
    {
      id: "codex",
      name: undefined,
      primary: { usedPercent, windowMinutes: 300, resetsAtMs },
      secondary: undefined,
      isReached: undefined,
    },
  ],
  credits: undefined,
  reached: undefined,
  seenAtMs: 0,
});

/** Of 100 that come together: those that were let in, and why the others were not. */
async function together(one: LocalBudgets, limits: KeyLimits, inputTokens: number) {
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => one.reserve(key(limits), estimate(inputTokens))),
  );
  const held = results.flatMap((result): Reservation[] => (result.status === "fulfilled" ? [result.value] : []));
  const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason as RelayError] : []));
  return { held, refused };
}

describe("tokens a day", () => {
  test("hold under 100 at once: no more than what was under way costs beyond its estimate", async () => {
    const one = budgets();
    // Each holds 1,000 of input and as much for an answer.
    const { held, refused } = await together(one, { tokensPerDay: 10_000 }, 1000);
    expect(held).toHaveLength(5);
    expect(refused[0]).toMatchObject({ code: "key_limit_reached", status: 429, retryAfterMs: 5000 });
    // They cost half of it: there is room again for as many as that.
    for (const reservation of held) reservation.settle({ input: 1000, cached: 900, output: 0 }, undefined);
    expect((await together(one, { tokensPerDay: 10_000 }, 1500)).held).toHaveLength(2);
  });

  test("are used up until local midnight, also when the last request cost more than was left", async () => {
    const one = budgets();
    (await one.reserve(key({ tokensPerDay: 100 }), estimate(5000))).settle(spent(250), undefined);
    const refused = await one.reserve(key({ tokensPerDay: 100 }), estimate()).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: "key_limit_reached",
      retryAfterMs: 12 * 3_600_000,
      shouldRetry: false,
      message: expect.stringContaining("has used 250 of its 100 tokens a day"),
    });
    const { text } = (refused as RelayError).upstreamBody ?? { text: "{}" };
    expect(JSON.parse(text)).toMatchObject({
      error: { type: "usage_limit_reached", resets_at: endOfDay(nowMs) / 1000, resets_in_seconds: 43_200 },
    });
    nowMs = endOfDay(nowMs);
    (await one.reserve(key({ tokensPerDay: 100 }), estimate())).settle(spent(1), undefined);
  });

  test("are one key's own", async () => {
    const one = budgets();
    (await one.reserve(key({ tokensPerDay: 100 }), estimate())).settle(spent(100), undefined);
    await expect(one.reserve(key({ tokensPerDay: 100 }), estimate())).rejects.toThrow();
    await one.reserve(key({ tokensPerDay: 100 }, "other"), estimate());
  });

  test("survive a restart, and a process that was killed once they were written", async () => {
    const first = budgets();
    (await first.reserve(key({ tokensPerDay: 100 }), estimate())).settle(spent(100), undefined);
    await first.close();
    expect(statSync(usagePath(folder)).mode & 0o777).toBe(0o600);
    await expect(budgets().reserve(key({ tokensPerDay: 100 }), estimate())).rejects.toThrow("has used 100");
  });

  test("of several relays add up", async () => {
    const [one, other] = [budgets(), budgets()];
    await Promise.all(
      [one, other].flatMap((relay) =>
        Array.from({ length: 10 }, async () => {
          (await relay.reserve(key({}), estimate())).settle(spent(7), undefined);
          await relay.close();
        }),
      ),
    );
    expect(new UsageFile(usagePath(folder)).read()?.keys["id of laptop"]).toMatchObject({ tokens: 140, requests: 20 });
    await expect(budgets().reserve(key({ tokensPerDay: 140 }), estimate())).rejects.toThrow("has used 140");
  });

  test("begin anew where the file is broken, which is set aside", async () => {
    writeFileSync(usagePath(folder), "{");
    const one = budgets();
    (await one.reserve(key({}), estimate())).settle(spent(7), undefined);
    await one.close();
    expect(readdirSync(folder).toSorted()).toEqual(["key-usage.json", "key-usage.json.broken"]);
    expect(new UsageFile(usagePath(folder)).read()?.keys["id of laptop"]?.tokens).toBe(7);
  });

  test("go on counting while they cannot be written, and are written later", async () => {
    const file = new UsageFile(usagePath(folder));
    const told: string[] = [];
    const log = { ...SILENT_LOG, warn: (text: string) => told.push(text) };
    let isFull = true;
    const update = file.update.bind(file);
    file.update = (change) => (isFull ? Promise.reject(new Error("ENOSPC")) : update(change));
    const one = new LocalBudgets({ file, log, now: () => nowMs });
    (await one.reserve(key({}), estimate())).settle(spent(60), undefined);
    await one.close();
    (await one.reserve(key({}), estimate())).settle(spent(40), undefined);
    await one.close();
    await expect(one.reserve(key({ tokensPerDay: 100 }), estimate())).rejects.toThrow("has used 100");
    expect(told).toHaveLength(1);
    isFull = false;
    await one.close();
    expect(file.read()?.keys["id of laptop"]?.tokens).toBe(100);
  });
});

test("requests at once hold under 100 at once", async () => {
  const one = budgets();
  const { held, refused } = await together(one, { requestsAtOnce: 3 }, 0);
  expect([held.length, refused.length]).toEqual([3, 97]);
  expect(refused[0]).toMatchObject({
    status: 429,
    retryAfterMs: 1000,
    message: "The key 'laptop' may have 3 requests at once.",
  });
  held[0]?.settle(spent(0), undefined);
  held[0]?.settle(spent(0), undefined);
  expect((await together(one, { requestsAtOnce: 3 }, 0)).held).toHaveLength(1);
});

describe("the share of a window", () => {
  const HOUR_MS = 3_600_000;

  test("grows with the window, by what each key used meanwhile", async () => {
    const one = budgets();
    const resetsAtMs = nowMs + 3 * HOUR_MS;
    const use = async (name: string, tokens: number, usedPercent: number, resets = resetsAtMs) => {
      (await one.reserve(key({}, name), estimate())).settle(spent(tokens), plan(usedPercent, resets));
      await one.close();
    };
    await use("laptop", 10, 40);
    await use("laptop", 290, 40);
    await use("other", 100, 44);
    const { codexPrimary } = windows();
    expect(codexPrimary?.filledBy).toEqual({ "id of laptop": 3, "id of other": 1 });
    await expect(
      one.reserve(key({ shareOfWindowPercent: 3 }), estimate(0, plan(44, resetsAtMs))),
    ).rejects.toMatchObject({
      code: "key_limit_reached",
      retryAfterMs: 3 * HOUR_MS,
      message: expect.stringContaining("about 3.0 % of the plan's 5 hours limit, and may use 3 %"),
    });
    // The window has ended: nobody has filled the next one.
    nowMs = resetsAtMs;
    (await one.reserve(key({ shareOfWindowPercent: 3 }), estimate())).settle(spent(0), undefined);
    await use("other", 100, 2, resetsAtMs + 5 * HOUR_MS);
    expect(windows().codexPrimary?.filledBy).toEqual({ "id of laptop": 0, "id of other": 2 });
  });

  /** As the file has it. */
  function windows() {
    return { codexPrimary: new UsageFile(usagePath(folder)).read()?.windows["codex primary"] };
  }

  test("holds when many come together, by the rate at which the window has grown", async () => {
    const one = budgets();
    const resetsAtMs = nowMs + HOUR_MS;
    const use = async (tokens: number, usedPercent: number) => {
      (await one.reserve(key({}), estimate())).settle(spent(tokens), plan(usedPercent, resetsAtMs));
      await one.close();
    };
    await use(0, 10);
    // 10,000 tokens are a percent.
    await use(20_000, 12);
    const { held, refused } = await together(one, { shareOfWindowPercent: 5 }, 10_000);
    // The answers of this key are long by now; two and a half of the rest fit, and the one that passes it.
    expect(held.length).toBeLessThanOrEqual(3);
    expect(held.length + refused.length).toBe(100);
    for (const reservation of held) reservation.settle(spent(0), undefined);
    // None of it was used.
    await one.reserve(key({ shareOfWindowPercent: 5 }), estimate());
  });

  test("is not taken for used up because others filled the window", async () => {
    const one = budgets();
    const use = async (tokens: number, usedPercent: number) => {
      const room = await one.reserve(key({ shareOfWindowPercent: 3 }), estimate());
      room.settle(spent(tokens), plan(usedPercent, nowMs + HOUR_MS));
      await one.close();
    };
    await use(1, 10);
    // A percent that somebody else filled, for a word of this key.
    await use(1, 11);
    for (let turn = 0; turn < 10; turn += 1) await use(3000, 11);
    await use(3000, 12);
    await use(3000, 12);
  });

  test("does not take replies that overtake each other for a new window", () => {
    const at = (state: UsageState, used: number, tokens: number) =>
      merged(state, withRequest(NO_DELTA, "a", spent(tokens), plan(used, 1_000_000_000), 0));
    let state = at(NO_USAGE, 10, 1);
    state = at(state, 12, 10);
    state = at(state, 11, 10);
    expect(state.windows["codex primary"]).toMatchObject({ usedPercent: 12, filledBy: { a: 2 } });
    state = at(state, 13, 10);
    expect(state.windows["codex primary"]?.filledBy).toEqual({ a: 3 });
    state = at(state, 1, 10);
    expect(state.windows["codex primary"]).toMatchObject({ usedPercent: 1, filledBy: { a: 1 } });
  });

  test("of growth while nobody here used anything is nobody's", () => {
    const first = merged(NO_USAGE, { ...NO_DELTA, plan: plan(10, 1_000_000_000) });
    const second = merged(first, { ...NO_DELTA, plan: plan(60, 1_000_000_000) });
    expect(second.windows["codex primary"]).toMatchObject({ usedPercent: 60, filledBy: {} });
  });
});
