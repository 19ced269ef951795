import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";

let backend: StandIn;
let home: CommandHome;
beforeAll(() => {
  backend = startStandIn();
  home = new CommandHome({
    PLANSOCKET_ISSUER: backend.issuer,
    PLANSOCKET_BASE_URL: backend.baseUrl,
    CODEX_REVOKE_TOKEN_URL_OVERRIDE: backend.revokeUrl,
    PLANSOCKET_RELEASES_URL: `${backend.origin}/releases`,
  });
  mkdirSync(join(home.path, ".codex"));
  const login = JSON.stringify(backend.issueLogin().authJson);
  writeFileSync(join(home.path, ".codex/auth.json"), login, { mode: 0o600 });
});
afterAll(async () => {
  await backend.stop();
  home.remove();
});

/** What each command has no use for, and how it ends where nothing is wrong. */
const OF_A_RELAY = { PLANSOCKET_PORT: "junk", PLANSOCKET_DRAIN_TIMEOUT: "junk" };
const OF_THE_NETWORK = { HTTPS_PROXY: "::", PLANSOCKET_BASE_URL: "nowhere", PLANSOCKET_ISSUER: "nowhere" };

describe("a bad value in the environment does not stop a command that has no use for it", () => {
  test.each<[words: string, junk: Record<string, string>, code: number]>([
    ["whoami", OF_A_RELAY, 0],
    ["models", OF_A_RELAY, 0],
    ["usage", OF_A_RELAY, 0],
    ["run -- true", { PLANSOCKET_PORT: "junk", PLANSOCKET_LOG_LEVEL: "junk" }, 0],
    ["login --device", OF_A_RELAY, 2],
    ["logout", OF_A_RELAY, 2],
    ["update --check", OF_A_RELAY, 1],
    ["setup", { PLANSOCKET_DRAIN_TIMEOUT: "junk", ...OF_THE_NETWORK }, 0],
    ["setup codex --dry-run", { PLANSOCKET_DRAIN_TIMEOUT: "junk" }, 0],
    ["setup codex --undo", { ...OF_A_RELAY, ...OF_THE_NETWORK }, 1],
    ["service status", { ...OF_A_RELAY, ...OF_THE_NETWORK }, 1],
    ["service uninstall --dry-run", { ...OF_A_RELAY, ...OF_THE_NETWORK }, 0],
    ["stop", { ...OF_A_RELAY, ...OF_THE_NETWORK }, 0],
    ["status", { ...OF_A_RELAY, ...OF_THE_NETWORK }, 1],
    ["config print", OF_A_RELAY, 0],
    ["keys list", { ...OF_A_RELAY, ...OF_THE_NETWORK }, 0],
  ])("%s with %j", async (words, junk, code) => {
    const usual = await home.run(words.split(" "));
    const { code: ended, out, err } = await home.run(words.split(" "), junk);
    const timeless = (text: string) => text.replaceAll(/\d+ (s|min)\b|until [^)]*/g, "…");
    expect([usual.code, ended, timeless(out)]).toEqual([code, code, timeless(usual.out)]);
    expect(err).not.toMatch(/^plansocket: Bad value/m);
  });

  test.each([
    ["whoami", { PLANSOCKET_ISSUER: "nowhere" }],
    ["usage", { PLANSOCKET_BASE_URL: "nowhere" }],
    ["login --device", { PLANSOCKET_ISSUER: "nowhere" }],
    ["update --check", { PLANSOCKET_RELEASES_URL: "nowhere" }],
    ["setup codex --dry-run", { PLANSOCKET_PORT: "junk" }],
  ])("%s refuses %j: nothing goes to another place than was meant", async (words, junk) => {
    const { code, err } = await home.run(words.split(" "), junk);
    expect([code, err]).toEqual([2, expect.stringMatching(/^plansocket: Bad value '\w+' for PLANSOCKET_/)]);
  });
});
