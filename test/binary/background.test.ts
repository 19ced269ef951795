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
import { processFacts } from "../../src/cli/background/process.ts";
import { startStandIn } from "../stand-in/backend.ts";
import { Binary } from "../support/binary.ts";
import { eventually } from "../support/relay.ts";

const SLOW_MS = 60_000;

let binary: Binary;
beforeAll(() => {
  binary = new Binary();
}, SLOW_MS);
afterAll(() => binary.remove());

let home: string;
let stateDir: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-background-"));
  stateDir = join(home, ".local/state/plansocket");
});
afterEach(async () => {
  await run(["stop", "--timeout", "0"]);
  rmSync(home, { recursive: true, force: true });
});

const run = (args: string[], env: Record<string, string> = {}) => binary.run(home, args, env);
const state = () => JSON.parse(readFileSync(join(stateDir, "background.json"), "utf8")) as Record<string, unknown>;
const urlIn = (text: string) => /on (http:\/\/127\.0\.0\.1:\d+)/.exec(text)?.[1] ?? "";
const pidOf = () => Number(readFileSync(join(stateDir, "plansocket.pid"), "utf8"));
const isGone = (pid: number) => processFacts(pid) === undefined;

interface Status {
  readonly running: boolean;
  readonly state: string;
  readonly pid: number | null;
  readonly url: string | null;
  readonly settings: Record<string, { value: unknown; origin: string }>;
  readonly plan: { windows: unknown[] } | null;
}
async function status(args: string[] = []): Promise<Status & { code: number }> {
  const { code, out } = await run(["status", "--json", ...args]);
  return { ...(JSON.parse(out) as Status), code };
}

async function started(args: string[] = [], env: Record<string, string> = {}) {
  const { code, out, err } = await run(["start", "--demo", "--port", "0", ...args], env);
  expect([code, out]).toEqual([0, ""]);
  const pid = pidOf();
  expect(err).toContain(`(pid ${pid})`);
  return { pid, url: urlIn(err), err };
}

const ask = (url: string, content: string, init: RequestInit = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5.5", stream: true, messages: [{ role: "user", content }] }),
    ...init,
  });

describe("a relay in the background", () => {
  test(
    "starts, is killed, starts again, restarts and stops",
    async () => {
      expect(await status()).toMatchObject({ running: false, state: "stopped", pid: null, code: 1 });
      const first = await started();
      expect((await (await ask(first.url, "hello")).text()).endsWith("data: [DONE]\n\n")).toBe(true);
      expect(await status()).toMatchObject({ running: true, pid: first.pid, url: first.url, code: 0 });

      process.kill(first.pid, "SIGKILL");
      await eventually(() => isGone(first.pid), 5000);
      const after = await run(["status"]);
      expect(after).toMatchObject({ code: 1, out: "plansocket does not run in the background.\n" });
      expect(after.err).toContain(`The one started last (pid ${first.pid}) ended by itself`);

      const second = await started();
      expect(second.err).toContain(`The relay before this one (pid ${first.pid}) had ended by itself.`);
      const again = await run(["restart"]);
      expect(again.code).toBe(0);
      const third = pidOf();
      expect(third).not.toBe(second.pid);
      expect(isGone(second.pid)).toBe(true);
      expect((await fetch(`${urlIn(again.err)}/v1/models`)).status).toBe(200);

      const stopped = await run(["stop"]);
      expect(stopped).toMatchObject({ code: 0, out: "", err: "plansocket has stopped.\n" });
      expect([isGone(third), existsSync(join(stateDir, "plansocket.pid"))]).toEqual([true, false]);
      expect(await status()).toMatchObject({ running: false, code: 1 });
      expect(await run(["stop"])).toMatchObject({ code: 0, err: "plansocket was not running in the background.\n" });
      // What ran last starts again also after a stop.
      expect((await run(["restart"])).code).toBe(0);
      expect((await status()).running).toBe(true);
    },
    SLOW_MS,
  );

  test(
    "two starts at once give one process",
    async () => {
      const all = await Promise.all(Array.from({ length: 4 }, () => run(["start", "--demo", "--port", "0"])));
      expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
      expect(new Set(all.map(({ err }) => urlIn(err))).size).toBe(1);
      expect(all.filter(({ err }) => err.includes("already runs on"))).toHaveLength(3);
      const log = readFileSync(join(stateDir, "plansocket.log"), "utf8");
      expect(log.match(/plansocket demo listens on/g)).toHaveLength(1);
    },
    SLOW_MS,
  );

  test(
    "a second start with other settings is told to restart, and restart takes new flags over the old ones",
    async () => {
      const { pid } = await started(["--reasoning", "none"], { PLANSOCKET_MAX_BODY_MIB: "3" });
      expect(await run(["start", "--demo", "--reasoning", "none"])).toMatchObject({ code: 0 });
      const other = await run(["start", "--demo", "--reasoning", "both"]);
      expect(other.code).toBe(1);
      expect(other.err).toContain("`plansocket restart` with the new flags changes it.");
      expect(await run(["start"])).toMatchObject({ code: 1, err: expect.stringContaining("with --demo") });
      expect(pidOf()).toBe(pid);

      // The environment of this shell is not that of the start, and does not matter.
      expect((await run(["restart", "--strict"], { PLANSOCKET_REASONING: "reasoning" })).code).toBe(0);
      const { settings } = await status(["--verbose"]);
      expect(settings).toMatchObject({
        reasoning: { value: "none", origin: "--reasoning" },
        strict: { value: true, origin: "--strict" },
        max_body_mib: { value: 3, origin: "PLANSOCKET_MAX_BODY_MIB" },
        keep_alive: { value: 15, origin: "default" },
      });
    },
    SLOW_MS,
  );

  test(
    "a key stays out of process list, state and log, and survives a restart without it",
    async () => {
      const { pid } = await started(["--api-key", "hunter2"]);
      expect(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1)).toEqual(["demo", ""]);
      const again = await run(["restart"]);
      const url = urlIn(again.err);
      expect(again.err).toContain("API key   required");
      const withKey = (key: string) => fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
      expect([(await withKey("other")).status, (await withKey("hunter2")).status]).toEqual([401, 200]);
      const verbose = await run(["status", "--verbose"]);
      expect(verbose.out).toMatch(/api_key +\(set\) +--api-key/);
      expect(verbose.out + verbose.err + again.err).not.toContain("hunter2");
      const holders = readdirSync(stateDir).filter((name) =>
        readFileSync(join(stateDir, name), "utf8").includes("hunter2"),
      );
      expect(holders).toEqual(["background.secrets.json"]);
      expect(statSync(join(stateDir, "background.secrets.json")).mode & 0o777).toBe(0o600);

      // With its key lost it would be open to everyone on the machine: it does not start.
      await run(["stop"]);
      rmSync(join(stateDir, "background.secrets.json"));
      const lost = await run(["restart"]);
      expect(lost).toMatchObject({ code: 1, err: expect.stringContaining("The value of --api-key is missing") });
    },
    SLOW_MS,
  );

  test(
    "a process id that belongs to another program by now is left alone",
    async () => {
      const { pid } = await started();
      process.kill(pid, "SIGKILL");
      await eventually(() => isGone(pid), 5000);
      const stranger = Bun.spawn(["sleep", "60"]);
      try {
        writeFileSync(join(stateDir, "plansocket.pid"), `${stranger.pid}\n`);
        writeFileSync(join(stateDir, "background.json"), JSON.stringify({ ...state(), pid: stranger.pid }));
        expect(await status()).toMatchObject({ running: false, state: "stopped" });
        expect((await run(["stop"])).err).toBe("plansocket was not running in the background.\n");
        await started();
        await run(["stop"]);
        expect(stranger.exitCode).toBeNull();
      } finally {
        stranger.kill();
        await stranger.exited;
      }
    },
    SLOW_MS,
  );

  test(
    "stop lets a stream finish, and cuts it at its limit",
    async () => {
      const { url } = await started();
      const whole = await ask(url, "deltas:100");
      const [stopped, text] = await Promise.all([run(["stop"]), whole.text()]);
      expect(stopped.err).toBe("plansocket has stopped.\n");
      expect(text).toEndWith("data: [DONE]\n\n");

      const other = await started();
      // Never ends by itself, however fast the machine is.
      const endless = await ask(other.url, "fault:stall");
      const [cut, rest] = await Promise.all([run(["stop", "--timeout", "0"]), endless.text().catch(() => "")]);
      expect(cut.err).toBe("plansocket has stopped; requests that were still running were cut.\n");
      expect(rest).toContain('"code":"relay_stopping"');
      expect(rest).not.toContain('"finish_reason":"');
    },
    SLOW_MS,
  );

  test(
    "one that hangs is told from one that runs, and is killed",
    async () => {
      const { pid } = await started();
      process.kill(pid, "SIGSTOP");
      expect(await status()).toMatchObject({ running: false, state: "silent", pid, code: 1 });
      const again = await run(["start", "--demo"]);
      expect(again).toMatchObject({ code: 1, err: expect.stringContaining(`(pid ${pid}) does not answer`) });
      expect((await run(["stop", "--timeout", "0"])).err).toContain("were lost");
      expect(isGone(pid)).toBe(true);
    },
    SLOW_MS,
  );

  test(
    "survives the terminal that it was started from",
    async () => {
      const { pid, url } = await started();
      process.kill(pid, "SIGHUP");
      process.kill(-pid, "SIGHUP");
      expect((await fetch(`${url}/health`)).status).toBe(200);
      expect(isGone(pid)).toBe(false);
    },
    SLOW_MS,
  );
});

describe("a start that fails", () => {
  test(
    "names who holds the port",
    async () => {
      const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("mine") });
      try {
        const { code, err } = await run(["start", "--demo", "--port", String(taken.port)]);
        expect(code).toBe(1);
        expect(err).toMatch(
          new RegExp(`^plansocket: Port ${taken.port} on 127.0.0.1 is in use by \\S+ \\(pid ${process.pid}\\)`),
        );
        expect(err).toContain("choose another port with --port");
      } finally {
        await taken.stop(true);
      }
      const { url, pid } = await started();
      const { port } = new URL(url);
      const other = await run(["start", "--demo", "--port", port, "--state-dir", join(home, "other")]);
      expect(other).toMatchObject({ code: 1, err: expect.stringContaining(`another plansocket (pid ${pid})`) });
      const elsewhere = await run(["status", "--state-dir", join(home, "other")], { PLANSOCKET_PORT: port });
      expect(elsewhere).toMatchObject({ code: 1, err: expect.stringContaining(`answers on ${url} (pid ${pid})`) });
    },
    SLOW_MS,
  );

  test(
    "says why in the relay's own words, and leaves nothing behind",
    async () => {
      const { code, err } = await run(["start", "--host", "0.0.0.0"]);
      expect(code).toBe(1);
      expect(err).toBe(
        "plansocket: Listening on 0.0.0.0 needs an API key: others could spend your plan.\n" +
          "  Set --api-key (or PLANSOCKET_API_KEY), make a key with `plansocket keys add NAME`, or listen on 127.0.0.1.\n",
      );
      expect(readdirSync(stateDir).toSorted()).toEqual(["plansocket.log"]);
      expect(await run(["start", "--prot", "9"])).toMatchObject({ code: 2 });
    },
    SLOW_MS,
  );

  test(
    "costs neither the relay that runs nor the settings that worked",
    async () => {
      const { pid } = await started(["--strict"]);
      expect(await run(["restart", "--reasoning", "loud"])).toMatchObject({ code: 2 });
      expect(pidOf()).toBe(pid);
      expect(await run(["restart", "--host", "0.0.0.0"])).toMatchObject({ code: 1 });
      expect((await run(["restart"])).code).toBe(0);
      expect((await status(["--verbose"])).settings).toMatchObject({
        strict: { value: true, origin: "--strict" },
        host: { value: ["127.0.0.1"], origin: "default" },
      });
    },
    SLOW_MS,
  );

  test("in a folder that cannot be written says so", async () => {
    writeFileSync(join(home, "file"), "");
    const { code, err } = await run(["start", "--demo", "--port", "0", "--state-dir", join(home, "file/below")]);
    expect(code).toBe(1);
    expect(err).toContain("choose another folder with --state-dir");
  });
});

describe("files", () => {
  test(
    "go where the flags say, and later commands find them by the state file",
    async () => {
      const at = (name: string) => join(home, "elsewhere", name);
      const where = ["--state-file", at("state.json")];
      await run(["start", "--demo", "--port", "0", ...where, "--pid-file", at("pid"), "--log-file", at("log")]);
      expect(readdirSync(join(home, "elsewhere")).toSorted()).toEqual(["log", "pid", "state.json"]);
      expect(statSync(at("log")).mode & 0o777).toBe(0o600);
      expect((await run(["logs", ...where])).out).toContain("plansocket demo listens on");
      expect((await run(["logs", "-n", "1", ...where])).out.trimEnd().split("\n")).toHaveLength(1);
      expect((await run(["restart", ...where])).code).toBe(0);
      expect((await run(["stop", ...where])).err).toBe("plansocket has stopped.\n");
      expect(readdirSync(join(home, "elsewhere")).toSorted()).toEqual(["log", "state.json"]);
      expect((await run(["logs"])).err).toContain("`plansocket start` begins one.");
    },
    SLOW_MS,
  );

  test(
    "logs -f shows what comes until it is stopped",
    async () => {
      await started();
      const following = Bun.spawn([binary.path, "logs", "-f", "-n", "0"], {
        env: { HOME: home },
        stdout: "pipe",
        stderr: "pipe",
      });
      const reader = following.stdout.getReader();
      // The next relay writes to the same log; which of its lines come first does not matter.
      const first = reader.read();
      await run(["restart"]);
      expect(new TextDecoder().decode((await first).value)).toContain("plansocket");
      following.kill("SIGINT");
      expect(await following.exited).toBe(0);
    },
    SLOW_MS,
  );

  test(
    "a log that has grown too large is put aside at the next start",
    async () => {
      mkdirSync(stateDir, { recursive: true });
      const log = join(stateDir, "plansocket.log");
      writeFileSync(log, `${"x".repeat(10 * 1024 * 1024)}\n`);
      await started();
      expect([statSync(log).size < 10_000, statSync(`${log}.1`).size]).toEqual([true, 10 * 1024 * 1024 + 1]);
    },
    SLOW_MS,
  );
});

describe("with a login", () => {
  test(
    "status --verbose shows whose plan it is and how much is used",
    async () => {
      const backend = startStandIn();
      try {
        mkdirSync(join(home, ".codex"));
        writeFileSync(join(home, ".codex/auth.json"), JSON.stringify(backend.issueLogin().authJson), { mode: 0o600 });
        const { code } = await run(["start", "--port", "0", "--base-url", backend.baseUrl], {
          CODEX_REFRESH_TOKEN_URL_OVERRIDE: backend.tokenUrl,
        });
        expect(code).toBe(0);
        const { out } = await run(["status", "--verbose"]);
        expect(out).toContain("login     dev@example.com, plan pro (~/.codex/auth.json)");
        expect(out).toMatch(/% used +resets/);
        expect(out).toMatch(/base_url +http:\/\/127\.0\.0\.1:\d+\S+ +--base-url/);
        expect((await status(["--verbose"])).plan?.windows).not.toBeEmpty();
      } finally {
        await run(["stop"]);
        await backend.stop();
      }
    },
    SLOW_MS,
  );

  test(
    "one from the environment is neither copied nor lost nor picked up by a restart",
    async () => {
      const backend = startStandIn();
      const { accessToken, accountId } = backend.issueLogin();
      const login = { OPENAI_ACCESS_TOKEN: accessToken, OPENAI_CHATGPT_ACCOUNT_ID: accountId };
      const ready = async () => (await fetch(`${(await status()).url}/ready`)).status;
      try {
        expect((await run(["start", "--port", "0", "--base-url", backend.baseUrl], login)).code).toBe(0);
        const pid = pidOf();
        expect(await ready()).toBe(200);
        for (const name of readdirSync(stateDir)) {
          expect(readFileSync(join(stateDir, name), "utf8")).not.toContain(accessToken);
        }
        const without = await run(["restart"]);
        expect(without).toMatchObject({ code: 1, err: expect.stringContaining("OPENAI_ACCESS_TOKEN is not set here") });
        expect(pidOf()).toBe(pid);
        expect((await run(["restart"], login)).code).toBe(0);
        expect(await ready()).toBe(200);

        await run(["stop"]);
        expect((await run(["start", "--port", "0", "--base-url", backend.baseUrl])).code).toBe(0);
        expect((await run(["restart"], login)).code).toBe(0);
        expect(await ready()).toBe(503);
      } finally {
        await run(["stop"]);
        await backend.stop();
      }
    },
    SLOW_MS,
  );
});
