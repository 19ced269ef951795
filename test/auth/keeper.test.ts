import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCredentials } from "../../src/auth/index.ts";
import type { CredentialKeeper } from "../../src/auth/keeper.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import type { Log } from "../../src/lib/log.ts";
import { holdClosedPort } from "../support/ports.ts";
import { jwt, refusal, startTokenServer, type TokenServer } from "../support/token-server.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

let home: string;
let file: string;
let server: TokenServer;
let lines: string[];
let nowMs: number;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-auth-"));
  file = join(home, "auth.json");
  server = startTokenServer("rt_old");
  lines = [];
  nowMs = NOW;
});
afterEach(async () => {
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

const record = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
const log: Log = { debug() {}, info: record, warn: record, error: record };

function keeper(env: Record<string, string> = {}, named?: string, tokenUrl = server.url): CredentialKeeper {
  return openCredentials({
    env,
    authFile: named ?? file,
    isAuthFileNamed: named !== undefined,
    stateDir: join(home, "state"),
    tokenUrl,
    clientId: "app",
    fetch,
    log,
    now: () => nowMs,
    sleep: (ms) => Bun.sleep(Math.min(ms, 5)),
  });
}

const expiring = (ms: number, more: object = {}) => jwt({ exp: (NOW + ms) / 1000, ...more });

function login(over: { access?: string; refresh?: string; top?: object; tokens?: object; lastRefresh?: number } = {}) {
  const content = {
    auth_mode: "chatgpt",
    OPENAI_API_KEY: null,
    tokens: {
      id_token: jwt({
        email: "a@b.c",
        "https://api.openai.com/auth": { chatgpt_plan_type: "plus", chatgpt_account_id: "acc-id" },
      }),
      access_token: over.access ?? expiring(60 * MINUTE),
      refresh_token: over.refresh ?? "rt_old",
      account_id: "acc-1",
      oauth_provenance: { issuer: "i" },
      ...over.tokens,
    },
    last_refresh: new Date(over.lastRefresh ?? NOW).toISOString(),
    surprise: [1],
    ...over.top,
  };
  writeFileSync(file, JSON.stringify(content, undefined, 2), { mode: 0o600 });
}

async function refused(
  promise: Promise<unknown>,
  code: RelayError["code"] = "codex_auth_required",
): Promise<RelayError> {
  const error = (await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )) as RelayError | undefined;
  expect(error?.code).toBe(code);
  return error as RelayError;
}

const saved = () =>
  JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown> & { tokens: Record<string, unknown> };

describe("when a token is renewed", () => {
  test.each([
    ["one hour left", () => expiring(60 * MINUTE), NOW, 0],
    ["six minutes left", () => expiring(6 * MINUTE), NOW, 0],
    ["four minutes left", () => expiring(4 * MINUTE), NOW, 1],
    ["expired", () => expiring(-MINUTE), NOW, 1],
    ["no readable end, renewed a week ago", () => "opaque", NOW - 7 * DAY, 0],
    ["no readable end, renewed nine days ago", () => "opaque", NOW - 9 * DAY, 1],
    ["an hour left, renewed nine days ago", () => expiring(60 * MINUTE), NOW - 9 * DAY, 0],
  ])("%s", async (_name, access, lastRefresh, refreshes) => {
    login({ access: access(), lastRefresh });
    await keeper().current();
    expect(server.asked).toHaveLength(refreshes);
  });

  test("the file keeps what the relay does not know, its privacy and its shape", async () => {
    login({ access: expiring(-1) });
    chmodSync(file, 0o644);
    const credentials = await keeper().current();
    expect(saved()["surprise"]).toEqual([1]);
    expect(saved().tokens["oauth_provenance"]).toEqual({ issuer: "i" });
    expect(saved().tokens["account_id"]).toBe("acc-1");
    expect(saved().tokens["refresh_token"]).toBe("rt_1");
    expect(saved().tokens["access_token"]).toBe(credentials.accessToken);
    expect(saved()["last_refresh"]).toBe(new Date(NOW).toISOString());
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toStartWith('{\n  "auth_mode"');
    expect(readdirSync(home)).toEqual(["auth.json"]);
  });

  test("a symlink stays a symlink", async () => {
    const real = join(home, "elsewhere");
    mkdirSync(real);
    login({ access: expiring(-1) });
    const target = join(real, "auth.json");
    writeFileSync(target, readFileSync(file), { mode: 0o600 });
    rmSync(file);
    symlinkSync(target, file);
    await keeper().current();
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(target, "utf8"))).toMatchObject({ tokens: { refresh_token: "rt_1" } });
  });

  test("missing parts of the answer keep their old value", async () => {
    login({ access: expiring(-1) });
    server.script.push(() => Response.json({ access_token: expiring(DAY) }));
    await keeper().current();
    expect(saved().tokens["refresh_token"]).toBe("rt_old");
    expect(saved().tokens["id_token"]).toBeString();
  });

  test("fifty requests at once spend one refresh token", async () => {
    login({ access: expiring(-1) });
    const login1 = keeper();
    const all = await Promise.all(Array.from({ length: 50 }, () => login1.current()));
    expect(new Set(all.map((credentials) => credentials.accessToken)).size).toBe(1);
    expect(server.asked).toEqual(["rt_old"]);
  });

  test("two keepers on one file spend one refresh token", async () => {
    login({ access: expiring(-1) });
    const [a, b] = await Promise.all([keeper().current(), keeper().current()]);
    expect(a.accessToken).toBe(b.accessToken);
    expect(server.asked).toHaveLength(1);
  });

  test("a token that still works is used when renewal fails, with one warning", async () => {
    login({ access: expiring(MINUTE) });
    server.script.push(
      () => new Response("x", { status: 500 }),
      () => new Response("x", { status: 500 }),
    );
    const held = keeper();
    const { accessToken } = await held.current();
    await held.current();
    expect(accessToken).toBe(expiring(MINUTE));
    expect(lines).toHaveLength(1);
  });
});

describe("after a 401", () => {
  test("the file is read again first, then the token is renewed", async () => {
    login();
    const held = keeper();
    const first = await held.current();
    expect((await held.recover(first, 1)).accessToken).toBe(first.accessToken);
    expect(server.asked).toEqual([]);
    const renewed = await held.recover(first, 2);
    expect(renewed.accessToken).not.toBe(first.accessToken);
    expect(server.asked).toEqual(["rt_old"]);
  });

  test("another token in the file is taken instead of renewing", async () => {
    login();
    const held = keeper();
    const first = await held.current();
    login({ access: expiring(2 * DAY), refresh: "rt_other" });
    expect((await held.recover(first, 2)).accessToken).toBe(expiring(2 * DAY));
    expect(server.asked).toEqual([]);
  });

  test("renewals are counted by how they went", async () => {
    login({ access: expiring(-MINUTE) });
    const counting = keeper();
    await counting.current();
    expect(counting.refreshes).toEqual({ ok: 1, failed: 0 });
    login({ access: expiring(-MINUTE), refresh: "rt_of_nobody" });
    await counting.current().catch(() => {});
    expect(counting.refreshes).toEqual({ ok: 1, failed: 1 });
  });

  test("many rejections at once renew once", async () => {
    login();
    const held = keeper();
    const first = await held.current();
    await Promise.all(Array.from({ length: 20 }, () => held.recover(first, 2)));
    expect(server.asked).toHaveLength(1);
  });
});

describe("races with other programs", () => {
  test("a token that somebody else spent is adopted from the file", async () => {
    login({ access: expiring(-1), refresh: "rt_spent" });
    server.script.push(() => {
      login({ access: expiring(DAY), refresh: "rt_theirs" });
      return refusal(401, "refresh_token_reused");
    });
    expect((await keeper().current()).accessToken).toBe(expiring(DAY));
    expect(saved().tokens["refresh_token"]).toBe("rt_theirs");
    expect(lines).toEqual([]);
  });

  test("a login made while renewing is not written over", async () => {
    login({ access: expiring(-1) });
    server.script.push(() => {
      login({ access: expiring(DAY), refresh: "rt_new_login" });
      return Response.json({ access_token: expiring(2 * DAY), refresh_token: "rt_ours" });
    });
    expect((await keeper().current()).accessToken).toBe(expiring(DAY));
    expect(saved().tokens["refresh_token"]).toBe("rt_new_login");
  });

  test("a lock left by a dead process does not block", async () => {
    login({ access: expiring(-1) });
    const dead = Bun.spawnSync(["true"]).pid;
    writeFileSync(`${file}.plansocket.lock`, `${dead} x`);
    await keeper().current();
    expect(server.asked).toHaveLength(1);
    expect(readdirSync(home)).toEqual(["auth.json"]);
  });

  test("half a file is read again", async () => {
    login();
    const whole = readFileSync(file, "utf8");
    writeFileSync(file, whole.slice(0, 40));
    const pending = keeper().current();
    setTimeout(() => writeFileSync(file, whole), 8);
    expect((await pending).accountId).toBe("acc-1");
  });

  test("a look of a moment ago will do where its age is allowed, and no other look", async () => {
    login();
    const held = keeper();
    const { accessToken: before } = await held.current();
    const after = expiring(DAY);
    login({ access: after });
    expect((await held.current(MINUTE)).accessToken).toBe(before);
    expect((await held.current()).accessToken).toBe(after);
    expect((await held.current(MINUTE)).accessToken).toBe(after);
    rmSync(file);
    await refused(held.current());
    await refused(held.current(MINUTE));
  });

  test.each<[string, (held: CredentialKeeper) => Promise<unknown>]>([
    ["a request", (held) => held.current()],
    ["a look for people", (held) => held.describe()],
    ["what a refused token calls for", async (held) => held.recover(await held.current(MINUTE), 1)],
  ])("a login that cannot be read any more is in hand for nobody after %s found it so", async (_who, find) => {
    login();
    const held = keeper();
    await held.current();
    for (const text of ['{"tokens":{"access_token":{}}}', '{"tokens":', ""]) {
      login();
      await held.current();
      writeFileSync(file, text);
      await refused(find(held));
      await refused(held.current(MINUTE));
    }
  });

  test("a new login is picked up without a restart", async () => {
    login();
    const held = keeper();
    await held.current();
    login({ access: expiring(3 * DAY), tokens: { account_id: "acc-2" } });
    expect((await held.current()).accountId).toBe("acc-2");
    writeFileSync(file, JSON.stringify({ auth_mode: "apikey", OPENAI_API_KEY: "sk-1" }));
    expect(await held.current()).toMatchObject({ kind: "api-key", accessToken: "sk-1", accountId: undefined });
  });
});

describe("a dead login", () => {
  test.each([
    ["refresh_token_expired", "expired"],
    ["refresh_token_reused", "already renewed by another program"],
    ["refresh_token_invalidated", "revoked"],
    ["something_else", "could not be renewed"],
  ])("%s is told once and not asked for again", async (code, words) => {
    login({ access: expiring(-1) });
    server.script.push(() => refusal(401, code));
    const held = keeper();
    const error = await refused(held.current());
    expect(error.message).toContain(words);
    expect(error.hint).toContain("codex login");
    await refused(held.current());
    await refused(held.recover({ ...(await held.describe()), accessToken: expiring(-1) }, 2));
    expect(server.asked).toHaveLength(1);
    expect(lines).toHaveLength(1);
    expect(lines.join()).not.toContain("rt_old");
  });

  test("lives again with a new file", async () => {
    login({ access: expiring(-1), refresh: "rt_dead" });
    server.script.push(() => refusal(401, "refresh_token_expired"));
    const held = keeper();
    await refused(held.current());
    login({ access: expiring(-1), refresh: "rt_old" });
    expect((await held.current()).accessToken).toBeString();
    expect(server.asked).toEqual(["rt_dead", "rt_old"]);
  });

  test("a passing fault is not death", async () => {
    login({ access: expiring(-1) });
    server.script.push(
      () => new Response("x", { status: 503 }),
      () => new Response("<html>", { status: 403 }),
    );
    const held = keeper();
    expect((await refused(held.current(), "upstream_unreachable")).retryAfterMs).toBe(5000);
    expect((await refused(held.current(), "upstream_unreachable")).message).toContain("A web page with status 403");
    expect((await held.current()).accessToken).toBeString();
  });

  test("nobody at the login service is said so", async () => {
    login({ access: expiring(-1) });
    await using closed = await holdClosedPort();
    const held = keeper({}, undefined, closed.url);
    expect((await refused(held.current(), "upstream_unreachable")).message).toMatch(
      /could not be reached \((ECONNREFUSED|ConnectionRefused)\)/,
    );
  });
});

describe("what is wrong with the file is said with its fix", () => {
  test.each([
    ["no file", () => {}, "There is no login", "codex login"],
    ["a folder", () => mkdirSync(file), "is a folder", "Remove it"],
    ["junk", () => writeFileSync(file, "{{{"), "not valid JSON", "codex login"],
    ["10 MB of junk", () => writeFileSync(file, "x".repeat(1e7)), "too large to hold a login (10 MiB)", "codex login"],
    ["no tokens", () => writeFileSync(file, '{"auth_mode":"chatgpt"}'), "holds no tokens", "codex login"],
    ["an empty key", () => writeFileSync(file, '{"auth_mode":"apikey"}'), "holds none", "codex login"],
    ["another kind", () => writeFileSync(file, '{"auth_mode":"agentIdentity"}'), "agentIdentity", "--auth-file FILE"],
    ["another form", () => writeFileSync(file, '{"tokens":5}'), "unexpected form (tokens)", "codex login"],
    [
      "the keyring",
      () => writeFileSync(join(home, "config.toml"), 'cli_auth_credentials_store = "keyring"\n'),
      "keyring",
      '= "file"',
    ],
    [
      "nothing to renew with",
      () => login({ access: expiring(-1), refresh: "" }),
      "none to renew it with",
      "codex login",
    ],
  ])("%s", async (_name, make, message, hint) => {
    make();
    const error = await refused(keeper().current());
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
    expect(error.message + error.hint).not.toContain("eyJ");
  });
});

test.skipIf(!Bun.which("mkfifo"))("a pipe in the place of the file is told, not waited for", async () => {
  Bun.spawnSync(["mkfifo", file]);
  expect((await refused(keeper().current())).message).toContain("is no file");
});

describe("modes", () => {
  test("a key beside tokens does not make it an API-key login; without a mode it does", async () => {
    login({ top: { OPENAI_API_KEY: "sk-1" } });
    expect((await keeper().current()).kind).toBe("chatgpt");
    login({ top: { OPENAI_API_KEY: "sk-1", auth_mode: null } });
    expect((await keeper().current()).kind).toBe("api-key");
    login({ top: { auth_mode: undefined } });
    expect((await keeper().current()).kind).toBe("chatgpt");
  });

  test("claims tell who it is", async () => {
    login({ tokens: { account_id: undefined } });
    expect(await keeper().describe()).toMatchObject({
      accountId: "acc-id",
      email: "a@b.c",
      plan: "plus",
      isFedramp: false,
    });
    expect(await keeper().describe()).not.toHaveProperty("accessToken");
    login({ tokens: { id_token: jwt({ "https://api.openai.com/auth": { chatgpt_account_is_fedramp: true } }) } });
    expect((await keeper().current()).isFedramp).toBe(true);
  });
});

describe("tokens from the environment", () => {
  test("come before the file, and their rotation survives a restart", async () => {
    login();
    const env = { OPENAI_REFRESH_TOKEN: "rt_old", OPENAI_CHATGPT_ACCOUNT_ID: "acc-env" };
    const first = await keeper(env).current();
    expect(first).toMatchObject({ source: "environment", accountId: "acc-env" });
    const second = await keeper(env).current();
    expect(second.accessToken).toBe(first.accessToken);
    expect(server.asked).toEqual(["rt_old"]);
    await keeper(env).recover(first, 2);
    expect(server.asked).toEqual(["rt_old", "rt_1"]);
    await keeper(env).current();
    expect(server.asked).toHaveLength(2);
    expect(statSync(join(home, "state/environment-login.json")).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toContain("rt_old");
  });

  test("a named auth file keeps them in its own form, and is a login of its own afterwards", async () => {
    const named = join(home, "sidecar/auth.json");
    const env = { OPENAI_REFRESH_TOKEN: "rt_old", OPENAI_CHATGPT_ACCOUNT_ID: "acc-env" };
    const first = await keeper(env, named).current();
    expect(existsSync(join(home, "state/environment-login.json"))).toBe(false);
    expect(statSync(named).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(named, "utf8"))).toMatchObject({
      auth_mode: "chatgpt",
      OPENAI_API_KEY: null,
      tokens: { access_token: first.accessToken, refresh_token: "rt_1", account_id: "acc-env" },
    });
    expect((await keeper(env, named).current()).accessToken).toBe(first.accessToken);
    expect(await keeper({}, named).current()).toMatchObject({ accessToken: first.accessToken, accountId: "acc-env" });
    await keeper({ OPENAI_REFRESH_TOKEN: "rt_1" }, named).current();
    expect(server.asked).toEqual(["rt_old", "rt_1"]);
  });

  test("another login in the named file stays, and the state folder keeps them", async () => {
    login();
    const before = readFileSync(file, "utf8");
    const env = { OPENAI_REFRESH_TOKEN: "rt_old" };
    const { accessToken } = await keeper(env, file).current();
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(existsSync(join(home, "state/environment-login.json"))).toBe(true);
    expect((await keeper(env, file).current()).accessToken).toBe(accessToken);
    writeFileSync(file, "{{{");
    expect((await keeper(env, file).current()).accessToken).toBe(accessToken);
  });

  test("another token there is a new login", async () => {
    await keeper({ OPENAI_REFRESH_TOKEN: "rt_old" }).current();
    await keeper({ OPENAI_REFRESH_TOKEN: "rt_1" }).current();
    expect(server.asked).toEqual(["rt_old", "rt_1"]);
  });

  test("two logins that share a state folder do not lose each other's tokens", async () => {
    const [mine, yours] = [{ OPENAI_REFRESH_TOKEN: "rt_old" }, { OPENAI_REFRESH_TOKEN: "rt_yours" }];
    const my = await keeper(mine).current();
    server.script.push(() => Response.json({ access_token: expiring(DAY), refresh_token: "rt_yours_1" }));
    const your = await keeper(yours).current();
    expect((await keeper(mine).current()).accessToken).toBe(my.accessToken);
    expect((await keeper(yours).current()).accessToken).toBe(your.accessToken);
    expect(server.asked).toEqual(["rt_old", "rt_yours"]);
  });

  test.each([
    [String((NOW - 1) / 1000), 1],
    [String(NOW + DAY), 0],
    [String((NOW + DAY) / 1000), 0],
    ["", 0],
  ])("OPENAI_EXPIRES_AT=%s", async (expires, refreshes) => {
    const env = { OPENAI_ACCESS_TOKEN: "opaque", OPENAI_REFRESH_TOKEN: "rt_old", OPENAI_EXPIRES_AT: expires };
    await keeper(env).current();
    expect(server.asked).toHaveLength(refreshes);
  });

  test("an access token alone is used until it is refused", async () => {
    const held = keeper({ CODEX_ACCESS_TOKEN: "opaque" });
    const credentials = await held.current();
    expect(credentials.accessToken).toBe("opaque");
    expect((await refused(held.recover(credentials, 2))).hint).toContain("OPENAI_REFRESH_TOKEN");
  });
});

test("a renewed login that cannot be saved lives on in memory, and is saved no worse than before", async () => {
  if (process.getuid?.() === 0) {
    // Root may write anywhere, so the folder is taken away instead of being made read-only.
    login({ access: expiring(-1) });
    const held = keeper();
    const folder = join(home, "gone");
    mkdirSync(folder);
    const target = join(folder, "auth.json");
    writeFileSync(target, readFileSync(file));
    rmSync(file);
    symlinkSync(target, file);
    server.script.push(async () => {
      Bun.spawnSync(["chattr", "+i", folder]);
      return Response.json({ access_token: expiring(DAY), refresh_token: "rt_memory" });
    });
    try {
      const { accessToken } = await held.current();
      expect(accessToken).toBe(expiring(DAY));
      expect((await held.current()).accessToken).toBe(accessToken);
      expect(server.asked).toHaveLength(1);
    } finally {
      Bun.spawnSync(["chattr", "-i", folder]);
    }
    return;
  }
  login({ access: expiring(-1) });
  chmodSync(home, 0o500);
  try {
    const held = keeper();
    const { accessToken } = await held.current();
    expect((await held.current()).accessToken).toBe(accessToken);
    expect(server.asked).toHaveLength(1);
    expect(lines.some((line) => line.includes("could not be saved"))).toBe(true);
  } finally {
    chmodSync(home, 0o700);
  }
});
