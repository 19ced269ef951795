import { expect, test } from "bun:test";
import { TOKEN_VARIABLES } from "../../../src/auth/sources/environment.ts";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  fetchLimit,
  givenBy,
  neutral,
  otherVariables,
  splitSecrets,
  variablesOf,
} from "../../../src/cli/background/explicit-settings.ts";
import { backgroundPaths } from "../../../src/cli/background/paths.ts";
import { keepSettings, loadState, saveState, savedSettings, type State } from "../../../src/cli/background/state.ts";
import { loadSettings, type FlagValues } from "../../../src/config/load.ts";
import { environmentNames, SETTINGS, type Setting } from "../../../src/config/settings.ts";

const HOME = "/nowhere";
const given = async (flags: FlagValues, env: Record<string, string> = {}) =>
  givenBy(await loadSettings(flags, { HOME, ...env }), flags, { HOME, ...env });

test("every setting but host and port in one can travel by environment", () => {
  const without = Object.entries<Setting>(SETTINGS).filter(([, setting]) => setting.env.length === 0);
  expect(without.map(([name]) => name)).toEqual(["addr"]);
});

test("what flags and environment say arrives the same by environment alone", async () => {
  const flags: FlagValues = {
    addr: "127.0.0.1:9",
    corsOrigins: ["https://a", "https://b"],
    strict: true,
    lite: "gpt-x=off",
    instructions: "two\nlines, with 'quotes' and \"more\"",
    authFile: "auth.json",
  };
  const env = { HTTPS_PROXY: "http://u:p@proxy:1", PROXY_API_KEY: "k", PLANSOCKET_STRICT: "off" };
  const first = await loadSettings(flags, { HOME, ...env });
  const variables = variablesOf(await given(flags, env));
  const second = await loadSettings({}, { HOME, ...variables });
  expect(second.settings).toEqual({
    ...first.settings,
    addr: undefined,
    host: ["127.0.0.1"],
    port: 9,
    authFile: resolve("auth.json"),
  });
  expect((await given(flags, env)).port).toEqual({ value: "9", origin: "--addr" });
  expect((await given(flags, env)).proxy?.origin).toBe("HTTPS_PROXY");
});

test("secrets are told apart", async () => {
  const { open, secret } = splitSecrets(await given({ apiKey: "k", port: "9" }, { HTTPS_PROXY: "http://u:p@h:1" }));
  expect(Object.keys(open)).toEqual(["port"]);
  expect(Object.keys(secret).toSorted()).toEqual(["apiKey", "proxy"]);
});

test("nothing of the caller's environment sets the relay by accident", () => {
  const env = {
    PATH: "/bin",
    OPENAI_ACCESS_TOKEN: "t",
    CODEX_PROXY_PORT: "1",
    CODEX_HOME: "/c",
    HTTPS_PROXY: "http://p:1",
  };
  expect(neutral({ ...env, PLANSOCKET_BACKGROUND: "x" })).toEqual({ PATH: "/bin", OPENAI_ACCESS_TOKEN: "t" });
  expect(otherVariables({ ...env, NO_PROXY: "a" })).toEqual({ CODEX_HOME: "/c", NO_PROXY: "a" });
});

test("files that hold secrets are kept by name for the background relay, and none is forgotten", () => {
  const settings = Object.values<Setting>(SETTINGS).flatMap((setting) => environmentNames(setting));
  const names = [
    ...settings.filter((name) => name.endsWith("_FILE")),
    ...TOKEN_VARIABLES.map((name) => `${name}_FILE`),
  ];
  // Files that are settings themselves go on as settings.
  const secrets = names.filter((name) => !/_(AUTH|PID|LOG|STATE)_FILE$/.test(name));
  expect(secrets.length).toBeGreaterThan(5);
  const env = Object.fromEntries(secrets.map((name) => [name, `/secrets/${name}`]));
  expect(otherVariables(env)).toEqual(env);
  expect(neutral(env)).toEqual({});
});

test("Bun's limit on requests is lifted only where the relay's own is above it", () => {
  expect(fetchLimit(240)).toEqual({});
  expect(fetchLimit(1000)).toEqual({ BUN_CONFIG_MAX_HTTP_REQUESTS: "1016" });
});

test("the state file holds no secret, and is missed when a secret is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-state-"));
  try {
    const loaded = await loadSettings({ stateDir: folder }, { HOME });
    const paths = backgroundPaths(loaded, { HOME });
    const all = await given({ apiKey: "hunter2", port: "9" });
    const state: State = {
      command: "serve",
      instance: "i",
      pid_file: paths.pidFile,
      log_file: paths.logFile,
      ...(await keepSettings(all, paths)),
      environment: {},
      login_variables: [],
    };
    await saveState(paths.stateFile, state);
    expect(readFileSync(paths.stateFile, "utf8")).not.toContain("hunter2");
    expect([paths.stateFile, paths.secretFile].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
    expect(await loadState(paths.stateFile)).toEqual(state);
    expect(await savedSettings(state, paths)).toEqual(all);
    rmSync(paths.secretFile);
    await expect(savedSettings(state, paths)).rejects.toThrow("The value of --api-key is missing");
    // Without secrets there is no file for them.
    await keepSettings(all, paths);
    await keepSettings(await given({ port: "9" }), paths);
    expect(statSync(paths.secretFile, { throwIfNoEntry: false })).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("paths are absolute, and those of the last start hold until others are asked for", async () => {
  const at = async (flags: FlagValues, kept = {}) =>
    backgroundPaths(await loadSettings(flags, { HOME }), { HOME }, kept);
  expect(await at({})).toEqual({
    stateDir: "/nowhere/.local/state/plansocket",
    stateFile: "/nowhere/.local/state/plansocket/background.json",
    pidFile: "/nowhere/.local/state/plansocket/plansocket.pid",
    logFile: "/nowhere/.local/state/plansocket/plansocket.log",
    secretFile: "/nowhere/.local/state/plansocket/background.secrets.json",
    lockFile: "/nowhere/.local/state/plansocket/background.json.lock",
  });
  expect(await at({ stateDir: "x", stateFile: "y/z" })).toMatchObject({
    pidFile: resolve("x/plansocket.pid"),
    secretFile: resolve("y/z.secrets.json"),
  });
  expect((await at({}, { log_file: "/kept.log" })).logFile).toBe("/kept.log");
  expect((await at({ logFile: "/new.log" }, { log_file: "/kept.log" })).logFile).toBe("/new.log");
});
