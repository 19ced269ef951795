import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStandIn } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";
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

describe("tokens in files, as container platforms mount secrets", () => {
  const home = new CommandHome();
  const backend = startStandIn();
  afterAll(async () => {
    home.remove();
    await backend.stop();
  });
  const run = (env: Record<string, string>) =>
    home.run(["models", "--base-url", backend.baseUrl], { CODEX_REFRESH_TOKEN_URL_OVERRIDE: backend.tokenUrl, ...env });

  test("are read where OPENAI_REFRESH_TOKEN_FILE and its like say", async () => {
    const { accessToken, refreshToken } = backend.issueLogin({});
    const path = join(home.path, "token");
    for (const [variable, token] of [
      ["OPENAI_ACCESS_TOKEN_FILE", accessToken],
      ["CODEX_ACCESS_TOKEN_FILE", accessToken],
      ["OPENAI_REFRESH_TOKEN_FILE", refreshToken],
    ] as const) {
      writeFileSync(path, `${token}\n`);
      const { code, out, err } = await run({ [variable]: "~/token" });
      expect([variable, code, err]).toEqual([variable, 0, ""]);
      expect(out).toContain("gpt-5.5");
    }
  });

  test("give way to the variable itself", async () => {
    const { accessToken } = backend.issueLogin({});
    const { code } = await run({ OPENAI_ACCESS_TOKEN: accessToken, OPENAI_ACCESS_TOKEN_FILE: "/nothing/there" });
    expect(code).toBe(0);
  });

  test("that cannot be read are told with their variable, and nobody else's login is used instead", async () => {
    const { code, err } = await run({ OPENAI_REFRESH_TOKEN_FILE: "/nothing/there" });
    expect([code, err]).toEqual([
      2,
      "plansocket: OPENAI_REFRESH_TOKEN_FILE names /nothing/there, which cannot be read (ENOENT).\n" +
        "  Let it name a file that this user can read and that holds the secret alone.\n",
    ]);
  });
});
