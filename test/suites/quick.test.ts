import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { readOptions } from "./options.ts";
import { missingFor, outcomes, prepared } from "./packages.ts";
import { SUITES, type Suite } from "./suites.ts";
import { tallied } from "./tally.ts";

/** Cases of an SDK, on a machine that has other work. */
const CASES_MS = 120_000;

/** Not from registries during every run of the tests: in CI, or where somebody asks for it. */
const isWanted = process.env["CI"] !== undefined || process.env["SUITES"] !== undefined;

/** The command of a suite, or why it is passed over: known before tests have names, so that it counts as skipped. */
function planOf(suite: Suite): { readonly command: readonly string[] } | { readonly missing: string } {
  if (!isWanted) return { missing: "neither CI nor SUITES is set" };
  const missing = missingFor(suite);
  if (missing !== undefined) return { missing };
  try {
    return { command: prepared(suite) };
  } catch (error) {
    return { missing: `it cannot be got: ${error instanceof Error ? error.message : String(error)}` };
  }
}

describe("other people's SDKs", () => {
  let demo: DemoRelay;
  beforeAll(() => {
    demo = startDemoRelay();
  });
  afterAll(() => demo.stop());

  for (const suite of SUITES.filter(({ isQuick }) => isQuick === true)) {
    const plan = planOf(suite);
    if ("missing" in plan) {
      test.skip(`${suite.name} (${plan.missing.replaceAll("\n", " ")})`, () => {});
      continue;
    }
    test(
      `every documented use of ${suite.name} that is tried here holds`,
      async () => {
        const all = await outcomes(plan.command, demo.relay.url, "gpt-5.5");
        expect(all.filter(({ ok }) => !ok)).toEqual([]);
        expect(all.length).toBeGreaterThan(5);
      },
      CASES_MS,
    );
  }
});

describe("the command line of the suites", () => {
  const named = (args: readonly string[]) => readOptions(args).suites.map(({ name }) => name);

  test("runs all, those with a word in their name, or exactly those that are named", () => {
    expect(named([])).toHaveLength(SUITES.length);
    expect(named(["go"])).toEqual(["openai-go", "anthropic-go"]);
    expect(named(["--only", "openai-go,litellm"])).toEqual(["litellm", "openai-go"]);
    expect(readOptions(["--list"]).isList).toBe(true);
  });

  test.each([
    [["--install"], "--install"],
    [["no-such-suite"], "No suite has 'no-such-suite' in its name."],
    // A part of a name is not the name.
    [["--only", "openai"], "No suite is called 'openai'."],
    [["--only", ""], "No suite is called ''."],
  ])("refuses %p", (args, said) => {
    expect(() => readOptions(args)).toThrow(said);
  });
});

test("failures for known reasons are told from the relay's, and cases that do not apply are not counted", () => {
  const fault = { cases: /^needs a mock/, says: /no such id/, reason: "ids that nobody made" };
  const foreign = { cases: /^needs a cloud/, says: /not offered/, reason: "not offered", isOutOfScope: true };
  const lost = { case: "loses its text", ok: false };
  const otherwise = { case: "needs a mock: three", ok: false, reason: "500" };
  const tally = tallied({ excuses: [fault, foreign] }, [
    { case: "holds", ok: true },
    { case: "needs a mock: one", ok: false, reason: "404 no such id" },
    { case: "needs a mock: two", ok: false, reason: "404 no such id" },
    { case: "needs a mock, and gets it", ok: true },
    { case: "needs a cloud", ok: false, reason: "501 not offered" },
    { case: "is passed over", ok: false, applies: false },
    lost,
    otherwise,
  ]);
  const excused = new Map([
    [fault, 2],
    [foreign, 1],
  ]);
  expect(tally).toEqual({ passed: 2, applicable: 6, relay: [lost, otherwise], excused });
});
