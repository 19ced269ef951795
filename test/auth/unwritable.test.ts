import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
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
import { AuthFile } from "../../src/auth/sources/auth-file.ts";
import { syncFile } from "../../src/lib/atomic-file.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import type { Log } from "../../src/lib/log.ts";
import { bindToItself, canMount, mountTmpfs, remount, unmount } from "../support/mounts.ts";
import { jwt, startTokenServer, type TokenServer } from "../support/token-server.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;

let home: string;
let file: string;
let server: TokenServer;
let lines: string[];
let nowMs: number;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-unwritable-"));
  file = join(home, "auth.json");
  server = startTokenServer("rt_0");
  lines = [];
  nowMs = NOW;
});
afterEach(async () => {
  await server.stop();
  unmount(file);
  unmount(home);
  rmSync(home, { recursive: true, force: true });
});

const record = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
const log: Log = { debug() {}, info: record, warn: record, error: record };

function keeper(env: Record<string, string> = {}): CredentialKeeper {
  return openCredentials({
    env,
    authFile: file,
    stateDir: join(home, "state"),
    tokenUrl: server.url,
    clientId: "app",
    fetch,
    log,
    now: () => nowMs,
    sleep: (ms) => Bun.sleep(Math.min(ms, 5)),
  });
}

const ending = (inMs: number, id = "") => jwt({ exp: (NOW + inMs) / 1000, id });
const OLD_ID_TOKEN = jwt({ email: "dev@example.com" });

function loginText(inMs: number): string {
  const tokens = { id_token: OLD_ID_TOKEN, access_token: ending(inMs), refresh_token: "rt_0", account_id: "acc-1" };
  return JSON.stringify({ auth_mode: "chatgpt", OPENAI_API_KEY: null, tokens, surprise: [1] }, undefined, 2);
}

const login = (inMs: number) => writeFileSync(file, loginText(inMs), { mode: 0o600 });
const stored = () => (JSON.parse(readFileSync(file, "utf8")) as { tokens: Record<string, string> }).tokens;

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as RelayError,
  );

const BOM = "\uFEFF";

test.each([
  ["a byte order mark", (text: string) => BOM + text],
  ["a byte order mark and blank lines at the end", (text: string) => `${BOM + text}\n\n`],
  ["CRLF line ends", (text: string) => text.replaceAll("\n", "\r\n")],
  ["a byte order mark and CRLF line ends", (text: string) => BOM + text.replaceAll("\n", "\r\n")],
  ["UTF-16, as older Windows shells write it", (text: string) => Buffer.from(BOM + text, "utf16le")],
  ["UTF-16 in the other order", (text: string) => Buffer.from(BOM + text, "utf16le").swap16()],
])(
  "a login file with %s is renewed, and the renewed login is saved (earendil-works/pi#7499)",
  async (_form, change) => {
    writeFileSync(file, change(loginText(-MINUTE)), { mode: 0o644 });
    await keeper().current();
    expect(server.asked).toEqual(["rt_0"]);
    expect(stored()["refresh_token"]).toBe("rt_1");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ surprise: [1] });
    await keeper().current();
    expect(server.asked).toHaveLength(1);
  },
);

describe("a token reply is read field by field, as the old refresh token is spent", () => {
  test.each([[[]], [true], ["none"], [{ raw: "x.y.z" }], ["a.b.c"], [7], [""]])(
    "an id_token that is %j leaves the old one",
    async (idToken) => {
      login(-MINUTE);
      server.script.push(() =>
        Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_second", id_token: idToken }),
      );
      expect((await keeper().current()).accessToken).toBe(ending(60 * MINUTE));
      expect(stored()).toMatchObject({
        access_token: ending(60 * MINUTE),
        refresh_token: "rt_second",
        id_token: OLD_ID_TOKEN,
      });
    },
  );

  test.each([
    ["rt second", "rt second"],
    ["rt_\u00e9", "rt_\u00e9"],
    ["  rt_second\n", "rt_second"],
  ])("a refresh token of any letters is kept: %j", async (given, kept) => {
    login(-MINUTE);
    server.script.push(() =>
      Response.json({ access_token: `${ending(60 * MINUTE)}\n`, refresh_token: given, expires_in: "3600" }),
    );
    expect((await keeper().current()).accessToken).toBe(ending(60 * MINUTE));
    expect(stored()).toMatchObject({ access_token: ending(60 * MINUTE), refresh_token: kept });
  });

  test.each([[""], [null], [0], [{}], ["two words"]])(
    "a refresh token that comes with the access token %j is saved, and renews the next time",
    async (accessToken) => {
      login(-MINUTE);
      server.script.push(() => Response.json({ refresh_token: "rt_second", access_token: accessToken }));
      expect(await failure(keeper().current())).toMatchObject({
        code: "upstream_unreachable",
        message: "The login service answered without an access token.",
      });
      expect(stored()["refresh_token"]).toBe("rt_second");
      server.script.push(() => Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_third" }));
      expect((await keeper().current()).accessToken).toBe(ending(60 * MINUTE));
      expect(server.asked).toEqual(["rt_0", "rt_second"]);
    },
  );

  test("a byte order mark, another content type and unknown keys do no harm", async () => {
    login(-MINUTE);
    const reply = { access_token: ending(60 * MINUTE), refresh_token: "rt_second", expires_in: "soon", more: [1] };
    server.script.push(() => new Response(BOM + JSON.stringify(reply), { headers: { "content-type": "text/plain" } }));
    await keeper().current();
    expect(stored()["refresh_token"]).toBe("rt_second");
  });
});

describe("a login file is read field by field, too", () => {
  test.each([
    ["an id_token that is an object", { tokens: { id_token: { raw: OLD_ID_TOKEN } } }],
    ["an account_id that is a number", { tokens: { account_id: 7 } }],
    ["an access_token that is a number", { tokens: { access_token: 5 } }],
    ["a last_refresh in seconds", { last_refresh: 1_700_000_000 }],
    ["an auth_mode that is none", { auth_mode: 3 }],
    ["an API key that is none", { OPENAI_API_KEY: false }],
    ["blanks around the refresh token", { tokens: { refresh_token: " rt_0\n" } }],
  ])(
    "%s does not make the others useless",
    async (_what, odd: { readonly tokens?: object; readonly [key: string]: unknown }) => {
      const file_ = JSON.parse(loginText(-MINUTE)) as { tokens: object };
      writeFileSync(file, JSON.stringify({ ...file_, ...odd, tokens: { ...file_.tokens, ...odd.tokens } }));
      await keeper().current();
      expect([server.asked, stored()["refresh_token"]]).toEqual([["rt_0"], "rt_1"]);
    },
  );
});

test("after a reply that says nothing of the token it is not said to be good", async () => {
  login(-MINUTE);
  server.script.push(() => Response.json({ data: {} }));
  expect((await failure(keeper().current()))?.hint).toBe(
    "The login itself should still be good; try again in a moment.",
  );
  server.script.push(() => new Response("<html>Sign in to the network</html>", { status: 200 }));
  expect((await failure(keeper().current()))?.hint).toBe("The login itself is still good; try again in a moment.");
});

test("a renewal sends the client id that the login was made with (contract 0.12)", async () => {
  const text = loginText(-MINUTE).replace(
    '"account_id"',
    '"oauth_provenance": {"client_id": "app_other"}, "account_id"',
  );
  writeFileSync(file, text);
  const bodies: unknown[] = [];
  const held = openCredentials({
    env: {},
    authFile: file,
    stateDir: home,
    tokenUrl: server.url,
    clientId: "app",
    fetch: (url, init) => (bodies.push(init?.body), fetch(url, init)),
    log,
    now: () => nowMs,
  });
  await held.current();
  expect(bodies).toEqual([expect.stringContaining('"client_id":"app_other"')]);
});

test("fsync that a file system does not know is no failure; one that lost data is", async () => {
  const failing = (code: string) => ({ sync: () => Promise.reject(Object.assign(new Error(code), { code })) });
  for (const code of ["EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP"]) await syncFile(failing(code));
  for (const code of ["EIO", "ENOSPC"]) expect(await failure(syncFile(failing(code)))).toMatchObject({ code });
});

test("a file name that leaves no room for a temporary file beside it is overwritten in place", async () => {
  const target = join(home, "a".repeat(230));
  writeFileSync(target, loginText(-MINUTE), { mode: 0o644 });
  symlinkSync(target, file);
  await keeper().current();
  expect([stored()["refresh_token"], statSync(target).mode & 0o777]).toEqual(["rt_1", 0o600]);
});

describe.skipIf(!canMount())("on real file systems (needs root on Linux)", () => {
  const FULL = (): void => {
    mountTmpfs(home);
    login(-MINUTE);
    for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
      try {
        for (let index = 0; ; index += 1) writeFileSync(join(home, `filler-${size}-${index}`), Buffer.alloc(size));
      } catch {
        // Full for this size.
      }
    }
  };
  const READ_ONLY = (): void => {
    login(-MINUTE);
    bindToItself(home);
    remount(home, "ro");
  };
  const READ_ONLY_FILE = (): void => {
    login(-MINUTE);
    bindToItself(file);
    remount(file, "ro");
  };

  test.each([
    ["a read-only folder", READ_ONLY, "read-only file system, EROFS"],
    ["a read-only file mounted by itself", READ_ONLY_FILE, "read-only file system, EROFS"],
    ["a full disk", FULL, "no space left, ENOSPC"],
  ])("no refresh token is spent in %s, and the refusal names it (alp82/curia#351)", async (_place, make, reason) => {
    make();
    const before = readFileSync(file, "utf8");
    const error = await failure(keeper().current());
    expect(error).toMatchObject({ code: "login_unwritable" });
    expect(error?.message).toBe(`A renewed login could not be saved in ${home} (${reason}), so none is asked for.`);
    expect(error?.hint).toMatch(/^(Make|Free) .*, or give the relay a login of its own/);
    expect(server.asked).toEqual([]);
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(readdirSync(home).filter((name) => !name.startsWith("filler"))).toEqual(["auth.json"]);
  });

  test("a file behind a symlink is replaced where it lies, on another file system", async () => {
    const other = mkdtempSync(join(tmpdir(), "plansocket-other-"));
    try {
      mountTmpfs(other);
      const target = join(other, "auth.json");
      writeFileSync(target, loginText(-MINUTE), { mode: 0o644 });
      symlinkSync(target, file);
      remount(other, "ro");
      const refusal = await failure(keeper().current());
      expect([refusal?.message, server.asked]).toEqual([
        `A renewed login could not be saved in ${other} (read-only file system, EROFS), so none is asked for.`,
        [],
      ]);
      remount(other, "rw");
      await keeper().current();
      expect([stored()["refresh_token"], statSync(target).mode & 0o777, lstatSync(file).isSymbolicLink()]).toEqual([
        "rt_1",
        0o600,
        true,
      ]);
    } finally {
      unmount(other);
      rmSync(other, { recursive: true, force: true });
    }
  });

  test("on a full disk a login can be removed all the same", async () => {
    FULL();
    await new AuthFile(file, (ms) => Bun.sleep(ms)).remove();
    expect(existsSync(file)).toBe(false);
  });

  test("a file mounted by itself takes no rename and is overwritten", async () => {
    login(-MINUTE);
    bindToItself(file);
    await keeper().current();
    expect([server.asked, stored()["refresh_token"]]).toEqual([["rt_0"], "rt_1"]);
  });

  const canBeImmutable = (): boolean => {
    const probe = mkdtempSync(join(tmpdir(), "plansocket-immutable-"));
    const path = join(probe, "file");
    writeFileSync(path, "");
    const isSet = chattr("+i", path);
    chattr("-i", path);
    rmSync(probe, { recursive: true });
    return isSet;
  };
  const chattr = (flag: string, path: string) =>
    Bun.which("chattr") !== null && Bun.spawnSync(["chattr", flag, path]).exitCode === 0;

  test.skipIf(!canBeImmutable())("no refresh token is spent on an immutable file (needs chattr)", async () => {
    login(-MINUTE);
    chattr("+i", file);
    const error = await failure(keeper().current());
    chattr("-i", file);
    expect([error?.code, server.asked]).toEqual(["login_unwritable", []]);
  });

  test("a process that stays uses the token to its end, renews once, and saves when it can", async () => {
    login(10 * MINUTE);
    bindToItself(home);
    remount(home, "ro");
    const held = keeper();
    await held.allowUnsaved();
    expect(lines.join()).toContain("A renewed login could not be saved here");
    nowMs += 6 * MINUTE;
    for (let calls = 0; calls < 3; calls += 1) expect((await held.current()).accessToken).toBe(ending(10 * MINUTE));
    expect(server.asked).toEqual([]);
    nowMs += 5 * MINUTE;
    server.script.push(() => Response.json({ access_token: ending(60 * MINUTE), refresh_token: "rt_a" }));
    for (let calls = 0; calls < 3; calls += 1) expect((await held.current()).accessToken).toBe(ending(60 * MINUTE));
    expect(server.asked).toEqual(["rt_0"]);
    lines = [];
    await held.settle();
    expect(lines.join()).toContain("is lost with this process. Run `plansocket login`");
    remount(home, "rw");
    nowMs += MINUTE;
    await held.current();
    expect(stored()["refresh_token"]).toBe("rt_a");
    expect(server.asked).toEqual(["rt_0"]);
  });

  test("tokens of the environment are not spent where they could not be kept", async () => {
    mkdirSync(join(home, "state"));
    bindToItself(home);
    remount(home, "ro");
    expect(await failure(keeper({ OPENAI_REFRESH_TOKEN: "rt_0" }).current())).toMatchObject({
      code: "login_unwritable",
      hint: expect.stringContaining("--state-dir"),
    });
    expect(server.asked).toEqual([]);
  });
});
