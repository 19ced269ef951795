import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerEntry } from "../../src/ledger/entry.ts";
import { Ledger, type Counts } from "../../src/ledger/ledger.ts";
import { conversations, totals } from "../../src/ledger/queries.ts";
import { SharedLedger } from "../../src/ledger/shared-ledger.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { storeAddress } from "../../src/store/address.ts";
import { StoreConnection } from "../../src/store/connection.ts";
import { Sealer } from "../../src/store/sealing.ts";
import { LearnedRejections } from "../../src/upstream/learned-rejections.ts";
import { SharedLearned } from "../../src/upstream/shared-learned.ts";
import { eventually } from "../support/relay.ts";
import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";

/** A store of a busy machine takes its time. */
const until = (check: () => boolean | Promise<boolean>) => eventually(check, 5000);

const KEY = randomBytes(32).toString("base64");

let store: StoreServer;
const connections: StoreConnection[] = [];

beforeEach(async () => {
  if (STORE_PROGRAM !== undefined) store = await startStoreServer({ isDurable: true });
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  if (STORE_PROGRAM !== undefined) await store[Symbol.asyncDispose]();
});

async function connect(): Promise<StoreConnection> {
  const connection = new StoreConnection({ address: storeAddress(store.url), prefix: "test", log: SILENT_LOG });
  await connection.open();
  connections.push(connection);
  return connection;
}

const entry = (index: number): LedgerEntry => ({
  endedAtMs: Date.now() - (index % 5) * 3_600_000,
  model: ["gpt-6-sol", "gpt-5.5"][index % 2] ?? "",
  client: ["cline", 'odd "name" of\none'][index % 3] ?? "",
  key: ["", "laptop"][index % 2] ?? "",
  status: index % 7 === 0 ? 429 : 200,
  fallback: index % 11 === 0 ? "reserve" : "",
  conversation: `c${index % 4}`,
  input: 100 + index,
  cached: 50,
  output: 20,
  reasoning: 5,
  firstTokenMs: index % 7 === 0 ? undefined : 100 * (1 + (index % 9)),
  totalMs: 1000 + index,
});

const range = { sinceMs: 0, untilMs: Date.now() + 3_600_000 };
const all = (counts: Counts) =>
  counts.read((database) => ({
    day: totals(database, "day", range, { withModels: true }),
    model: totals(database, "model", range, { withModels: true }),
    client: totals(database, "client", range, { withModels: true }),
    key: totals(database, "key", range, { withModels: true }),
    conversations: conversations(database, range, 100).toSorted((a, b) => a.id.localeCompare(b.id)),
  }));

describe.skipIf(STORE_PROGRAM === undefined)("counts that replicas share", () => {
  test("three replicas together have counted what one with a file has", async () => {
    const folder = mkdtempSync(join(tmpdir(), "plansocket-ledger-"));
    const file = new Ledger({ path: join(folder, "ledger.db"), days: 400, log: SILENT_LOG });
    const replicas = await Promise.all(
      [1, 2, 3].map(async () => new SharedLedger({ store: await connect(), days: 400, log: SILENT_LOG })),
    );
    for (let index = 0; index < 300; index += 1) {
      file.add(entry(index));
      replicas[index % 3]?.add(entry(index));
    }
    for (const replica of replicas) await replica.close();
    const [shared, own] = [
      await all(new SharedLedger({ store: await connect(), days: 400, log: SILENT_LOG })),
      await all(file),
    ];
    await file.close();
    rmSync(folder, { recursive: true });
    const names = (found: typeof shared) =>
      found?.conversations.map(({ id, requests, input }) => ({ id, requests, input }));
    expect(names(shared)).toEqual(names(own));
    const sorted = (found: NonNullable<typeof shared>["day"] | undefined) =>
      found?.map((one) => ({ ...one, byModel: one.byModel.toSorted((a, b) => a.model.localeCompare(b.model)) }));
    for (const by of ["day", "model", "client", "key"] as const)
      expect(sorted(shared?.[by])).toEqual(sorted(own?.[by]));
    expect(shared?.day.length).toBeGreaterThan(0);
  });

  test("what was counted while the store was away is counted when it is back", async () => {
    const one = new SharedLedger({ store: await connect(), days: 400, log: SILENT_LOG });
    one.add(entry(1));
    await store.kill();
    one.add(entry(2));
    await store.start();
    await until(() => connections[0]?.isUp === true);
    const found = await all(one);
    expect(found?.day.reduce((sum, { requests }) => sum + requests, 0)).toBe(2);
  });

  test.each([
    ["written", false],
    ["not written", true],
  ])("requests that end while others are %s are counted too", async (_what, isBroken) => {
    const connection = await connect();
    const one = new SharedLedger({ store: connection, days: 400, log: SILENT_LOG });
    const run = connection.run.bind(connection);
    let steps = 0;
    connection.run = async (...asked) => {
      if (steps >= 4) return run(...asked);
      steps += 1;
      one.add(entry(1));
      if (isBroken) throw new Error("broken");
      return run(...asked);
    };
    one.add(entry(1));
    await until(async () => (await all(one)) !== undefined && steps === 4);
    await one.close();
    const found = await all(new SharedLedger({ store: await connect(), days: 400, log: SILENT_LOG }));
    expect(found?.day.reduce((sum, { requests }) => sum + requests, 0)).toBe(5);
    expect(found?.conversations).toMatchObject([{ requests: 5, input: 5 * 101 }]);
  });

  test("a store without counts says so", async () => {
    expect(await all(new SharedLedger({ store: await connect(), days: 400, log: SILENT_LOG }))).toBeUndefined();
  });
});

describe.skipIf(STORE_PROGRAM === undefined)("refusals that replicas learn of from each other", () => {
  const replica = async () => {
    const share = new SharedLearned({ store: await connect(), sealer: new Sealer(KEY), now: Date.now });
    const learned = new LearnedRejections(Date.now, (name, one) => share.tell(name, one));
    share.onEntry((one) => learned.take(one));
    return learned;
  };

  test("an adaptation holds for all, and for those that start later", async () => {
    const [one, other] = [await replica(), await replica()];
    const adaptation = { kind: "drop", path: ["top_p"] } as const;
    one.learn("gpt-5.5", adaptation);
    await until(() => other.of("gpt-5.5").length === 1);
    expect(other.of("gpt-5.5")).toEqual([adaptation]);
    expect(other.of("gpt-6-sol")).toEqual([]);
    const later = await replica();
    other.learn("gpt-5.5", { kind: "exclude", value: "reasoning.encrypted_content" });
    await until(() => later.of("gpt-5.5").length === 2);
  });

  test("reasoning that cannot be read is sent by nobody any more", async () => {
    const [one, other] = [await replica(), await replica()];
    const item = { type: "reasoning", encrypted_content: "gone" };
    one.forgetReasoning([item]);
    await until(() => other.isUnreadable(item));
  });

  test("what somebody without the key writes is no lesson", async () => {
    const one = await replica();
    const entryOfMine = JSON.stringify({
      kind: "adaptation",
      model: "m",
      adaptation: { kind: "drop", path: ["x"] },
      untilMs: 9e15,
    });
    const forged = new Sealer(randomBytes(32).toString("hex")).seal(entryOfMine, "{test}:learned a");
    await store.send("HSET", "{test}:learned", "a", forged);
    await store.send("PUBLISH", "{test}:changes", "learned 77");
    const other = await replica();
    one.learn("m", { kind: "exclude", value: "y" });
    await until(() => other.of("m").length === 1);
    expect(other.of("m")).toEqual([{ kind: "exclude", value: "y" }]);
  });
});
