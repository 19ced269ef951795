import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CLIENTS } from "../../../src/cli/setup/index.ts";
import { addressOf, checkKey } from "../../../src/cli/setup/target.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { demoHome } from "../../support/demo-home.ts";
import { SetupHome } from "../../support/setup.ts";

const ORDINARY = ["relay-key", "plsk_A-b_9", "100%{sure}", "a{b}c", "what!", "$"];

/** A key that each of these clients would read as something else. */
const REPLACED: Readonly<Record<string, readonly string[]>> = {
  opencode: ["{env:HOME}", "x{file:~/.ssh/id_ed25519}"],
  kilo: ["{env:HOME}", "x{file:/etc/hostname}"],
  continue: ["${{ secrets.KEY }}", "a${{x}}b"],
  "qwen-code": ["$HOME", "a${HOME}b"],
  hermes: ["a${HOME}b"],
  droid: ["a${HOME}b"],
  vscode: ["a${apiKey}b"],
  "open-webui": ["a${HOME}b", "a${HOME:-x}b"],
};

describe("a key that the client would replace is refused, and told nothing of", () => {
  test.each(Object.keys(CLIENTS))("%s", (name) => {
    const client = CLIENTS[name];
    if (!client) throw new Error(`no client ${name}`);
    for (const key of ORDINARY) expect(() => checkKey(client, key)).not.toThrow();
    expect(client.replaces !== undefined).toBe(REPLACED[name] !== undefined);
    for (const key of REPLACED[name] ?? []) {
      let thrown: unknown;
      try {
        checkKey(client, `secret-${key}`);
      } catch (error) {
        thrown = error;
      }
      if (!(thrown instanceof RelayError)) throw new Error(`${name} takes ${key}`);
      expect([thrown.code, thrown.message.includes(client.title)]).toEqual(["setup_failed", true]);
      expect(`${thrown.message} ${thrown.hint}`).not.toMatch(/secret-|HOME|hostname|ed25519/);
    }
  });
});

describe("by the command", () => {
  const demo = demoHome(({ accessToken }) => ({ OPENAI_ACCESS_TOKEN: accessToken }));

  test("nothing is written", async () => {
    const done = await demo.home.run(["setup", "opencode", "--yes", "--api-key", "a{env:HOME}"]);
    expect([done.code, done.out]).toEqual([1, ""]);
    expect(done.err).toContain("{env:NAME}");
    expect(existsSync(join(demo.home.path, ".config/opencode"))).toBe(false);
  });
});

describe("where there is a way to write it, the key is written in it", () => {
  let home: SetupHome;
  beforeEach(() => void (home = new SetupHome()));
  afterEach(() => home.remove());

  const written = async (client: string, path: string, key: string) => {
    await home.setup(client, home.target(addressOf("http://127.0.0.1:8787", key)));
    return JSON.parse(readFileSync(join(home.path, path), "utf8")) as unknown;
  };

  test.each([
    ["a${HOME}b", "a$${HOME}b"],
    ["$${HOME}", "$$${HOME}"],
    ["a${home}$b", "a${home}$b"],
  ])("OpenClaw: %s", async (key, expected) => {
    expect(await written("openclaw", ".openclaw/openclaw.json", key)).toMatchObject({
      models: { providers: { plansocket: { apiKey: expected } } },
    });
  });

  test.each([
    ["a$b${C}", "a$$b$${C}"],
    ["!date", "$!date"],
    ["a!b", "a!b"],
  ])("pi: %s", async (key, expected) => {
    expect(await written("pi", ".pi/agent/models.json", key)).toMatchObject({
      providers: { plansocket: { apiKey: expected } },
    });
  });

  test("VS Code: among the headers, and nothing where the relay asks for none", async () => {
    const path = ".config/Code/User/chatLanguageModels.json";
    expect(await written("vscode", path, "relay-key")).toMatchObject([
      { models: [{ requestHeaders: { "x-api-key": "relay-key" } }, { requestHeaders: { "x-api-key": "relay-key" } }] },
    ]);
    await home.setup("vscode");
    expect(readFileSync(join(home.path, path), "utf8")).not.toMatch(/requestHeaders|apiKey/);
  });
});

test("Droid is told which models take no images", async () => {
  const home = new SetupHome();
  try {
    const [first, ...others] = home.target().models;
    if (!first) throw new Error("no models");
    await home.setup("droid", home.target({ models: [{ ...first, takesImages: false }, ...others] }));
    const { customModels } = JSON.parse(readFileSync(join(home.path, ".factory/settings.json"), "utf8")) as {
      customModels: readonly { noImageSupport?: boolean }[];
    };
    expect(customModels.map(({ noImageSupport }) => noImageSupport)).toEqual([true, undefined]);
  } finally {
    home.remove();
  }
});
