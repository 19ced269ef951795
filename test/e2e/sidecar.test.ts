import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { startDemoBackend, type DemoBackend } from "../../src/demo/backend.ts";
import { CommandHome } from "../support/cli.ts";

let backend: DemoBackend;
let home: CommandHome;
beforeEach(() => {
  backend = startDemoBackend();
  home = new CommandHome({
    CODEX_RELAY_BASE_URL: backend.baseUrl,
    CODEX_REFRESH_TOKEN_URL_OVERRIDE: backend.tokenUrl,
    // All that the sidecar is ever given: it is spent by the first renewal.
    OPENAI_REFRESH_TOKEN: backend.issueLogin().refreshToken,
  });
});
afterEach(async () => {
  await backend.stop();
  home.remove();
});

/** One life of the sidecar: started, used, stopped. */
async function live(args: readonly string[], use: (ask: () => Promise<number>) => Promise<void>): Promise<string> {
  const relay = home.start(["serve", "--port", "0", "--log-format", "json", ...args]);
  const [, url] = await relay.says(/listens on (\S+)/);
  await use(async () => {
    const body = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] });
    const reply = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
    await reply.text();
    return reply.status;
  });
  relay.kill("SIGTERM");
  const { code, err } = await relay.ended;
  expect(code).toBe(0);
  return err;
}

test.each([
  ["the state folder", [], ".local/state/codex-relay/environment-login.json"],
  ["a named auth file", ["--auth-file", "tokens/auth.json"], "tokens/auth.json"],
  ["a named state folder", ["--state-dir", "kept"], "kept/environment-login.json"],
])("three restarts across two rotations, with %s", async (_place, args, kept) => {
  await live(args, async (ask) => expect(await ask()).toBe(200));
  expect(backend.counts.refreshes).toBe(1);
  expect(statSync(join(home.path, kept)).mode & 0o777).toBe(0o600);

  await live(args, async (ask) => {
    expect(await ask()).toBe(200);
    expect(backend.counts.refreshes).toBe(1);
    backend.expireAccessTokens();
    expect(await ask()).toBe(200);
  });
  expect(backend.counts.refreshes).toBe(2);

  await live(args, async (ask) => expect(await ask()).toBe(200));
  const last = await live(args, async (ask) => expect(await ask()).toBe(200));
  expect(backend.counts.refreshes).toBe(2);
  expect(last).not.toContain("cannot be kept");
  expect(backend.requests.filter((request) => request.path === "/oauth/revoke")).toEqual([]);
});

test("a place that cannot be written is told at once, before the token is spent", async () => {
  // A file where a folder should be: not even root can write below it.
  const said = await live(["--state-dir", "/dev/null/state"], async () => {});
  const warning = said.split("\n").find((line) => line.includes("cannot be kept")) ?? "{}";
  expect(JSON.parse(warning)).toMatchObject({
    level: "warn",
    message: "Renewed tokens cannot be kept: once OPENAI_REFRESH_TOKEN is spent, a restart needs a new one.",
    place: "/dev/null/state",
  });
  expect(existsSync(join(home.path, ".codex"))).toBe(false);
});
