import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { keysCheck } from "../../../src/cli/doctor/keys.ts";
import { TestKeys } from "../../support/keys.ts";

const DAY_MS = 86_400_000;
let keys: TestKeys;
beforeEach(() => (keys = new TestKeys()));
afterEach(() => keys.remove());
const look = (nowMs?: number) => keysCheck(keys.file, nowMs);

test("keys that are good are counted, and none are no fault", async () => {
  expect(look()).toMatchObject({ status: "ok", summary: "none: clients need no key of their own" });
  await keys.add("laptop");
  await keys.add("old");
  await keys.file.revoke("old");
  expect(look()).toMatchObject({ status: "ok", summary: "1 usable", detail: { keys: 2 } });
});

test("a key that ends is told, before and after", async () => {
  await keys.add("laptop");
  await keys.add("ci", {}, Date.now() + 10 * DAY_MS);
  expect(look().status).toBe("ok");
  expect(look(Date.now() + 8 * DAY_MS)).toMatchObject({
    status: "warn",
    summary: expect.stringContaining("'ci' expires"),
  });
  expect(look(Date.now() + 11 * DAY_MS)).toMatchObject({
    status: "warn",
    summary: "1 usable; expired: ci",
    fix: "Renew one with `plansocket keys add ci`, or revoke it.",
  });
  await keys.file.revoke("laptop");
  expect(look(Date.now() + 11 * DAY_MS).summary).toContain("No key is usable");
});

test("a file that others can read is told", async () => {
  await keys.add("laptop");
  chmodSync(keys.file.path, 0o644);
  expect(look()).toMatchObject({ status: "warn", fix: `chmod 600 ${keys.file.path}` });
});

test("a broken file is told with its place", () => {
  writeFileSync(keys.file.path, '{"version": 1,\n "keys": [}');
  expect(look()).toMatchObject({
    status: "fail",
    summary: expect.stringMatching(/line 2, column 11: .*lets nobody in/),
    fix: expect.stringContaining("Correct it"),
  });
});
