import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { demoHome } from "../support/demo-home.ts";

// All that the sidecar is ever given: it is spent by the first renewal.
const demo = demoHome(({ refreshToken }) => ({ OPENAI_REFRESH_TOKEN: refreshToken }));

/** One life of the sidecar: started, used, stopped. */
async function live(args: readonly string[], use: (ask: () => Promise<number>) => Promise<void>): Promise<string> {
  const relay = demo.home.start(["serve", "--port", "0", "--log-format", "json", ...args]);
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
  ["the state folder", [], ".local/state/plansocket/environment-login.json"],
  ["a named auth file", ["--auth-file", "tokens/auth.json"], "tokens/auth.json"],
  ["a named state folder", ["--state-dir", "kept"], "kept/environment-login.json"],
])("three restarts across two rotations, with %s", async (_place, args, kept) => {
  await live(args, async (ask) => expect(await ask()).toBe(200));
  expect(demo.backend.counts.refreshes).toBe(1);
  expect(statSync(join(demo.home.path, kept)).mode & 0o777).toBe(0o600);

  await live(args, async (ask) => {
    expect(await ask()).toBe(200);
    expect(demo.backend.counts.refreshes).toBe(1);
    demo.backend.expireAccessTokens();
    expect(await ask()).toBe(200);
  });
  expect(demo.backend.counts.refreshes).toBe(2);

  await live(args, async (ask) => expect(await ask()).toBe(200));
  const last = await live(args, async (ask) => expect(await ask()).toBe(200));
  expect(demo.backend.counts.refreshes).toBe(2);
  expect(last).not.toContain("could not be saved");
  expect(demo.backend.requests.filter((request) => request.path === "/oauth/revoke")).toEqual([]);
});

test("a place that cannot be written is told at once, before the token is spent", async () => {
  // A file where a folder should be: not even root can write below it.
  const said = await live(["--state-dir", "/dev/null/state"], async () => {});
  const warning = said.split("\n").find((line) => line.includes("could not be saved")) ?? "{}";
  expect(JSON.parse(warning)).toMatchObject({
    level: "warn",
    message: expect.stringContaining("choose another folder with --state-dir"),
    reason: expect.stringContaining("could not be saved in /dev/null/state (ENOTDIR)"),
  });
  expect(existsSync(join(demo.home.path, ".codex"))).toBe(false);
});
