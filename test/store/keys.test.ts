import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import type { KeyLimits } from "../../src/keys/key.ts";
import { keyDigest, newKeyText } from "../../src/keys/key.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { LocalBudgets } from "../../src/keys/local-budgets.ts";
import { SharedBudgets } from "../../src/keys/shared-budgets.ts";
import { StoredKeys } from "../../src/keys/stored-keys.ts";
import { StoredUsage } from "../../src/keys/stored-usage.ts";
import { dayOf } from "../../src/keys/usage-state.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { storeAddress } from "../../src/store/address.ts";
import { StoreConnection } from "../../src/store/connection.ts";
import { Sealer } from "../../src/store/sealing.ts";
import { eventually } from "../support/relay.ts";
import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";

/** A store of a busy machine takes its time. */
const until = (check: () => boolean | Promise<boolean>) => eventually(check, 5000);

const KEY = randomBytes(32).toString("base64");
const REPLICAS = 8;

let store: StoreServer;
const connections: StoreConnection[] = [];

beforeEach(async () => {
  if (STORE_PROGRAM !== undefined) store = await startStoreServer();
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

async function budgets(whenAway: "closed" | "open" = "closed"): Promise<SharedBudgets> {
  const connection = await connect();
  const local = new LocalBudgets({ file: new StoredUsage(connection), log: SILENT_LOG });
  return new SharedBudgets({ store: connection, local, whenAway, log: SILENT_LOG });
}

const keyWith = (limits: KeyLimits) => ({ id: "k1", name: "cline", limits });
const estimate = (inputTokens: number) => ({ inputTokens, plan: undefined });
const spent = (tokens: number) => ({ input: tokens, cached: 0, output: 0 });

const used = async () => Number((await store.send("GET", `{test}:used:k1:${dayOf(Date.now())}`)) ?? 0);

describe.skipIf(STORE_PROGRAM === undefined)("budgets that replicas share", () => {
  test("requests at once are counted over all replicas, exactly", async () => {
    const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => budgets()));
    const key = keyWith({ requestsAtOnce: 5 });
    const asked = replicas.flatMap((one) => Array.from({ length: 10 }, () => one.reserve(key, estimate(1))));
    const all = await Promise.allSettled(asked);
    const held = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(held).toHaveLength(5);
    const codes = all.flatMap((one) => (one.status === "rejected" ? [(one.reason as RelayError).code] : []));
    expect(new Set(codes)).toEqual(new Set(["key_limit_reached"]));
    for (const reservation of held) reservation.settle(spent(1), undefined);
    await until(async () => (await used()) === 5);
    await Promise.all(Array.from({ length: 5 }, (_, index) => replicas[index]?.reserve(key, estimate(1))));
    expect((await replicas[7]?.reserve(key, estimate(1)).catch((error: RelayError) => error))?.constructor.name).toBe(
      "RelayError",
    );
  });

  test("tokens a day are spent by all replicas together, and no more than what was under way past the limit", async () => {
    const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => budgets()));
    const key = keyWith({ tokensPerDay: 50_000 });
    let answered = 0;
    const work = async (one: SharedBudgets) => {
      for (;;) {
        try {
          const reservation = await one.reserve(key, estimate(900));
          answered += 1;
          await Bun.sleep(1);
          reservation.settle(spent(1000), undefined);
        } catch (error) {
          if (/has used/.test((error as Error).message)) return;
          await Bun.sleep(2);
        }
      }
    };
    await Promise.all(replicas.flatMap((one) => [work(one), work(one)]));
    await Promise.all(replicas.map((one) => one.close()));
    expect(await used()).toBe(answered * 1000);
    // Each of the sixteen may have cost more than was held for it.
    expect(await used()).toBeGreaterThanOrEqual(50_000);
    expect(await used()).toBeLessThanOrEqual(50_000 + 16 * 1000);
    const refusal = await replicas[0]?.reserve(key, estimate(1)).catch((error: RelayError) => error);
    expect(refusal).toMatchObject({ code: "key_limit_reached", status: 429 });
  });

  test("what a replica that died had under way counts until its lease ends", async () => {
    const [dead, other] = [await budgets(), await budgets()];
    const key = keyWith({ requestsAtOnce: 1 });
    await dead.reserve(key, estimate(1));
    expect(await other.reserve(key, estimate(1)).catch((error: RelayError) => error.code)).toBe("key_limit_reached");
    const [member] = (await store.send("ZRANGE", "{test}:under-way:k1", "0", "0")) as string[];
    await store.send("ZADD", "{test}:under-way:k1", "1", member ?? "");
    (await other.reserve(key, estimate(1))).settle(spent(1), undefined);
  });

  test.each(["closed", "open"] as const)(
    "a store that is away leaves limited keys %s, others come in",
    async (whenAway) => {
      const one = await budgets(whenAway);
      const before = await one.reserve(keyWith({ tokensPerDay: 10_000 }), estimate(100));
      await store.kill();
      (await one.reserve(keyWith({}), estimate(1))).settle(spent(1), undefined);
      const refusal = await one
        .reserve(keyWith({ tokensPerDay: 10_000 }), estimate(1))
        .catch((error: RelayError) => error);
      if (whenAway === "closed") expect(refusal).toMatchObject({ code: "store_unavailable", status: 503 });
      else expect(refusal).not.toBeInstanceOf(Error);
      before.settle(spent(700), undefined);
      await store.start();
      // Counted once it is back.
      await until(async () => (await used()) >= 700);
    },
  );

  test("a store that was emptied learns what was used", async () => {
    const one = await budgets();
    const key = keyWith({ tokensPerDay: 1000 });
    (await one.reserve(key, estimate(1))).settle(spent(1500), undefined);
    await until(async () => (await used()) === 1500);
    await store.kill();
    await store.start();
    await until(async () => {
      const refusal = await one.reserve(key, estimate(1)).catch((error: RelayError) => error.code);
      return refusal === "key_limit_reached";
    });
  });

  test("keys without such limits cost the store nothing", async () => {
    const one = await budgets();
    const [connection] = connections;
    const before = connection?.commands;
    (await one.reserve(keyWith({ models: ["gpt-5.5"] }), estimate(1))).settle(spent(1), undefined);
    expect(connection?.commands).toBe(before);
    await one.close();
  });
});

describe.skipIf(STORE_PROGRAM === undefined)("keys that replicas share", () => {
  const newKey = (name: string) => {
    const text = newKeyText();
    return { text, key: { name, digest: keyDigest(text), expiresAtMs: undefined, limits: {}, madeFor: undefined } };
  };
  const opened = async () => {
    const keys = new StoredKeys(await connect(), new Sealer(KEY));
    await keys.load();
    return keys;
  };

  test("a key made through one is good on all, and revoked on all", async () => {
    const [one, other] = [await opened(), await opened()];
    const ring = new KeyRing(other, SILENT_LOG);
    expect(ring.isInUse).toBe(false);
    const { text, key } = newKey("cline");
    await one.add(key);
    await until(() => ring.find(keyDigest(text))?.name === "cline");
    const id = ring.find(keyDigest(text))?.id ?? "";
    await other.revoke("cline");
    expect(ring.stateOf(id)).toBe("revoked");
    const first = new KeyRing(one, SILENT_LOG);
    await until(() => first.stateOf(id) === "revoked");
  });

  test("many who add at once lose none", async () => {
    const places = await Promise.all(Array.from({ length: REPLICAS }, opened));
    await Promise.all(places.map((place, index) => place.add(newKey(`k${index}`).key)));
    expect((await (await opened()).load()).keys).toHaveLength(REPLICAS);
  });

  test("a store that is away or emptied opens no door", async () => {
    const one = await opened();
    const { text, key } = newKey("cline");
    await one.add(key);
    const ring = new KeyRing(one, SILENT_LOG);
    await store.kill();
    expect(ring.find(keyDigest(text))?.name).toBe("cline");
    const unread = new KeyRing(new StoredKeys(await connect(), new Sealer(KEY)), SILENT_LOG);
    expect(unread.isInUse).toBe(true);
    expect(() => unread.find(keyDigest("x"))).toThrow(/cannot be read/);
    await store.start();
    await until(async () => (await (await opened()).load()).keys.length === 1);
    await until(() => unread.hasUsable);
    expect(unread.find(keyDigest(text))?.name).toBe("cline");
  });

  test("who can write to the store without its key makes no key", async () => {
    const one = await opened();
    const { text, key } = newKey("cline");
    await one.add(key);
    const ring = new KeyRing(one, SILENT_LOG);
    expect(ring.find(keyDigest(text))?.name).toBe("cline");
    const forged = new Sealer(randomBytes(32).toString("hex")).seal(
      '{"version":1,"keys":[]}',
      "{test}:keys 9999999999999",
    );
    await store.send("HSET", "{test}:keys", "version", "9999999999999", "sealed", forged);
    await store.send("PUBLISH", "{test}:changes", "keys 9999999999999");
    await until(() => one.version() === "unreadable");
    // The keys of before stay in force.
    expect(ring.find(keyDigest(text))?.name).toBe("cline");
  });
});
