import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCredentials } from "../../src/auth/index.ts";
import type { CredentialKeeper } from "../../src/auth/keeper.ts";
import type { Log } from "../../src/lib/log.ts";
import { asOthers, canBeOthers } from "../support/doctor.ts";
import { fakeCodex, says, type FakeCodex } from "../support/fake-codex.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";
import { ask, HANG_MS } from "./ask-all.ts";
import { CLIENTS } from "./dialects.ts";
import { startKeeper, type KeeperChild } from "./keeper-child.ts";
import { LoginService, refreshTokenIn, serveLogins } from "./login-service.ts";
import { Account } from "./report.ts";
import { canMount, fill, mountDisk } from "./small-disk.ts";

const MINUTE = 60_000;

let account: Account;
let home: string;
let file: string;
let nowMs: number;
let service: LoginService;
let lines: string[];
/** Called while a token is being spent. */
let meanwhile: () => void;

beforeAll(async () => {
  const { backend, relay } = start(keeperAt("/nowhere/auth.json"));
  for (const client of CLIENTS.slice(0, 1)) await ask(relay, client);
  await Promise.all([relay.stop(), backend.stop()]);
  account = new Account("disks and files");
});
afterAll(() => account.close());

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-disk-"));
  file = join(home, "auth.json");
  nowMs = 1_800_000_000_000;
  service = new LoginService({ lifeMs: 60 * MINUTE, now: () => nowMs });
  lines = [];
  meanwhile = () => {};
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const record = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
const log: Log = { debug() {}, info: record, warn: record, error: record };

function keeperAt(path: string): CredentialKeeper {
  return openCredentials({
    env: {},
    authFile: path,
    stateDir: `${path}.state`,
    tokenUrl: "http://login.relay.test/oauth/token",
    clientId: "app",
    fetch: async (_url, init) => {
      const { refresh_token: token } = JSON.parse(init?.body as string) as { refresh_token: string };
      meanwhile();
      return service.answer(token);
    },
    log,
    now: () => nowMs,
    sleep: () => Bun.sleep(1),
  });
}

function start(keeper: CredentialKeeper): { backend: FakeCodex; relay: TestRelay } {
  const backend = fakeCodex(says("Hello"));
  return { backend, relay: startTestRelay({ baseUrl: backend.baseUrl, credentials: keeper }) };
}

const put = (text: string) => writeFileSync(file, text, { mode: 0o600 });
const stored = () => refreshTokenIn(readFileSync(file, "utf8")) ?? "";

/** Every login that is on the disk works, and none was ever spent twice. */
function expectNothingLost(): void {
  expect({ isUsable: service.isUsable(stored()), refusals: service.refusals }).toEqual({ isUsable: true, refusals: 0 });
  expect(lines.join()).not.toMatch(/rt_\d|eyJ/);
}

/** What stands in the place of the login for a while; the login itself lies aside. */
const DISGUISES: Readonly<Record<string, () => void>> = {
  "is gone": () => {},
  "is a folder": () => mkdirSync(file),
  "is a symlink that leads nowhere": () => symlinkSync("gone.json", file),
  "is a symlink that leads to itself": () => symlinkSync("auth.json", file),
  "is half written": () => put(readFileSync(`${file}.aside`, "utf8").slice(0, 120)),
  "is empty": () => put(""),
  "is 10 MB of junk": () => put("x".repeat(10 * 1024 * 1024)),
  "is 10 MB of JSON": () => put(JSON.stringify({ tokens: ["x".repeat(10 * 1024 * 1024)] })),
  "is no text": () => writeFileSync(file, Buffer.from([0, 255, 254, 0, 0])),
  "is of another form": () => put('{"tokens":{"access_token":{}}}'),
  "holds nothing": () => put('{"auth_mode":"chatgpt","tokens":null}'),
  "says API key and has none": () => put('{"auth_mode":"apikey","OPENAI_API_KEY":""}'),
};

function disguise(how: () => void): () => void {
  renameSync(file, `${file}.aside`);
  how();
  return () => {
    rmSync(file, { recursive: true, force: true });
    renameSync(`${file}.aside`, file);
  };
}

describe.each(Object.entries(DISGUISES))("an auth.json that %s", (_name, how) => {
  test(
    "while the relay runs: every client is told, and served again afterwards",
    async () => {
      put(service.login());
      const { backend, relay } = start(keeperAt(file));
      const everybody = (expected: object) =>
        Promise.all(
          CLIENTS.map(async (client) => {
            account.tried();
            expect({ client: client.name, ...(await ask(relay, client)) }).toMatchObject(expected);
          }),
        );
      await everybody({ status: 200, end: "finished", text: "Hello" });
      const giveBack = disguise(how);
      await everybody({ status: 401, end: "failed", message: expect.stringMatching(/login/) });
      giveBack();
      await everybody({ status: 200, end: "finished" });
      await Promise.all([relay.stop(), backend.stop()]);
      expectNothingLost();
    },
    2 * HANG_MS,
  );

  test("while it is renewed: what the token was spent for is saved once the file is back", async () => {
    put(service.endedLogin());
    const keeper = keeperAt(file);
    let giveBack = () => {};
    meanwhile = () => (giveBack = disguise(how));
    await keeper.current().catch(() => {});
    meanwhile = () => {};
    giveBack();
    nowMs += 2 * MINUTE;
    await keeper.current();
    await keeper.settle();
    account.tried();
    expect(service.issued).toBe(2);
    expectNothingLost();
    expect([statSync(file).mode & 0o777, readdirSync(home)]).toEqual([0o600, ["auth.json"]]);
  });
});

test("another login that comes while the old one is renewed is the one in use, and the old one is not lost", async () => {
  const old = service.endedLogin();
  const other = service.login();
  put(old);
  const keeper = keeperAt(file);
  meanwhile = () => put(other);
  await keeper.current();
  meanwhile = () => {};
  expect(readFileSync(file, "utf8")).toBe(other);
  put(old);
  await keeper.current();
  await keeper.settle();
  account.tried();
  expectNothingLost();
  expect(stored()).toBe("rt_3");
});

test.each([
  ["years ahead", 5 * 365 * 24 * 60 * MINUTE],
  ["years back", -5 * 365 * 24 * 60 * MINUTE],
])("a clock that jumps %s and back again costs a few renewals and no login", async (_where, jumpMs) => {
  put(service.login());
  const keeper = keeperAt(file);
  for (let round = 0; round < 6; round += 1) {
    nowMs += round % 2 === 0 ? jumpMs : -jumpMs;
    const { accessToken } = await keeper.current();
    for (let again = 0; again < 20; again += 1) expect((await keeper.current()).accessToken).toBe(accessToken);
    // The backend, whose clock is right, refuses what the relay takes for good.
    await keeper.recover(await keeper.current(), 2);
    account.tried();
    expectNothingLost();
  }
  expect(service.issued).toBeLessThan(14);
});

const isRoot = process.getuid?.() === 0;

/** The login on a disk of its own. */
function onDisk(options: string): Disposable & { readonly place: string } {
  const disk = mountDisk(join(home, "disk"), options);
  file = join(disk.place, "auth.json");
  return disk;
}

// Skipped where this user may not mount a file system.
describe.skipIf(!canMount)("a disk", () => {
  test.each([0, 1, 2, 3, 4])("with %d free pages loses no login", async (pages) => {
    using disk = onDisk("size=64k");
    put(service.endedLogin());
    const filler = fill(disk.place, pages);
    const keeper = keeperAt(file);
    // One-shot commands spend nothing here; a relay that stays renews into memory once the token has ended.
    await keeper.current().catch(() => {});
    if (service.issued === 1) await keeper.allowUnsaved();
    const { accessToken } = await keeper.current();
    expect((await keeper.current()).accessToken).toBe(accessToken);
    // Whole, whichever of the two it is; and no lock or half a file beside it.
    expect(["rt_1", "rt_2"]).toContain(stored());
    expect(readdirSync(disk.place).toSorted()).toEqual(["auth.json", "filler"]);
    if (stored() === "rt_1") expect(lines.join()).toContain("ENOSPC");
    rmSync(filler);
    nowMs += 2 * MINUTE;
    await keeper.current();
    account.tried();
    expect([stored(), service.issued]).toEqual(["rt_2", 2]);
    expectNothingLost();
  });

  test("without room for another name loses no login", async () => {
    using disk = onDisk("nr_inodes=4");
    put(service.endedLogin());
    const names = ["a", "b"].map((name) => join(disk.place, name));
    for (const name of names) writeFileSync(name, "");
    const keeper = keeperAt(file);
    await keeper.current();
    // There is no name for a temporary file, but room to overwrite.
    expect(stored()).toBe("rt_2");
    for (const name of names) rmSync(name);
    await keeper.settle();
    account.tried();
    expectNothingLost();
  });

  test("that is full makes nobody spend the token of the other", async () => {
    using disk = onDisk("size=64k");
    put(service.endedLogin());
    const filler = fill(disk.place, 0);
    const [first, second] = [keeperAt(file), keeperAt(file)];
    for (const keeper of [first, second]) await keeper.allowUnsaved();
    await first.current();
    // It can only ask with what is on the disk, and is told that this was spent.
    await second.current().catch(() => {});
    rmSync(filler);
    nowMs += 2 * MINUTE;
    const { accessToken } = await first.current();
    expect((await second.current()).accessToken).toBe(accessToken);
    account.tried();
    expect([service.isUsable(stored()), service.issued]).toEqual([true, 2]);
  });

  test("that becomes read-only loses no login", async () => {
    using disk = onDisk("size=64k");
    put(service.endedLogin());
    const remount = (how: string) => Bun.spawnSync(["mount", "-o", `remount,${how}`, disk.place]).exitCode;
    expect(remount("ro")).toBe(0);
    const keeper = keeperAt(file);
    await keeper.allowUnsaved();
    await keeper.current();
    expect([stored(), lines.join()]).toEqual(["rt_1", expect.stringContaining("EROFS")]);
    expect(remount("rw")).toBe(0);
    await keeper.settle();
    account.tried();
    expectNothingLost();
  });
});

// Skipped where root cannot give up the right to write everywhere.
describe.skipIf(!canBeOthers)("a user who may not do everything", () => {
  const SOMEBODY = 12_345;
  let server: ReturnType<typeof serveLogins>;
  let keeper: KeeperChild;
  beforeEach(() => {
    server = serveLogins(service);
    put(service.endedLogin());
  });
  afterEach(async () => {
    await keeper.kill();
    await server.stop();
    chmodSync(home, 0o700);
  });

  test(
    "renews a login in a folder that may not be written where it lies",
    async () => {
      chmodSync(home, 0o500);
      keeper = await startKeeper(file, server.url, asOthers);
      await keeper.tell("current");
      for (let tokens = 3; tokens < 7; tokens += 1) {
        const { code, warnings } = await keeper.tell("renew");
        account.tried();
        expect([code, stored()]).toEqual([undefined, `rt_${tokens}`]);
        expect(warnings.join()).not.toContain("could not be saved");
      }
      expectNothingLost();
      expect([statSync(file).mode & 0o777, readdirSync(home)]).toEqual([0o600, ["auth.json"]]);
    },
    HANG_MS,
  );

  test(
    "says that a login that nobody here may write is in danger, and saves it once it can",
    async () => {
      chmodSync(file, 0o400);
      chmodSync(home, 0o500);
      keeper = await startKeeper(file, server.url, asOthers);
      const { code, warnings } = await keeper.tell("current");
      expect([code, stored()]).toEqual([undefined, "rt_1"]);
      expect(warnings.join()).toContain("it is lost if the relay stops now");
      expect(await keeper.tell("current")).toEqual({ warnings: [] });
      chmodSync(file, 0o600);
      await keeper.tell("settle");
      account.tried();
      expectNothingLost();
    },
    HANG_MS,
  );

  test.skipIf(!isRoot)(
    "is told whose a login is that may not be read, and spends nothing",
    async () => {
      chownSync(file, SOMEBODY, SOMEBODY);
      chownSync(home, SOMEBODY, SOMEBODY);
      chmodSync(home, 0o755);
      keeper = await startKeeper(file, server.url, asOthers);
      const told = await keeper.tell("current");
      account.tried();
      expect(told).toMatchObject({ code: "codex_auth_required", message: expect.stringContaining("may not be read") });
      expect(told.hint).toContain("chmod 600");
      expectNothingLost();
    },
    HANG_MS,
  );

  test.skipIf(!isRoot)(
    "who is root leaves a login to the one whose it is",
    async () => {
      chownSync(file, SOMEBODY, SOMEBODY);
      keeper = await startKeeper(file, server.url);
      expect((await keeper.tell("current")).code).toBeUndefined();
      account.tried();
      const { uid, gid } = statSync(file);
      expect([uid, gid, stored()]).toEqual([SOMEBODY, SOMEBODY, "rt_2"]);
      expectNothingLost();
    },
    HANG_MS,
  );
});
