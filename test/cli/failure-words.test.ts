import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandHome, type Ended } from "../support/cli.ts";
import { jwt } from "../support/token-server.ts";
import { UNFIT } from "../support/walk.ts";

const home = new CommandHome();
afterAll(() => home.remove());

function expectWords({ code, out, err }: Ended): void {
  expect(`${out}\n${err}`).not.toMatch(UNFIT);
  expect([0, 1, 2]).toContain(code);
  // Each failure ends with the next step.
  if (err.startsWith("plansocket: ")) expect(err.trimEnd().split("\n").at(-1)).toMatch(/^ {2}\S.*[.!?)\]`]$/);
}

describe("a folder that cannot be written", () => {
  writeFileSync(join(home.path, "file"), "");
  const state = join(home.path, "file/state");

  test.each([
    [["start", "--demo", "-p", "0"], 1],
    [["restart"], 1],
    [["stop"], 1],
    [["logs"], 1],
    [["setup", "aider", "--yes"], 1],
    [["status"], 1],
    [["config", "print"], 0],
  ])("%j names it and the way out", async (words, code) => {
    const ended = await home.run(words, { PLANSOCKET_STATE_DIR: state, PLANSOCKET_BASE_URL: "http://127.0.0.1:9" });
    expectWords(ended);
    expect(ended.code).toBe(code);
    if (code === 1 && words[0] !== "logs" && words[0] !== "status") {
      expect(ended.err).toContain(state);
      expect(ended.err).toContain("--state-dir");
    }
  });

  test.each(["--pid-file", "--log-file", "--state-file"])("given with %s is named", async (flag) => {
    const ended = await home.run(["start", "--demo", "-p", "0", flag, join(state, "x")]);
    expectWords(ended);
    expect(ended.code).toBe(1);
    expect(ended.err).toContain(state);
  });
});

describe("an address that cannot be listened on", () => {
  test.each(["serve", "demo", "start"])("%s names who holds a port", async (command) => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const port = String(server.port);
    const ended = await home.run([command, "-p", port]);
    await server.stop(true);
    expectWords(ended);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use by \\S+ \\(pid ${process.pid}\\)`));
  });

  test.each(["serve", "demo", "start"])("%s names an address of another machine", async (command) => {
    const ended = await home.run([command, "--host", "203.0.113.9", "--api-key", "secret-key"]);
    expectWords(ended);
    expect(ended.err).toContain("203.0.113.9 is no address of this machine");
  });
});

describe("settings that are broken", () => {
  const config = join(home.path, ".config/plansocket/config.json");
  const write = (text: string) => {
    mkdirSync(join(config, ".."), { recursive: true });
    writeFileSync(config, text);
  };

  test.each([
    ["status", 1],
    ["stop", 0],
    ["logs", 0],
    ["config print", 0],
    ["config path", 0],
    ["config check", 1],
    ["doctor -p 0", 1],
    ["setup aider --undo", 1],
    ["health", 1],
  ])("do not keep %s from its work", async (words, code) => {
    write('{"port": 9100 "host": "127.0.0.1"}');
    const env = { PLANSOCKET_PROXY: "::", PLANSOCKET_LOG_LEVEL: "loud", PLANSOCKET_BASE_URL: "http://127.0.0.1:9/x" };
    const ended = await home.run(words.split(" "), { ...env, PLANSOCKET_ISSUER: "http://127.0.0.1:9" });
    expectWords(ended);
    expect(ended.code).toBe(code);
    write("{}");
  });

  test.each(["serve", "start", "restart"])("keep %s from starting, with line and column", async (command) => {
    write('{"port": 9100 "host": "127.0.0.1"}');
    const ended = await home.run([command]);
    write("{}");
    expect(ended.code).toBe(2);
    expect(ended.err).toContain("line 1, column 15: expected a comma or }");
  });
});

test("a watch ends at the next line after its reader", async () => {
  mkdirSync(join(home.path, ".codex"), { recursive: true });
  const token = jwt({ exp: Math.floor(Date.now() / 1000) + 3600 });
  const tokens = { id_token: token, access_token: token, refresh_token: "rt_first", account_id: "acc-1" };
  writeFileSync(join(home.path, ".codex/auth.json"), JSON.stringify({ auth_mode: "chatgpt", tokens }), { mode: 0o600 });
  const window = { used_percent: 12, limit_window_seconds: 18_000, reset_after_seconds: 60 };
  const plan = { plan_type: "plus", rate_limit: { allowed: true, limit_reached: false, primary_window: window } };
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(plan) });
  const command = `"${process.execPath}" "${join(import.meta.dir, "../../src/main.ts")}" usage --watch --every 5 --json`;
  const env = { HOME: home.path, PATH: process.env["PATH"] ?? "", CODEX_BASE_URL: `http://127.0.0.1:${server.port}/x` };
  const child = Bun.spawn(["bash", "-c", `${command} | sed 1q`], {
    env,
    cwd: home.path,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await server.stop(true);
  expect([code, err]).toEqual([0, ""]);
  expect(out.trim().split("\n")).toHaveLength(1);
}, 20_000);
