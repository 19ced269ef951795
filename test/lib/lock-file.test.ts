import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { takeLock } from "../../src/lib/lock-file.ts";

const HOUR = 3_600_000;

let home: string;
let path: string;
let nowMs: number;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-lock-"));
  path = join(home, "lock");
  nowMs = 0;
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** A lock that this process, which lives, has had for `ageMs` by the system's clock. */
function lockOfTheLiving(ageMs: number): void {
  writeFileSync(path, `${process.pid} another ${hostname()}`);
  const at = new Date(Date.now() - ageMs);
  utimesSync(path, at, at);
}

/** Takes the lock while time passes only in its waiting; `each` is called with every round. */
async function waits(each: (roundMs: number) => void = () => {}): Promise<number> {
  const sleep = (ms: number) => {
    nowMs += ms;
    each(nowMs);
    return Promise.resolve();
  };
  const release = await takeLock(path, { now: () => nowMs, sleep });
  await release();
  expect(readdirSync(home)).toEqual([]);
  return nowMs;
}

test.each([
  ["jumped forward by an hour", HOUR],
  ["jumped back by an hour", -HOUR],
])("who works gets the time to finish, also when the clock %s meanwhile", async (_how, ageMs) => {
  lockOfTheLiving(ageMs);
  const waitedMs = await waits((roundMs) => {
    if (roundMs === 20_000) rmSync(path);
    if (roundMs < 20_000) expect(readFileSync(path, "utf8")).toContain("another");
  });
  expect(waitedMs).toBe(20_000);
});

test.each([
  ["an old lock", HOUR, 31_000],
  ["a lock from the future", -HOUR, 61_000],
  ["a young lock", 0, 61_000],
])("%s whose holder lives is taken over in the end", async (_which, ageMs, limitMs) => {
  lockOfTheLiving(ageMs);
  expect(await waits()).toBeWithin(limitMs - 2000, limitMs);
});

test("a lock that died before it had a name costs a second", async () => {
  writeFileSync(path, "");
  expect(await waits()).toBeWithin(1000, 1200);
});
