import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCredentials } from "../../src/auth/index.ts";
import { AuthFile } from "../../src/auth/sources/auth-file.ts";
import type { CredentialKeeper } from "../../src/auth/keeper.ts";
import { takeLock } from "../../src/lib/lock-file.ts";
import type { Log } from "../../src/lib/log.ts";
import { jwt, refusal, startTokenServer, type TokenServer } from "../support/token-server.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;

let home: string;
let file: string;
let server: TokenServer;
let lines: string[];
let nowMs: number;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-hard-"));
  file = join(home, "auth.json");
  server = startTokenServer("rt_0");
  lines = [];
  nowMs = NOW;
});
afterEach(async () => {
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

const record = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
const log: Log = { debug() {}, info: record, warn: record, error: record };

function keeper(
  env: Record<string, string> = {},
  stateDir = join(home, "state"),
  send: (url: string, init?: RequestInit) => Promise<Response> = fetch,
): CredentialKeeper {
  return openCredentials({
    env,
    authFile: file,
    stateDir,
    tokenUrl: server.url,
    clientId: "app",
    fetch: send,
    log,
    now: () => nowMs,
    sleep: (ms) => Bun.sleep(Math.min(ms, 5)),
  });
}

const ending = (inMs: number, id = "") => jwt({ exp: (nowMs + inMs) / 1000, id });

function login(accessToken: string, refreshToken: string): void {
  const tokens = { id_token: jwt({}), access_token: accessToken, refresh_token: refreshToken, account_id: "acc-1" };
  writeFileSync(file, JSON.stringify({ auth_mode: "chatgpt", OPENAI_API_KEY: null, tokens }, null, 2), { mode: 0o600 });
}

/** The next refresh gives an access token that ends in `inMs`. */
const give = (inMs: number, refreshToken: string) =>
  server.script.push(() => Response.json({ access_token: ending(inMs, refreshToken), refresh_token: refreshToken }));

const stored = () => (JSON.parse(readFileSync(file, "utf8")) as { tokens: Record<string, string> }).tokens;

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as Error & { code: string; hint: string },
  );

/** Makes every save fail although the proof before the refresh succeeded, as when a disk breaks in between. */
function forbidSaving(): Disposable {
  const broken = Object.assign(new Error("read-only"), { code: "EROFS" });
  const save = spyOn(AuthFile.prototype, "save").mockRejectedValue(broken);
  return { [Symbol.dispose]: () => save.mockRestore() };
}

test("tokens in memory are renewed from memory while the disk still refuses", async () => {
  login(ending(-1), "rt_0");
  const held = keeper();
  {
    using _ = forbidSaving();
    give(10 * MINUTE, "rt_a");
    await held.current();
    nowMs += 9 * MINUTE;
    give(60 * MINUTE, "rt_b");
    expect((await held.current()).accessToken).toBe(ending(60 * MINUTE, "rt_b"));
    expect(server.asked).toEqual(["rt_0", "rt_a"]);
    nowMs += MINUTE;
    await held.current();
    expect(server.asked).toHaveLength(2);
  }
});

test("tokens in memory are saved once the disk takes them again", async () => {
  login(ending(-1), "rt_0");
  const held = keeper();
  {
    using _ = forbidSaving();
    give(600 * MINUTE, "rt_a");
    await held.current();
    expect(stored()["refresh_token"]).toBe("rt_0");
    expect(lines.join()).toContain("could not be saved");
    expect(lines.join()).not.toContain("rt_");
  }
  nowMs += 2 * MINUTE;
  await held.current();
  expect(stored()["refresh_token"]).toBe("rt_a");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(server.asked).toHaveLength(1);
});

test("a logout during a refresh stays a logout", async () => {
  login(ending(-1), "rt_0");
  server.script.push(() => {
    rmSync(file);
    return Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_a" });
  });
  await failure(keeper().current());
  expect(readdirSync(home)).toEqual([]);
});

test("a login that died while its token still works is told once, and works to its end", async () => {
  login(ending(4 * MINUTE), "rt_0");
  server.script.push(() => refusal(401, "refresh_token_expired"));
  const held = keeper();
  for (let calls = 0; calls < 5; calls += 1) expect((await held.current()).accessToken).toBe(ending(4 * MINUTE));
  expect(server.asked).toHaveLength(1);
  expect(lines).toHaveLength(1);
  nowMs += 5 * MINUTE;
  expect((await failure(held.current()))?.code).toBe("codex_auth_required");
  expect(server.asked).toHaveLength(1);
});

test("a login service in trouble is not asked by every request while the old token works", async () => {
  login(ending(4 * MINUTE), "rt_0");
  for (let times = 0; times < 20; times += 1) server.script.push(() => new Response("x", { status: 503 }));
  const held = keeper();
  for (let calls = 0; calls < 20; calls += 1) await held.current();
  expect(server.asked).toHaveLength(1);
  nowMs += 2 * MINUTE;
  await held.current();
  expect(server.asked).toHaveLength(2);
});

test("a token that seems to end as soon as it is issued is not renewed by every request", async () => {
  login(ending(-1), "rt_0");
  for (let times = 0; times < 5; times += 1) give(-MINUTE, `rt_${times}`);
  const held = keeper();
  for (let calls = 0; calls < 5; calls += 1) await held.current();
  expect(server.asked).toHaveLength(1);
});

test("a blocked region is named, and the refresh token is not given up", async () => {
  login(ending(-1), "rt_0");
  server.script.push(() => refusal(403, "unsupported_country_region_territory"));
  const held = keeper();
  const error = await failure(held.current());
  expect(`${error?.message} ${error?.hint}`).toMatch(/country|region/);
  nowMs += 2 * MINUTE;
  give(60 * MINUTE, "rt_a");
  await held.current();
  expect(stored()["refresh_token"]).toBe("rt_a");
});

test("of many who find a dead lock only one at a time holds it", async () => {
  const path = join(home, "lock");
  const gone = Bun.spawnSync(["true"]).pid;
  for (let round = 0; round < 30; round += 1) {
    writeFileSync(path, `${gone} left-behind`);
    let holders = 0;
    let most = 0;
    const work = async () => {
      const release = await takeLock(path, { sleep: () => Bun.sleep(1) });
      holders += 1;
      most = Math.max(most, holders);
      await Bun.sleep(1);
      holders -= 1;
      await release();
    };
    await Promise.all(Array.from({ length: 8 }, work));
    expect(most).toBe(1);
  }
  expect(readdirSync(home)).toEqual([]);
});

test("a state folder that cannot be written is told before the refresh token is spent", async () => {
  writeFileSync(join(home, "blocked"), "");
  const held = keeper(
    { OPENAI_ACCESS_TOKEN: ending(60 * MINUTE), OPENAI_REFRESH_TOKEN: "rt_0" },
    join(home, "blocked/x"),
  );
  await held.allowUnsaved();
  await held.current();
  expect(server.asked).toEqual([]);
  expect(lines.join()).toContain("could not be saved");
  expect(lines.join()).toContain("--state-dir");
  expect(lines.join()).not.toContain("rt_0");
});

test("a refresh token that comes alone is kept: the old one is spent", async () => {
  login(ending(4 * MINUTE), "rt_0");
  server.script.push(() => Response.json({ refresh_token: "rt_a" }));
  await keeper().current();
  expect(stored()).toMatchObject({ access_token: ending(4 * MINUTE), refresh_token: "rt_a" });
});

test("a web page with 401 is not the login service's word on the token", async () => {
  login(ending(-1), "rt_0");
  server.script.push(() => new Response("<!doctype html>", { status: 401, headers: { "content-type": "text/html" } }));
  const held = keeper();
  expect((await failure(held.current()))?.message).toContain("web page");
  give(60 * MINUTE, "rt_a");
  expect((await held.current()).accessToken).toBe(ending(60 * MINUTE, "rt_a"));
});

test("a lock of another machine is not judged by this machine's processes", async () => {
  const path = join(home, "lock");
  const gone = Bun.spawnSync(["true"]).pid;
  writeFileSync(path, `${gone} nonce another-machine`);
  let polls = 0;
  const release = await takeLock(path, {
    sleep: async () => {
      polls += 1;
      if (polls === 3) rmSync(path);
    },
  });
  expect(polls).toBe(3);
  await release();
  expect(readdirSync(home)).toEqual([]);
});

test("a token is spent on a connection of its own, not on one that may have died in the pool", async () => {
  login(ending(-1), "rt_0");
  const isPooled: boolean[] = [];
  const send = (url: string, init?: RequestInit) => {
    isPooled.push(init?.keepalive !== false);
    return fetch(url, init);
  };
  await keeper({}, home, send).current();
  expect(isPooled).toEqual([false]);
});

test("a login service that keeps silent is a timeout that may be tried again, and the lock is free", async () => {
  login(ending(-1), "rt_0");
  const silence = () => Promise.reject(new DOMException("The operation timed out.", "TimeoutError"));
  const error = await failure(keeper({}, home, silence).current());
  expect([error?.code, error?.message]).toEqual(["upstream_timeout", expect.stringContaining("no answer in time")]);
  expect(readdirSync(home)).toEqual(["auth.json"]);
  await keeper().current();
  expect(server.asked).toEqual(["rt_0"]);
});

test("an end of the process waits for a token that is being spent", async () => {
  login(ending(-1), "rt_0");
  const arrived = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  server.script.push(() => (arrived.resolve(), answer.promise));
  const held = keeper();
  const renewing = held.current();
  await arrived.promise;
  let isSettled = false;
  const settling = held.settle().then(() => (isSettled = true));
  await Bun.sleep(20);
  expect([isSettled, stored()["refresh_token"]]).toEqual([false, "rt_0"]);
  answer.resolve(Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_a" }));
  await settling;
  expect(stored()["refresh_token"]).toBe("rt_a");
  await renewing;
});

test("nothing is spent any more once the process is ending", async () => {
  login(ending(-1), "rt_0");
  const held = keeper();
  // Another process is at it; so this one has not begun to spend when it is told to end.
  const release = await takeLock(`${file}.plansocket.lock`);
  const renewing = failure(held.current());
  await held.settle();
  await release();
  expect((await renewing)?.code).toBe("relay_stopping");
  expect(server.asked).toEqual([]);
});

test("the last thing that a process does is to save what it could not save before", async () => {
  login(ending(-1), "rt_0");
  const held = keeper();
  {
    using _ = forbidSaving();
    give(600 * MINUTE, "rt_a");
    await held.current();
    await held.settle();
    expect(stored()["refresh_token"]).toBe("rt_0");
  }
  await held.settle();
  expect(stored()["refresh_token"]).toBe("rt_a");
});

test("a clock that is set back by a day does not put off saving by a day", async () => {
  login(ending(-1), "rt_0");
  const held = keeper();
  {
    using _ = forbidSaving();
    give(48 * 60 * MINUTE, "rt_a");
    await held.current();
  }
  nowMs -= 24 * 60 * MINUTE;
  await held.current();
  expect(stored()["refresh_token"]).toBe("rt_a");
});

test("what the CLI writes while a renewed token is being saved is not written over", async () => {
  let rounds = 0;
  for (let hits = 0; hits < 10; rounds += 1) {
    login(ending(-1), "rt_0");
    server.script.push(() => Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_a" }));
    const state = { isOver: false, isHit: false };
    const renewing = keeper()
      .current()
      .finally(() => (state.isOver = true));
    while (!state.isOver && !state.isHit) {
      await new Promise(setImmediate);
      // The temporary file is there: what the old one held has been read.
      if (!readdirSync(home).some((name) => name.endsWith(".tmp"))) continue;
      login(ending(90 * MINUTE), "rt_cli");
      state.isHit = true;
    }
    await renewing;
    expect(stored()["refresh_token"]).toBe(state.isHit ? "rt_cli" : "rt_a");
    if (state.isHit) hits += 1;
    if (rounds > 1000) throw new Error("it is never met while it writes");
  }
});

/** Moves the file away, as switchers between accounts and backups do; given back by calling the result. */
function moveAway(): () => void {
  const aside = `${file}.aside`;
  renameSync(file, aside);
  return () => renameSync(aside, file);
}

test("a login that is away while it is renewed is saved once it is back", async () => {
  login(ending(-1), "rt_0");
  let giveBack = () => {};
  server.script.push(() => {
    giveBack = moveAway();
    return Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_a" });
  });
  const held = keeper();
  expect((await failure(held.current()))?.code).toBe("codex_auth_required");
  giveBack();
  expect((await held.current()).accessToken).toBe(ending(60 * MINUTE));
  await held.current();
  expect(stored()["refresh_token"]).toBe("rt_a");
  expect(server.asked).toEqual(["rt_0"]);
});

test("an end of the process waits a moment for a login that is away", async () => {
  login(ending(-1), "rt_0");
  let giveBack = () => {};
  server.script.push(() => {
    giveBack = moveAway();
    return Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_a" });
  });
  const held = keeper();
  await failure(held.current());
  const settling = held.settle();
  await Bun.sleep(1);
  giveBack();
  await settling;
  expect(stored()["refresh_token"]).toBe("rt_a");
});

test("a file that is put back from before several renewals gets their last one", async () => {
  login(ending(-1), "rt_0");
  const old = readFileSync(file);
  const held = keeper();
  for (const token of ["rt_a", "rt_b", "rt_c"]) {
    give(10 * MINUTE, token);
    await held.current();
    nowMs += 6 * MINUTE;
  }
  writeFileSync(file, old);
  give(60 * MINUTE, "rt_d");
  await held.current();
  await held.current();
  expect(server.asked).toEqual(["rt_0", "rt_a", "rt_b", "rt_c"]);
  expect(stored()["refresh_token"]).toBe("rt_d");
});

test("tokens in memory of one login never get into the file of another", async () => {
  login(ending(-1), "rt_0");
  const held = keeper();
  server.script.push(() => {
    login(ending(60 * MINUTE), "rt_other");
    return Response.json({ access_token: ending(60 * MINUTE, "first"), refresh_token: "rt_a" });
  });
  expect((await held.current()).accessToken).toBe(ending(60 * MINUTE));
  nowMs += 56 * MINUTE;
  give(60 * MINUTE, "rt_other_a");
  await held.current();
  expect(stored()["refresh_token"]).toBe("rt_other_a");
  login(ending(-1), "rt_0");
  give(60 * MINUTE, "rt_b");
  await held.current();
  expect(server.asked).toEqual(["rt_0", "rt_other", "rt_a"]);
  expect(stored()["refresh_token"]).toBe("rt_b");
});
