import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rangeOf } from "../../src/cli/usage/range.ts";
import { csv } from "../../src/cli/usage/rows.ts";
import type { LedgerEntry } from "../../src/ledger/entry.ts";
import { ledgerPath } from "../../src/ledger/file.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { CommandHome } from "../support/cli.ts";

const DAY_MS = 86_400_000;
const home = new CommandHome();
const state = join(home.path, ".local/state/plansocket");

const entry = (over: Partial<LedgerEntry>): LedgerEntry => ({
  endedAtMs: Date.now(),
  model: "gpt-5.5",
  client: "claude-cli",
  key: "",
  status: 200,
  fallback: "",
  conversation: "0123456789abcdef",
  input: 10_000,
  cached: 7500,
  output: 500,
  reasoning: 100,
  firstTokenMs: 400,
  totalMs: 3000,
  ...over,
});

beforeAll(async () => {
  const ledger = new Ledger({ path: ledgerPath(state), days: 400, log: SILENT_LOG });
  ledger.add(entry({}));
  ledger.add(
    entry({ endedAtMs: Date.now() - DAY_MS, model: "gpt-6-luna", client: "=cmd()", key: "guest", conversation: "ff" }),
  );
  ledger.add(entry({ status: 429, input: 0, cached: 0, output: 0, reasoning: 0, firstTokenMs: undefined }));
  await ledger.close();
});
afterAll(() => home.remove());

const run = (args: readonly string[], env: Record<string, string> = {}) => home.run(["usage", ...args], env);

describe("usage --by", () => {
  test("day has a line for each day with a bar, without a login or a relay", async () => {
    const { code, out, err } = await run(["--by", "day"]);
    expect([code, err]).toEqual([0, ""]);
    const [head, ...lines] = out.trimEnd().split("\n");
    expect(head).toMatch(/^DAY +TOKENS +INPUT +CACHED +OUTPUT +REQUESTS +ERRORS +FIRST TOKEN +95 %$/);
    expect(lines).toHaveLength(2);
    expect(lines.at(-1)).toMatch(/█{16} +10\.0 k +75 % +500 +2 +1 +\d{3} ms/);
  });

  test.each([
    ["model", /gpt-5\.5 .*\n.*gpt-6-luna/],
    ["client", /claude-cli .*\n=cmd\(\)/],
    ["key", /no key .*\nguest/],
    ["hour", /:00 /],
    ["session", /01234567 .* claude-cli +gpt-5\.5 +2 /],
  ])("%s names what it counts", async (by, pattern) => {
    const { code, out } = await run(["--by", by, "--since", "7d"]);
    expect(code).toBe(0);
    expect(out).toMatch(pattern);
  });

  test("--json and --csv have every number, and CSV no formula", async () => {
    const models = JSON.parse((await run(["--by", "model", "--json"])).out) as unknown[];
    expect(models).toEqual([
      {
        model: "gpt-5.5",
        requests: 2,
        errors: 1,
        tokens: { input: 10_000, cached: 7500, output: 500, reasoning: 100 },
        first_token_ms: { p50: expect.any(Number), p95: expect.any(Number) },
      },
      expect.objectContaining({ model: "gpt-6-luna", requests: 1 }),
    ]);
    const table = (await run(["--by", "client", "--csv"])).out.trimEnd().split("\n");
    expect(table[0]).toBe("client,requests,errors,input,cached,output,reasoning,first_token_p50_ms,first_token_p95_ms");
    expect(table[2]).toStartWith("'=cmd(),1,0,10000,7500,500,100,");
  });

  test("prices of the owner's make list prices, which are called so", async () => {
    const prices = JSON.stringify({ "gpt-5.5": { input: 2, cached: 0.2, output: 10 } });
    const { out, err } = await run(["--by", "model"], { PLANSOCKET_PRICES: prices });
    // 2,500 at 2, 7,500 at 0.2 and 500 at 10 for a million each.
    expect(out).toContain("LIST PRICE");
    expect(out).toMatch(/gpt-5\.5 .* 0\.01 /);
    expect(err).toContain("a list price, not a bill");
  });

  test("--since and --until choose the time", async () => {
    const { out } = await run(["--by", "model", "--since", "yesterday", "--until", "yesterday", "--csv"]);
    expect(
      out
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((line) => line.split(",")[0]),
    ).toEqual(["gpt-6-luna"]);
  });

  test.each([
    [["--by", "moddel"], "Did you mean model?"],
    [["--by", "day", "--since", "soon"], "Bad value 'soon' for --since."],
    [["--by", "day", "--until", "2026-02-31"], "Bad value '2026-02-31' for --until."],
    [["--by", "day", "--since", "1d", "--until", "3d"], "--since is not before --until."],
    [["--since", "7d"], "--since needs --by."],
    [["--csv"], "--csv needs --by."],
  ])("%p is refused in plain words", async (args, text) => {
    const { code, out, err } = await run(args);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(text);
  });

  test("says so when nothing is counted, and when nothing was in that time", async () => {
    const empty = await run(["--by", "day", "--state-dir", join(home.path, "elsewhere")]);
    expect([empty.code, empty.out]).toEqual([0, ""]);
    expect(empty.err).toContain("Nothing is counted yet");
    const before = await run(["--by", "day", "--since", "2020-01", "--until", "2020-02"]);
    expect(before.err).toContain("Nothing was counted in this time.");
  });

  test.each([
    ["damaged", (path: string) => writeFileSync(path, "no database".repeat(1000)), "is damaged"],
    ["a folder", (path: string) => mkdirSync(path), "could not be read"],
  ])("a ledger that is %s is told without a stack", async (_, make, text) => {
    const folder = join(home.path, "odd");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    make(ledgerPath(folder));
    const { code, err } = await run(["--by", "day", "--state-dir", folder]);
    expect(code).toBe(1);
    expect(err).toContain(text);
    expect(err).not.toMatch(/SQLITE|\bat \//);
  });
});

describe("a time", () => {
  const now = new Date(2026, 10, 27, 15, 30).getTime();
  const local = (...parts: [number, number, number?, number?]) =>
    new Date(parts[0], parts[1], parts[2] ?? 1, parts[3] ?? 0).getTime();
  test.each([
    ["2d", undefined, local(2026, 10, 25), now + 1],
    ["6h", undefined, now - 6 * 3_600_000, now + 1],
    ["2026-10", "2026-10", local(2026, 9), local(2026, 10)],
    ["2026-10-25", "2026-10-25", local(2026, 9, 25), local(2026, 9, 26)],
    ["yesterday", "today", local(2026, 10, 26), local(2026, 10, 28)],
    [undefined, undefined, local(2026, 9, 29), now + 1],
  ])("since %s until %s", (since, until, sinceMs, untilMs) => {
    expect(rangeOf({ since, until }, "day", now)).toEqual({ sinceMs, untilMs });
  });
});

test("CSV quotes what has to be quoted", () => {
  expect(csv([["a,b", 'c"d', "+1", "x\ny", "5"]])).toBe(`"a,b","c""d",'+1,"x\ny",5`);
});
