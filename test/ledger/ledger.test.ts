import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerEntry } from "../../src/ledger/entry.ts";
import { openToRead } from "../../src/ledger/file.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { GROUPINGS, conversations, series, totals } from "../../src/ledger/queries.ts";
import { keepLines } from "../support/log-lines.ts";

const HOUR_MS = 3_600_000;
const NOW = Date.parse("2026-11-27T10:30:00Z");
const EVER = { sinceMs: 0, untilMs: NOW + 10_000 * 24 * HOUR_MS };

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-ledger-"));
  path = join(folder, "state", "ledger.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const entry = (over: Partial<LedgerEntry> = {}): LedgerEntry => ({
  endedAtMs: NOW,
  model: "gpt-5.5",
  client: "claude-cli",
  key: "",
  status: 200,
  fallback: "",
  conversation: "c1",
  input: 100,
  cached: 60,
  output: 10,
  reasoning: 4,
  firstTokenMs: 300,
  totalMs: 2000,
  ...over,
});

function open(days = 400) {
  const clock = { ms: NOW };
  const calls: (() => void)[] = [];
  const log = keepLines();
  const ledger = new Ledger({ path, days, log, now: () => clock.ms, after: (_, call) => void calls.push(call) });
  return { ledger, clock, calls, log };
}

const byModel = (ledger: Ledger) => ledger.read((database) => totals(database, "model", EVER, { withModels: true }));

describe("counts", () => {
  test("are added up by hour, model, client, key, status and fallback", async () => {
    const { ledger } = open();
    for (let index = 0; index < 5; index += 1) ledger.add(entry());
    ledger.add(entry({ status: 429, input: 0, cached: 0, output: 0, reasoning: 0, firstTokenMs: undefined }));
    ledger.add(entry({ model: "gpt-6-luna", client: "", key: "guest", fallback: "reserve", conversation: "c2" }));
    const [main, other] = (await byModel(ledger)) ?? [];
    expect(main).toMatchObject({
      name: "gpt-5.5",
      requests: 6,
      errors: 1,
      input: 500,
      cached: 300,
      output: 50,
      reasoning: 20,
    });
    expect(main?.firstTokenMs?.p50).toBeCloseTo(300, -2);
    expect(other).toMatchObject({ name: "gpt-6-luna", requests: 1, errors: 0 });
    const keys = await ledger.read((database) => totals(database, "key", EVER, { withModels: true }));
    expect(keys?.map(({ name, requests }) => [name, requests])).toEqual([
      ["", 6],
      ["guest", 1],
    ]);
    const sessions = await ledger.read((database) => conversations(database, EVER, 10));
    expect(sessions?.map(({ id, requests }) => [id, requests]).toSorted()).toEqual([
      ["c1", 6],
      ["c2", 1],
    ]);
  });

  test("of later hours and days stand beside them, and a series has them by name", async () => {
    const { ledger } = open();
    for (const hours of [0, 1, 24, 25]) ledger.add(entry({ endedAtMs: NOW + hours * HOUR_MS }));
    ledger.add(entry({ endedAtMs: NOW + HOUR_MS, model: "gpt-6-luna" }));
    const [byHour, byDay, drawn] =
      (await ledger.read((database) => [
        totals(database, "hour", EVER, { withModels: true }),
        totals(database, "day", EVER, { withModels: true }),
        series(database, "hour", "model", EVER),
      ])) ?? [];
    expect(byHour?.map((total) => "requests" in total && total.requests)).toEqual([1, 2, 1, 1]);
    expect(byDay?.map((total) => "requests" in total && total.requests)).toEqual([3, 2]);
    expect(drawn).toHaveLength(4);
    const first = Math.floor(NOW / HOUR_MS) * HOUR_MS;
    const later = await ledger.read((database) =>
      totals(database, "hour", { sinceMs: first + HOUR_MS, untilMs: first + 2 * HOUR_MS }, { withModels: true }),
    );
    expect(later?.map(({ name }) => Number(name))).toEqual([first + HOUR_MS]);
  });

  test("are the same by every grouping, and by model only where that is asked for", async () => {
    const { ledger } = open();
    const names = ["a", "b", "c"];
    for (let index = 0; index < 200; index += 1) {
      ledger.add(
        entry({
          endedAtMs: NOW + (index % 50) * HOUR_MS,
          model: names[index % 3] ?? "",
          client: names[index % 2] ?? "",
          key: names[index % 5 === 0 ? 1 : 2] ?? "",
          status: index % 7 === 0 ? 429 : 200,
          firstTokenMs: index % 7 === 0 ? undefined : 100,
        }),
      );
    }
    await ledger.read((database) => {
      for (const by of GROUPINGS) {
        const [bare, priced] = [false, true].map((withModels) => totals(database, by, EVER, { withModels }));
        expect(priced?.map((total) => ({ ...total, byModel: [] }))).toEqual(
          bare?.map((total) => ({ ...total, byModel: [] })),
        );
        expect(bare?.reduce((sum, { requests }) => sum + requests, 0)).toBe(200);
        expect(bare?.reduce((sum, { errors }) => sum + errors, 0)).toBe(29);
        const input = priced?.flatMap(({ byModel: models }) => models).reduce((sum, model) => sum + model.input, 0);
        expect(input).toBe(priced?.reduce((sum, total) => sum + total.input, 0));
        if (by === "hour" || by === "day") expect(bare?.every(({ byModel: models }) => models.length === 0)).toBe(true);
        for (const { firstTokenMs } of bare ?? []) expect(Math.round(firstTokenMs?.p50 ?? 0)).toBeGreaterThan(90);
      }
    });
  });

  test("are written a second after the first, and not before", async () => {
    const { ledger, calls } = open();
    ledger.add(entry());
    ledger.add(entry());
    expect([calls.length, existsSync(path)]).toEqual([1, false]);
    calls.shift()?.();
    await ledger.write();
    expect(existsSync(path)).toBe(true);
    expect(calls).toEqual([]);
    ledger.add(entry());
    expect(calls).toHaveLength(1);
  });

  test("of clients with ever new names stay bounded", async () => {
    const { ledger } = open();
    for (let index = 0; index < 1000; index += 1)
      ledger.add(entry({ client: `client-${index}`, conversation: `c${index}` }));
    const clients = await ledger.read((database) => totals(database, "client", EVER, { withModels: true }));
    expect(clients?.length).toBe(65);
    expect(clients?.reduce((sum, { requests }) => sum + requests, 0)).toBe(1000);
  });
});

describe("the file", () => {
  test("and its companions are the owner's alone", async () => {
    const { ledger } = open();
    ledger.add(entry());
    await ledger.write();
    const modes = readdirSync(join(folder, "state")).map((name) => statSync(join(folder, "state", name)).mode & 0o777);
    expect(modes.length).toBeGreaterThan(1);
    expect(new Set(modes)).toEqual(new Set([0o600]));
    await ledger.close();
  });

  test("is followed over no link", async () => {
    mkdirSync(join(folder, "state"));
    const target = join(folder, "target");
    writeFileSync(target, "");
    symlinkSync(target, path);
    const { ledger, log } = open();
    ledger.add(entry());
    await ledger.close();
    expect(log.lines.map(({ message }) => message).join()).toContain("symbolic link");
    expect(statSync(target).size).toBe(0);
  });

  test("of several relays has the sum of all", async () => {
    const relays = Array.from({ length: 4 }, () => open().ledger);
    for (let round = 0; round < 20; round += 1) {
      for (const relay of relays) relay.add(entry({ firstTokenMs: 100 * (round + 1) }));
      await Promise.all(relays.map((relay) => relay.write()));
    }
    await Promise.all(relays.map((relay) => relay.close()));
    const [total] = (await byModel(open().ledger)) ?? [];
    expect(total).toMatchObject({ requests: 80, input: 8000 });
    expect(total?.firstTokenMs?.p95).toBeGreaterThan(1500);
  });

  test("that another process holds is waited for in memory, and told once when it takes long", async () => {
    const { ledger, clock, log } = open();
    ledger.add(entry());
    await ledger.write();
    const holder = new Database(path);
    holder.run("BEGIN IMMEDIATE");
    for (let second = 0; second < 100; second += 1) {
      clock.ms += 1000;
      ledger.add(entry());
      await ledger.write();
    }
    expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining("Another program holds")]);
    holder.run("ROLLBACK");
    holder.close();
    expect((await byModel(ledger))?.[0]?.requests).toBe(101);
  });

  test.each([
    [
      "is no database",
      (file: string) => writeFileSync(file, "not a database, but long enough to be taken for one".repeat(50)),
    ],
    [
      "is broken inside",
      (file: string) => {
        const bytes = new Uint8Array(require("node:fs").readFileSync(file) as Buffer);
        bytes.fill(0xff, 100, bytes.length);
        rmSync(`${file}-wal`, { force: true });
        rmSync(`${file}-shm`, { force: true });
        writeFileSync(file, bytes);
      },
    ],
  ])("that %s is set aside and told, and counting goes on", async (_, spoil) => {
    const first = open();
    first.ledger.add(entry());
    await first.ledger.close();
    spoil(path);
    const { ledger, log } = open();
    ledger.add(entry());
    await ledger.write();
    await ledger.write();
    expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining("is damaged and was renamed to")]);
    expect((await byModel(ledger))?.[0]?.requests).toBe(1);
    expect(readdirSync(join(folder, "state")).some((name) => name.startsWith("ledger.db.damaged-"))).toBe(true);
    await ledger.close();
  });

  test("of the first version is brought to today's form by whoever comes first, also to read", async () => {
    const { ledger } = open();
    for (let index = 0; index < 100; index += 1) {
      const status = index % 9 === 0 ? 500 : 200;
      const model = index % 2 === 0 ? "gpt-5.5" : "gpt-6-luna";
      ledger.add(entry({ endedAtMs: NOW + (index % 7) * HOUR_MS, model, status, firstTokenMs: 10 * index }));
    }
    const question = (database: Database) => GROUPINGS.map((by) => totals(database, by, EVER, { withModels: true }));
    const before = await ledger.read(question);
    await ledger.close();
    const old = new Database(path);
    old.run("DROP TABLE sums; ALTER TABLE counts RENAME TO hours; PRAGMA user_version = 1");
    old.close();
    const database = await openToRead(path);
    expect(database && question(database)).toEqual(before ?? []);
    database?.close();
    ledger.add(entry());
    expect((await byModel(ledger))?.reduce((sum, { requests }) => sum + requests, 0)).toBe(101);
    await ledger.close();
  });

  test("of a newer version is left alone, and told", async () => {
    const first = open();
    first.ledger.add(entry());
    await first.ledger.close();
    const database = new Database(path);
    database.run("PRAGMA user_version = 99");
    database.close();
    const { ledger, log, clock } = open();
    for (let round = 0; round < 3; round += 1) {
      ledger.add(entry());
      await ledger.write();
      clock.ms += 61_000;
    }
    expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining("newer plansocket")]);
    expect(ledger.read((open) => totals(open, "model", EVER, { withModels: true }))).rejects.toThrow(
      "newer plansocket",
    );
  });

  test.skipIf(process.getuid?.() === 0)(
    "in a folder that cannot be written is told once, and no request minds",
    async () => {
      mkdirSync(join(folder, "state"));
      chmodSync(join(folder, "state"), 0o500);
      const { ledger, log } = open();
      ledger.add(entry());
      await ledger.write();
      await ledger.write();
      expect(log.lines).toHaveLength(1);
      chmodSync(join(folder, "state"), 0o700);
    },
  );

  test("keeps as many days as it may, and gives back room", async () => {
    const { ledger, clock } = open(2);
    for (let day = 0; day < 20; day += 1) {
      for (let index = 0; index < 200; index += 1) {
        ledger.add(entry({ endedAtMs: clock.ms, conversation: `d${day}-${index}` }));
      }
      await ledger.write();
      clock.ms += 24 * HOUR_MS;
    }
    const days = await ledger.read((database) => totals(database, "day", EVER, { withModels: true }));
    expect(days?.length).toBeLessThanOrEqual(3);
    const sessions = await ledger.read((database) => conversations(database, EVER, 10_000));
    expect(sessions?.length).toBeLessThanOrEqual(600);
  });

  test("is not made before something is counted", async () => {
    const { ledger } = open();
    expect(await byModel(ledger)).toBeUndefined();
    await ledger.close();
    expect(existsSync(join(folder, "state"))).toBe(false);
  });
});

test("a clock that goes back counts where it says", async () => {
  const { ledger, clock } = open();
  ledger.add(entry());
  clock.ms -= 100 * 24 * HOUR_MS;
  ledger.add(entry({ endedAtMs: clock.ms }));
  expect((await byModel(ledger))?.[0]?.requests).toBe(2);
});
