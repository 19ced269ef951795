import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandHome } from "../support/cli.ts";
import { fakeCodex, says } from "../support/fake-codex.ts";
import { processesOf } from "../support/processes.ts";
import { eventually } from "../support/relay.ts";
import { HANG_MS } from "./ask-all.ts";
import { startKeeper, type KeeperChild } from "./keeper-child.ts";
import { LoginService, refreshTokenIn, serveLogins } from "./login-service.ts";
import { randomOf } from "./mutate.ts";
import { Account, levels } from "./report.ts";
import { canMount, fill, mountDisk } from "./small-disk.ts";

/** `FAULT_RUNS=1000 FAULT_SEED=3 bun test hostile/kill` kills more. */
const runs = Number(process.env["FAULT_RUNS"] ?? 30);
const seed = Number(process.env["FAULT_SEED"] ?? 1);

let account: Account;
let random: () => number;
beforeAll(async () => {
  // What Bun opens for the first child stays open.
  await Bun.spawn(["true"], { stdio: ["pipe", "pipe", "pipe"] }).exited;
  const server = serveLogins(new LoginService({ lifeMs: 1, now: Date.now }));
  await fetch(server.url, { method: "POST", body: "{}" }).then((reply) => reply.text());
  await server.stop();
  account = new Account("processes that are killed", seed);
});
afterAll(() => account.close());
beforeEach(() => {
  random = randomOf(seed);
});

const between = (least: number, most: number) => least + random() * (most - least);

describe("a renewal", () => {
  let home: string;
  let file: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "plansocket-kill-"));
    file = join(home, "auth.json");
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const stored = () => refreshTokenIn(readFileSync(file, "utf8")) ?? "";

  test(
    `killed at any moment costs no login that the service has not lost (seed ${seed})`,
    async () => {
      // Nothing can be saved by who dies between spending a token and hearing what for: that much the service forgives.
      const service = new LoginService({ lifeMs: 3_600_000, now: Date.now, isForgiving: true });
      let asked = 0;
      const server = serveLogins(service, () => {
        asked += 1;
        return Bun.sleep(between(0, 4));
      });
      writeFileSync(file, service.login(), { mode: 0o600 });
      let both: readonly KeeperChild[] = [];
      try {
        for (let run = 0; run < runs; run += 2) {
          both = await Promise.all([startKeeper(file, server.url), startKeeper(file, server.url)]);
          for (const keeper of both) keeper.start("loop");
          for (const keeper of both) {
            const before = asked;
            await eventually(() => asked > before, HANG_MS);
            await Bun.sleep(between(0, 12));
            await keeper.kill();
            account.tried();
            // Whole, private, and good for another renewal.
            expect({ run, isUsable: service.isUsable(stored()) }).toEqual({ run, isUsable: true });
            // The other one may still be at work: what it removes meanwhile is none's business.
            for (const name of readdirSync(home)) {
              const mode = statSync(join(home, name), { throwIfNoEntry: false })?.mode ?? 0;
              expect([name, mode & 0o077]).toEqual([name, 0]);
            }
          }
        }
        const before = service.issued;
        const last = await startKeeper(file, server.url);
        expect(await last.tell("renew")).toEqual({ warnings: [] });
        expect([service.issued, service.isUsable(stored()), service.refusals]).toEqual([before + 1, true, 0]);
        await last.kill();
        // Only what was left a moment ago may still be there.
        for (const name of readdirSync(home)) expect(name).toMatch(/^(\.auth\.json\..*\.tmp|auth\.json)$/);
      } finally {
        for (const keeper of both) await keeper.kill();
        await server.stop();
      }
    },
    10 * HANG_MS,
  );
});

test(
  "a process that renews again and again keeps nothing open",
  async () => {
    const home = mkdtempSync(join(tmpdir(), "plansocket-kill-"));
    const service = new LoginService({ lifeMs: 3_600_000, now: Date.now });
    const server = serveLogins(service);
    const file = join(home, "auth.json");
    writeFileSync(file, service.login(), { mode: 0o600 });
    const keeper = await startKeeper(file, server.url);
    try {
      const renew = async (times: number) => {
        for (let time = 0; time < times; time += 1) expect(await keeper.tell("renew")).toEqual({ warnings: [] });
        account.tried(times);
      };
      await renew(5);
      const before = levels(keeper.pid);
      await renew(3 * runs);
      await eventually(() => levels(keeper.pid).descriptors <= before.descriptors, HANG_MS);
      expect(levels(keeper.pid).sockets).toBeLessThanOrEqual(before.sockets);
    } finally {
      await keeper.kill();
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    }
  },
  2 * HANG_MS,
);

describe("a process of its own", () => {
  let home: CommandHome;
  beforeEach(() => {
    home = new CommandHome();
  });
  afterEach(async () => {
    for (const pid of processesOf(home.path)) process.kill(pid, "SIGKILL");
    await eventually(() => processesOf(home.path).length === 0, HANG_MS);
    home.remove();
  });

  test(
    `that is told to end while it starts and renews loses no login (seed ${seed})`,
    async () => {
      // Not a forgiving service: what a token was spent for has to be saved.
      const service = new LoginService({ lifeMs: 3_600_000, now: Date.now });
      const server = serveLogins(service, () => Bun.sleep(between(0, 150)));
      const backend = fakeCodex(says("Hello"));
      const file = join(home.path, ".codex/auth.json");
      mkdirSync(join(home.path, ".codex"), { mode: 0o700 });
      const env = { PLANSOCKET_BASE_URL: backend.baseUrl, CODEX_REFRESH_TOKEN_URL_OVERRIDE: server.url };
      try {
        for (let run = 0; run < Math.max(3, runs / 5); run += 1) {
          writeFileSync(file, service.endedLogin(), { mode: 0o600 });
          const serve = home.start(["serve", "--port", "0"], env);
          await Bun.sleep(between(50, 600));
          const signal = random() < 0.5 ? "SIGTERM" : "SIGINT";
          serve.kill(signal);
          if (random() < 0.4) serve.kill(signal);
          await serve.ended;
          account.tried();
          const stored = refreshTokenIn(readFileSync(file, "utf8")) ?? "";
          expect({ run, stored, isUsable: service.isUsable(stored) }).toMatchObject({ isUsable: true });
        }
      } finally {
        await server.stop();
        await backend.stop();
      }
    },
    10 * HANG_MS,
  );

  test.skipIf(process.platform !== "linux")(
    `in the background is found and ended after any start or stop that was killed (seed ${seed})`,
    async () => {
      for (let run = 0; run < Math.max(3, runs / 10); run += 1) {
        await killed(["start", "--demo", "--port", "0"]);
        await expectTruth();
        expect((await home.run(["start", "--demo", "--port", "0"])).code).toBe(0);
        await expectTruth();
        await killed(["stop", "--timeout", "0"]);
        await expectTruth();
        expect((await home.run(["stop", "--timeout", "0"])).code).toBe(0);
        account.tried(2);
        await eventually(() => processesOf(home.path).length === 0, HANG_MS);
      }
      expect(existsSync(join(home.path, ".local/state/plansocket/plansocket.pid"))).toBe(false);
    },
    10 * HANG_MS,
  );

  // Skipped where this user may not mount a file system.
  test.skipIf(!canMount).each([0, 1, 2])(
    "is not left behind by a start whose disk has %d pages left, and is ended on a full one",
    async (pages) => {
      using disk = mountDisk(join(home.path, "disk"), "size=64k");
      const place = ["--state-dir", join(disk.place, "state")];
      mkdirSync(join(disk.place, "state"));
      const filler = fill(disk.place, pages);
      const { code, err } = await home.run(["start", "--demo", "--port", "0", ...place]);
      account.tried();
      expect(code).toBe(1);
      expect(err).toMatch(/could not be written.*\(ENOSPC\)/);
      expect(processesOf(home.path)).toEqual([]);
      rmSync(filler);
      expect((await home.run(["start", "--demo", "--port", "0", ...place])).code).toBe(0);
      fill(disk.place, 0);
      expect((await home.run(["stop", "--timeout", "0", ...place])).code).toBe(0);
      expect(processesOf(home.path)).toEqual([]);
    },
    2 * HANG_MS,
  );

  async function killed(args: readonly string[]): Promise<void> {
    const command = home.start(args);
    await Bun.sleep(between(30, 700));
    command.kill("SIGKILL");
    await command.ended;
  }

  /** What `status` says is what is the case. */
  async function expectTruth(): Promise<void> {
    const { out } = await home.run(["status", "--json"]);
    const { running, url } = JSON.parse(out) as { running: boolean; url: string | null };
    const isServing = (await fetch(`${url}/health`).catch(() => undefined))?.status === 200;
    // One that was being stopped may have ended since.
    if (running && !isServing) await eventually(() => processesOf(home.path).length === 0, HANG_MS);
    const alive = processesOf(home.path);
    if (!running && alive.length > 0) {
      // One that had only begun: it comes up by itself, or is gone in a moment.
      await eventually(() => processesOf(home.path).length === 0 || isAnnounced(), HANG_MS);
    }
  }

  const isAnnounced = () => {
    const file = join(home.path, ".local/state/plansocket/background.json");
    return existsSync(file) && readFileSync(file, "utf8").includes('"url"');
  };
});
