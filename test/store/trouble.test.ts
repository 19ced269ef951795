import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../src/lib/log.ts";
import type { StoreConnection, StoreClient } from "../../src/store/connection.ts";
import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";
import { jwt, startTokenServer, type TokenServer } from "../support/token-server.ts";
import { eventually } from "../support/relay.ts";
import { loginReplica, type LoginReplica } from "../support/login-replica.ts";

const KEY = randomBytes(32).toString("base64");
const TIMING = { lockMs: 400, settleMs: 150, spendingMs: 600 };
const LATE = 4_000_000_000;
const PATIENT = { sleep: (ms: number) => Bun.sleep(ms), patienceMs: 5000 };

let store: StoreServer;
let tokens: TokenServer;
let home: string;
let lines: string[];
const open: StoreConnection[] = [];

beforeEach(() => {
  tokens = startTokenServer("rt_first");
  home = mkdtempSync(join(tmpdir(), "plansocket-trouble-"));
  lines = [];
});
afterEach(async () => {
  for (const connection of open.splice(0)) connection.close();
  await store?.[Symbol.asyncDispose]();
  await tokens.stop();
  rmSync(home, { recursive: true, force: true });
});

interface Over {
  readonly access?: string;
  readonly timing?: typeof TIMING;
  readonly connect?: (url: string, options: Bun.RedisOptions) => StoreClient;
}

function replica({ access, timing = TIMING, connect }: Over = {}): LoginReplica {
  const record = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
  const log: Log = { debug() {}, info: record, warn: record, error: record };
  const env = access === undefined ? {} : { OPENAI_REFRESH_TOKEN: "rt_first", OPENAI_ACCESS_TOKEN: access };
  const made = loginReplica({ port: store.port, key: KEY, timing, tokenUrl: tokens.url, home, log, env, connect });
  open.push(made.connection);
  return made;
}

/** Renewed early: it still works. */
const due = () => jwt({ exp: Date.now() / 1000 + 60 });
const ended = () => jwt({ exp: Date.now() / 1000 - 10 });
const renewed = () => Response.json({ access_token: jwt({ exp: LATE }), refresh_token: "rt_new" });

/** A server that loads takes a few seconds. */
const until = (check: () => boolean | Promise<boolean>) => eventually(check, 10_000);

const fenceInStore = async () => String(await store.send("HGET", "{test}:login", "fence"));

/** Bun's client with a network before it: slow by so many milliseconds, and cut when told. */
function network(delayMs = 0) {
  const clients = new Set<StoreClient>();
  const state = { isCut: false };
  const connect = (url: string, options: Bun.RedisOptions): StoreClient => {
    const real = new Bun.RedisClient(url, options);
    const client: StoreClient = {
      onclose: null,
      async connect() {
        if (state.isCut) throw new Error("cut");
        await real.connect();
        clients.add(client);
      },
      subscribe: (async (channel: string, listener: (message: string, channel: string) => void) => {
        await Bun.sleep(delayMs);
        return real.subscribe(channel, listener);
      }) as StoreClient["subscribe"],
      async send(command, values) {
        await Bun.sleep(delayMs);
        return real.send(command, values);
      },
      close: () => real.close(),
    };
    return client;
  };
  const cut = () => {
    state.isCut = true;
    for (const client of clients) {
      client.close();
      client.onclose?.call(undefined as never, new Error("cut"));
    }
    clients.clear();
  };
  return { connect, cut, heal: () => (state.isCut = false) };
}

describe.skipIf(STORE_PROGRAM === undefined)("a store in trouble (needs redis-server or valkey-server)", () => {
  test("that is out of memory gets the renewed login as soon as it has room, and nobody spends again", async () => {
    store = await startStoreServer();
    const [one, other] = [replica({ access: due() }), replica()];
    await one.keeper.describe();
    await other.keeper.describe();
    tokens.script.push(async () => {
      await store.send("CONFIG", "SET", "maxmemory", "1");
      return renewed();
    });
    const got = await one.keeper.current();
    expect(got.accessToken).toBe(jwt({ exp: LATE }));
    expect(await store.send("HGET", "{test}:login", "spending")).not.toBeNull();
    await store.send("CONFIG", "SET", "maxmemory", "0");
    await until(() => other.login.version() === one.login.version());
    expect((await other.keeper.current()).accessToken).toBe(got.accessToken);
    expect(tokens.asked).toEqual(["rt_first"]);
  });

  test("that stays out of memory until the end: the loss is told", async () => {
    store = await startStoreServer();
    const one = replica({ access: due() });
    await one.keeper.describe();
    tokens.script.push(async () => {
      await store.send("CONFIG", "SET", "maxmemory", "1");
      return renewed();
    });
    await one.keeper.current();
    await one.keeper.current();
    await one.keeper.settle();
    expect(lines.join("\n")).toContain("is lost with this process");
  });

  test("that still loads is away, and gets the renewed login when it has loaded", async () => {
    const slow = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    store = await startStoreServer({ isDurable: true, args: slow });
    const [one, other] = [replica({ access: due() }), replica()];
    await one.keeper.describe();
    await other.keeper.describe();
    await store.send("CONFIG", "SET", "key-load-delay", "0");
    await store.send("EVAL", "for i=1,1000 do redis.call('SET','pad'..i,string.rep('x',100)) end", "0");
    await store.send("BGREWRITEAOF");
    await until(async () => /aof_rewrite_in_progress:0/.test(String(await store.send("INFO", "persistence"))));
    tokens.script.push(async () => {
      await store.kill();
      return renewed();
    });
    await one.keeper.current();
    await store.start();
    await until(() => other.login.version() === one.login.version());
    expect(await fenceInStore()).toBe(one.login.version());
    expect(tokens.asked).toEqual(["rt_first"]);
  }, 30_000);

  test("that became a copy of another is away, once", async () => {
    store = await startStoreServer();
    const { keeper, connection, login } = replica({ access: jwt({ exp: LATE }) });
    await keeper.describe();
    await store.send("REPLICAOF", "127.0.0.1", "1");
    await login.lock({ ...PATIENT, patienceMs: 400 }).then(
      () => Promise.reject(new Error("it took a lock")),
      () => {},
    );
    await login.lock({ ...PATIENT, patienceMs: 400 }).catch(() => {});
    expect(connection.isUp).toBe(false);
    expect(lines.filter((line) => line.startsWith("The store is"))).toHaveLength(1);
    await store.send("REPLICAOF", "NO", "ONE");
    await until(() => connection.isUp);
    expect(lines.at(-1)).toContain("The store is back.");
  });

  test.each([0, 2, 10])("that was emptied is nobody's before who is back has looked, %i ms away", async (delayMs) => {
    store = await startStoreServer();
    const timing = { lockMs: 15_000, settleMs: 1500, spendingMs: 60_000 };
    const [near, far] = [network(), network(delayMs)];
    const one = replica({ access: ended(), timing: { ...timing, settleMs: 100 }, connect: near.connect });
    const behind = replica({ timing, connect: far.connect });
    await one.keeper.describe();
    await behind.keeper.describe();
    await until(() => behind.login.version() === one.login.version());
    far.cut();
    await one.keeper.current();
    near.cut();
    await store.kill();
    await store.start();
    far.heal();
    const asking = new AbortController();
    const requests = (async () => {
      for (; !asking.signal.aborted; await Bun.sleep(1)) void behind.keeper.current().catch(() => {});
    })();
    await until(() => behind.connection.isUp);
    await Bun.sleep(500);
    near.heal();
    await until(() => behind.login.version() === one.login.version());
    asking.abort();
    await requests;
    expect(tokens.asked).toEqual(["rt_first"]);
  });
});

describe.skipIf(STORE_PROGRAM === undefined)("the owner's word (needs redis-server or valkey-server)", () => {
  test("to sign out stays, whatever renewal begins while it is given", async () => {
    store = await startStoreServer();
    const [one, owner] = [replica({ access: due() }), replica()];
    await one.keeper.describe();
    await owner.login.load();
    const run = owner.connection.run.bind(owner.connection);
    let renewing: Promise<unknown> | undefined;
    owner.connection.run = async (...words) => {
      const reply = await run(...words);
      if (!renewing) {
        // Its client hears that there is no login any more.
        renewing = one.keeper.current().catch(() => {});
        await until(() => tokens.asked.length > 0);
      }
      return reply;
    };
    await owner.login.replace(undefined);
    await renewing;
    expect(await replica().login.load()).toBeUndefined();
    await until(() => one.login.version() === owner.login.version());
  });

  test("given twice is heard twice, whichever look at the store is answered first", async () => {
    store = await startStoreServer();
    const [owner, other] = [replica({ access: jwt({ exp: LATE }) }), replica()];
    await owner.keeper.describe();
    await other.keeper.describe();
    await until(() => other.login.version() === owner.login.version());
    const run = other.connection.run.bind(other.connection);
    const answers: (() => void)[] = [];
    other.connection.run = async (...words) => {
      const reply = await run(...words);
      await new Promise<void>((resolve) => answers.push(resolve));
      return reply;
    };
    const key = (text: string) => ({ kind: "api-key" as const, key: text });
    await owner.login.replace(key("first"));
    await until(() => answers.length === 1);
    await owner.login.replace(key("second"));
    await until(() => answers.length === 2);
    answers[0]?.();
    await until(() => other.login.version() !== "1");
    answers[1]?.();
    await until(() => other.login.version() === owner.login.version());
  });

  test.each([110, 140, 170, 200])("to end counts %i ms into a renewal: no token is spent after it", async (waitMs) => {
    store = await startStoreServer();
    const { connect } = network(30);
    const { keeper } = replica({ access: due(), connect });
    await keeper.describe();
    await Bun.sleep(TIMING.settleMs);
    const asking = keeper.current().catch(() => {});
    await Bun.sleep(waitMs);
    await keeper.settle();
    const asked = tokens.asked.length;
    await asking;
    expect(tokens.asked).toHaveLength(asked);
  });

  test("of one that died is not taken for a new one by who comes later", async () => {
    store = await startStoreServer();
    const timing = { ...TIMING, spendingMs: 1500 };
    const one = replica({ access: due(), timing });
    await one.keeper.describe();
    const lock = await one.login.lock(PATIENT);
    await one.login.load();
    await lock.confirm("rt_first");
    one.connection.close();
    await Bun.sleep(timing.spendingMs + 100);
    const late = replica({ timing });
    await late.keeper.describe();
    await late.keeper.current();
    expect(tokens.asked).toEqual(["rt_first"]);
  });
});
