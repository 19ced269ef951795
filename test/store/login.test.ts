import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SharedLoginTiming } from "../../src/auth/sources/shared-login.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import type { Log } from "../../src/lib/log.ts";
import type { StoreConnection } from "../../src/store/connection.ts";
import { cuttableWay, startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";
import { jwt, startTokenServer, type TokenServer } from "../support/token-server.ts";
import { eventually } from "../support/relay.ts";
import { loginReplica, type LoginReplica } from "../support/login-replica.ts";

/** A store of a busy machine takes its time. */
const until = (check: () => boolean | Promise<boolean>) => eventually(check, 5000);

const KEY = randomBytes(32).toString("base64");
const TIMING = { lockMs: 400, settleMs: 150, spendingMs: 600 };

const PATIENT = { sleep: (ms: number) => Bun.sleep(ms), patienceMs: 5000 };

let store: StoreServer;
let tokens: TokenServer;
let home: string;
let lines: string[];
const open: StoreConnection[] = [];

const record = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
const log: Log = { debug() {}, info: record, warn: record, error: record };

beforeEach(async () => {
  if (STORE_PROGRAM === undefined) return;
  store = await startStoreServer();
  tokens = startTokenServer("rt_first");
  home = mkdtempSync(join(tmpdir(), "plansocket-store-"));
  lines = [];
});
afterEach(async () => {
  if (STORE_PROGRAM === undefined) return;
  for (const connection of open.splice(0)) connection.close();
  await store[Symbol.asyncDispose]();
  await tokens.stop();
  rmSync(home, { recursive: true, force: true });
});

const chatgptLogin = (accessToken: string, refreshToken: string) => {
  const rest = { idToken: undefined, accountId: undefined, expiresAtMs: undefined, lastRefreshMs: undefined };
  return { kind: "chatgpt" as const, tokens: { accessToken, refreshToken, ...rest } };
};

interface Over {
  readonly timing?: SharedLoginTiming;
  readonly env?: Record<string, string>;
  readonly port?: number;
  readonly key?: string;
  readonly now?: () => number;
}

function replica({ port = store.port, key = KEY, timing = TIMING, ...rest }: Over = {}): LoginReplica {
  const made = loginReplica({ port, key, timing, tokenUrl: tokens.url, home, log, ...rest });
  open.push(made.connection);
  return made;
}

const soon = () => jwt({ exp: Date.now() / 1000 + 60 });
const ENV = () => ({ OPENAI_REFRESH_TOKEN: "rt_first", OPENAI_ACCESS_TOKEN: soon() });

const failure = async (work: Promise<unknown>): Promise<RelayError> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: unknown) => error as RelayError,
  );

describe.skipIf(STORE_PROGRAM === undefined)("replicas with one store", () => {
  test("the environment's login comes in once, and one replica renews it for all", async () => {
    const replicas = [replica({ env: ENV() }), replica(), replica(), replica()];
    const [first] = replicas;
    await first?.keeper.describe();
    const got = await Promise.all(replicas.map(({ keeper }) => keeper.current()));
    expect(new Set(got.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("what the store holds tells nothing of the login", async () => {
    await replica({ env: ENV() }).keeper.current();
    const all = JSON.stringify(await store.send("HGETALL", "{test}:login"));
    expect(all).toContain("v1.");
    expect(all).not.toContain("rt_1");
    expect(all).not.toContain("eyJ");
  });

  test("a renewal is picked up by the others without a question", async () => {
    const [one, other] = [replica({ env: ENV() }), replica()];
    await one.keeper.describe();
    await other.keeper.describe();
    const before = other.login.version();
    await one.keeper.current();
    await until(() => other.login.version() !== before);
    const { commands } = other.connection;
    await other.keeper.current();
    await other.keeper.current();
    // One look at what has changed, none for later requests.
    expect(other.connection.commands - commands).toBeLessThanOrEqual(1);
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("an old token of the environment does not come in again, a new one does", async () => {
    const env = ENV();
    await replica({ env }).keeper.current();
    expect((await replica({ env }).keeper.current()).accessToken).toBe((await replica().keeper.current()).accessToken);
    expect(tokens.asked).toEqual(["rt_first"]);
    const access = jwt({ exp: Date.now() / 1000 + 3600, n: 2 });
    await replica({ env: { OPENAI_REFRESH_TOKEN: "rt_other", OPENAI_ACCESS_TOKEN: access } }).keeper.current();
    expect((await replica({ env }).keeper.current()).accessToken).toBe(access);
  });

  test("an emptied store gets the newest login back, also when an older one comes first", async () => {
    const env = ENV();
    const [one, stale] = [replica({ env }), replica({ port: store.port })];
    await stale.keeper.describe().catch(() => {});
    await one.keeper.current();
    const newest = (await one.keeper.current()).accessToken;
    await store.kill();
    await store.start();
    // A replica that starts anew with what the environment brings, a token that was spent long ago.
    const restarted = replica({ env });
    await until(async () => (await restarted.keeper.current().catch(() => undefined))?.accessToken === newest);
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("while the store is away the token in hand is used, and nothing is renewed", async () => {
    let nowMs = Date.now();
    const one = replica({ env: ENV(), now: () => nowMs });
    await one.keeper.describe();
    await store.kill();
    const { accessToken } = await one.keeper.current();
    expect(accessToken).not.toBe("");
    expect(tokens.asked).toEqual([]);
    const error = await failure(replica().keeper.current());
    expect(error.code).toBe("store_unavailable");
    expect(error.message).toMatch(/cannot be reached/);
    await store.start();
    await until(() => one.connection.isUp);
    // A renewal before the end is tried once a minute.
    nowMs += 61_000;
    await one.keeper.current();
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("what was renewed while the store went away reaches it when it is back", async () => {
    const [one, other] = [replica({ env: ENV() }), replica()];
    await one.keeper.describe();
    await other.keeper.describe();
    tokens.script.push(async () => {
      await store.kill();
      return Response.json({ access_token: jwt({ exp: 4_000_000_000 }), refresh_token: "rt_while_away" });
    });
    const renewed = (await one.keeper.current()).accessToken;
    expect(renewed).toBe(jwt({ exp: 4_000_000_000 }));
    await store.start();
    await until(async () => (await other.keeper.current()).accessToken === renewed);
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("a replica that died while it renewed keeps nobody waiting for longer than its lock", async () => {
    const [one, other] = [replica({ env: ENV() }), replica()];
    await one.keeper.describe();
    await other.keeper.describe();
    const lock = await one.login.lock(PATIENT);
    await lock.confirm("rt_first");
    // It is heard of no more.
    one.connection.close();
    const { accessToken } = await other.keeper.current();
    expect(accessToken).not.toBe("");
    await until(async () => {
      await other.keeper.recover(await other.keeper.current(), 2).catch(() => {});
      return tokens.asked.length === 1;
    });
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("a request whose token still works does not wait for a replica that died", async () => {
    const [one, other] = [replica({ env: ENV(), timing: { ...TIMING, lockMs: 60_000 } }), replica()];
    await one.keeper.describe();
    const { accessToken } = await other.keeper.describe().then(() => one.keeper.current());
    const due = jwt({ exp: Date.now() / 1000 + 100, n: 3 });
    await replica().login.replace(chatgptLogin(due, "rt_due"));
    await until(() => other.login.version() === one.login.version());
    await one.login.lock(PATIENT);
    one.connection.close();
    const began = performance.now();
    expect((await other.keeper.current()).accessToken).toBe(due);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(accessToken).not.toBe(due);
  });

  test("an old login that somebody puts back under a new number does not open", async () => {
    const [one, other] = [replica({ env: ENV() }), replica()];
    await one.keeper.describe();
    const old = String(await store.send("HGET", "{test}:login", "sealed"));
    await one.keeper.current();
    await other.keeper.describe();
    await store.send("HSET", "{test}:login", "sealed", old, "fence", String(Date.now() + 60_000));
    await store.send("PUBLISH", "{test}:changes", "login 1");
    expect((await failure(replica().keeper.current())).code).toBe("store_unavailable");
    expect((await one.keeper.current()).accessToken).not.toBe("");
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("an emptied store takes no second login of the environment before the newest one had its chance", async () => {
    const env = ENV();
    const one = replica({ env });
    await one.keeper.current();
    const newest = (await one.keeper.current()).accessToken;
    await store.kill();
    const away = one.connection;
    await store.start();
    // Both bring tokens that were spent, and come before the replica that has what they became.
    const [second, third] = [replica({ env }), replica({ env: { ...env, OPENAI_REFRESH_TOKEN: "rt_older" } })];
    await Promise.all([second.keeper.describe(), third.keeper.describe()]);
    await until(() => away.isUp);
    await until(async () => (await third.keeper.describe(), second.login.version() === one.login.version()));
    expect((await one.keeper.current()).accessToken).toBe(newest);
    expect(tokens.asked.filter((token) => token === "rt_first")).toHaveLength(1);
  });

  test("a lock that ran out spends nothing", async () => {
    const one = replica({ env: ENV() });
    await one.keeper.describe();
    const lock = await one.login.lock(PATIENT);
    await store.send("DEL", "{test}:login-lock");
    expect((await failure(lock.confirm("rt_first"))).code).toBe("store_unavailable");
  });

  test("a sign-in replaces the login everywhere, a sign-out ends it everywhere", async () => {
    const [one, other] = [replica({ env: ENV() }), replica()];
    await one.keeper.current();
    await other.keeper.current();
    const access = jwt({ exp: Date.now() / 1000 + 3600, n: 7 });
    const tokensOf = { accessToken: access, refreshToken: "rt_new", idToken: undefined, accountId: undefined };
    const login = {
      kind: "chatgpt" as const,
      tokens: { ...tokensOf, expiresAtMs: undefined, lastRefreshMs: undefined },
    };
    await replica().login.replace(login);
    await until(async () => (await one.keeper.current()).accessToken === access);
    await until(async () => (await other.keeper.current()).accessToken === access);
    await replica().login.replace(undefined);
    await until(async () => (await one.keeper.current().catch((error: RelayError) => error)) instanceof Error);
    expect((await failure(other.keeper.current())).code).toBe("codex_auth_required");
    // Also for a replica that comes back with what it knew.
    await until(async () => (await failure(one.keeper.current())).code === "codex_auth_required");
  });

  test("another key is named as what is wrong, and a rotated one seals anew", async () => {
    await replica({ env: ENV() }).keeper.current();
    const error = await failure(replica({ key: randomBytes(32).toString("hex") }).keeper.current());
    expect(error.code).toBe("store_unavailable");
    expect(error.explanation).toMatch(/another key.*PLANSOCKET_STORE_KEY/);
    const next = randomBytes(32).toString("base64");
    await replica({ key: `${next},${KEY}` }).keeper.current();
    expect((await replica({ key: next }).keeper.current()).accessToken).not.toBe("");
  });

  test.each(["reset", "silence"] as const)("a way that is cut (%s) and mended leaves one login", async (how) => {
    const way = cuttableWay(store.port);
    try {
      const [one, cut] = [replica({ env: ENV() }), replica({ port: way.port })];
      await one.keeper.describe();
      await cut.keeper.describe();
      way.cut(how);
      const { accessToken } = await one.keeper.current();
      expect((await cut.keeper.current()).accessToken).not.toBe(accessToken);
      way.mend();
      await until(async () => (await cut.keeper.current()).accessToken === accessToken);
      expect(tokens.asked).toEqual(["rt_first"]);
    } finally {
      way.stop();
    }
  });
});
