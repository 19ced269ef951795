import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadSettings } from "../../src/config/load.ts";
import { reload, RELOADABLE } from "../../src/config/reload.ts";
import { SETTINGS } from "../../src/config/settings.ts";

const HOME = { HOME: "/nonexistent" };

test("what may change is taken over, what may not waits for a restart", async () => {
  const { settings: before } = await loadSettings({}, HOME);
  const { settings: after } = await loadSettings({ logLevel: "debug", port: "9", models: "a", lite: "off" }, HOME);
  const result = reload(before, after);
  expect([...result.taken].toSorted()).toEqual(["lite", "logLevel", "models"]);
  expect(result.waiting).toEqual(["port"]);
  expect(result.settings).toEqual({ ...after, port: 8787 });
});

test("the same again is no change", async () => {
  const flags = { lite: "off,gpt-x=on", corsOrigins: ["https://a"], addr: "127.0.0.1:9" };
  const { settings: before } = await loadSettings(flags, HOME);
  const { settings: after } = await loadSettings(flags, HOME);
  expect(reload(before, after)).toMatchObject({ taken: [], waiting: [] });
});

test(".github/SETTINGS.md says which settings are read again on SIGHUP", async () => {
  const reference = await Bun.file(join(import.meta.dir, "../../.github/SETTINGS.md")).text();
  const keys = RELOADABLE.map((name) => `\`${SETTINGS[name].key}\``).join(", ");
  expect(reference.includes(`takes over ${keys}`)).toBe(true);
});
