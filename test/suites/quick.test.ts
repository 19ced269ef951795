import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { missingFor, outcomes, prepared, SUITES } from "./suites.ts";

/** From the registry, on a machine that has none of it. */
const INSTALL_MS = 240_000;

const runnable = SUITES.filter((suite) => suite.isQuick === true && missingFor(suite) === undefined);

/** Not from registries during every run of the tests: where they are there already, or in CI. */
const isWanted = process.env["CI"] !== undefined || process.env["SUITES"] !== undefined;

describe.skipIf(!isWanted || runnable.length === 0)("other people's SDKs (needs python3, and CI or SUITES set)", () => {
  let demo: DemoRelay;
  const unavailable = new Map<string, string>();
  beforeAll(() => {
    for (const suite of runnable) {
      try {
        prepared(suite);
      } catch (error) {
        unavailable.set(suite.name, String(error));
      }
    }
    demo = startDemoRelay();
  }, INSTALL_MS);
  afterAll(() => demo.stop());

  test.each(runnable.map((suite) => [suite.name, suite] as const))(
    "every documented use of %s that is tried here holds",
    async (name, suite) => {
      const reason = unavailable.get(name);
      if (reason !== undefined) {
        console.error(`${name} is not tried: ${reason}`);
        return;
      }
      const all = await outcomes(suite, demo.relay.url, "gpt-5.5");
      expect(all.filter(({ ok }) => !ok)).toEqual([]);
      expect(all.length).toBeGreaterThan(5);
    },
    INSTALL_MS,
  );
});
