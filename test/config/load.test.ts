import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { installedClientVersion, NEWEST_KNOWN } from "../../src/config/client-version.ts";
import { loadSettings, type FlagValues } from "../../src/config/load.ts";
import { codexHome, configFile, stateFolder } from "../../src/config/paths.ts";
import { defaultText, SETTINGS, type Setting, type SettingName } from "../../src/config/settings.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "plansocket-config-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const env = (more: Record<string, string> = {}) => ({ HOME: home, ...more });

function writeConfig(content: string) {
  const path = configFile({ HOME: home });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** A good value for each setting, and what it becomes. */
const SAMPLES: Record<SettingName, [string, unknown]> = {
  host: ["localhost", "localhost"],
  port: ["9", 9],
  addr: ["[::1]:80", { host: "::1", port: 80 }],
  apiKey: ["k", "k"],
  proxy: ["http://p:1", "http://p:1"],
  logLevel: ["warn", "warn"],
  logFormat: ["json", "json"],
  instructions: ["I", "I"],
  models: ["a, b", ["a", "b"]],
  claudeModels: ["Opus=gpt-a, claude-x=gpt-b", { opus: "gpt-a", "claude-x": "gpt-b" }],
  modelAliases: ["coder=gpt-5.5-high,Opus=gpt-6-astra", { coder: "gpt-5.5-high", opus: "gpt-6-astra" }],
  baseUrl: ["https://x/y/", "https://x/y"],
  responsesPath: ["/r", "/r"],
  openaiBaseUrl: ["https://o/v1", "https://o/v1"],
  authFile: ["/a.json", "/a.json"],
  reasoning: ["none", "none"],
  strict: ["true", true],
  corsOrigins: ["https://a,https://b", ["https://a", "https://b"]],
  allowHosts: ["h", ["h"]],
  clientVersion: ["1.2.3", "1.2.3"],
  transport: ["websocket", "websocket"],
  lite: ["off,gpt-x=on", { default: "off", models: { "gpt-x": "on" } }],
  maxBodyMib: ["1", 1],
  maxRequests: ["5", 5],
  stopAt: ["90%", 90],
  firstByteTimeout: ["2", 2],
  idleTimeout: ["0.5", 0.5],
  keepAlive: ["3", 3],
  stateDir: ["/s", "/s"],
  pidFile: ["/s/pid", "/s/pid"],
  logFile: ["/s/log", "/s/log"],
  stateFile: ["/s/state", "/s/state"],
  releasesUrl: ["https://m/releases/", "https://m/releases"],
  tokenUrl: ["https://t", "https://t"],
  revokeUrl: ["https://r", "https://r"],
  issuer: ["https://i", "https://i"],
  clientId: ["app", "app"],
};

describe.each(Object.entries(SETTINGS) as [SettingName, Setting][])("%s", (name, setting) => {
  const [sample, value] = SAMPLES[name];

  test("has its default", async () => {
    const { settings, origins } = await loadSettings({}, env());
    expect(settings[name] as unknown).toEqual(setting.default);
    expect(origins[name]).toBe("default");
  });

  test("is read from the config file, every name in the environment, and its flag, each winning over the last", async () => {
    writeConfig(JSON.stringify({ [setting.key]: sample }));
    expect((await loadSettings({}, env())).settings[name] as unknown).toEqual(value);
    expect((await loadSettings({}, env())).origins[name]).toBe(`config.json (${setting.key})`);
    writeConfig(JSON.stringify({ [setting.key]: name === "strict" ? false : sample }));
    for (const variable of [...setting.env].toReversed()) {
      const loaded = await loadSettings(
        {},
        env(Object.fromEntries(setting.env.slice(setting.env.indexOf(variable)).map((key) => [key, sample]))),
      );
      expect(loaded.settings[name] as unknown).toEqual(value);
      expect(loaded.origins[name]).toBe(variable);
    }
    if (setting.flags.length === 0) return;
    const all = Object.fromEntries(setting.env.map((variable) => [variable, sample]));
    const loaded = await loadSettings({ [name]: sample }, env(all));
    expect(loaded.settings[name] as unknown).toEqual(value);
    expect(loaded.origins[name]).toBe(setting.flags[0] ?? "");
  });
});

describe("a bad value", () => {
  test.each([
    [{ port: "abc" }, {}, "Bad value 'abc' for --port"],
    [{ port: "70000" }, {}, "--port"],
    [{}, { PLANSOCKET_PORT: "-1" }, "PLANSOCKET_PORT"],
    [{ logLevel: "loud" }, {}, "--log-level"],
    [{ addr: "nowhere" }, {}, "--addr"],
    [{ addr: "127.0.0.1:99999" }, {}, "port above 65535"],
    [{ port: "" }, {}, "--port"],
    [{ port: " " }, {}, "--port"],
    [{ stopAt: "" }, {}, "--stop-at"],
    [{ baseUrl: "ftp://x" }, {}, "must begin with http:// or https://"],
    [{ lite: "maybe" }, {}, "--lite"],
    [{ strict: "perhaps" }, {}, "--strict"],
    [{}, { HTTPS_PROXY: "socks5://p:1" }, "SOCKS proxies are not supported"],
  ])("%j %j names its place", async (flags, variables, message) => {
    await expect(loadSettings(flags, env(variables))).rejects.toThrow(message);
    await expect(loadSettings(flags, env(variables))).rejects.toMatchObject({ code: "usage" });
  });

  test.each([["true"], ["[1]"], ['""']])("is the port %s of the file", async (value) => {
    writeConfig(`{"port": ${value}}`);
    await expect(loadSettings({}, env())).rejects.toThrow("config.json (port)");
  });

  test("never shows a secret", async () => {
    const error: unknown = await loadSettings({}, env({ PLANSOCKET_PROXY: "user:hunter2@p" })).catch(
      (thrown: unknown) => thrown,
    );
    expect(String(error)).not.toContain("hunter2");
  });

  test("an unknown key in the file is told with the nearest known one", async () => {
    writeConfig('{"prot": 9}');
    await expect(loadSettings({}, env())).rejects.toMatchObject({ hint: "Did you mean 'port'?" });
    writeConfig("[1]");
    await expect(loadSettings({}, env())).rejects.toThrow("not a JSON object");
  });

  test("a config file that cannot be read is not passed over", async () => {
    writeConfig("{}");
    const path = configFile(env());
    rmSync(path);
    expect((await loadSettings({}, env())).settings.port).toBe(8787);
    mkdirSync(path);
    await expect(loadSettings({}, env())).rejects.toMatchObject({ code: "usage", message: `${path} is a folder.` });
    rmSync(path, { recursive: true });
    symlinkSync(path, path);
    await expect(loadSettings({}, env())).rejects.toThrow(`${path} may not be read (ELOOP).`);
  });

  test("an empty variable counts as none", async () => {
    expect((await loadSettings({}, env({ PLANSOCKET_PORT: "" }))).settings.port).toBe(8787);
  });
});

test("addr in the file gives way to what is said at the start", async () => {
  writeConfig('{"addr": "10.0.0.1:80"}');
  const addr = async (flags: FlagValues, variables: Record<string, string> = {}) =>
    (await loadSettings(flags, env(variables))).settings.addr;
  expect(await addr({})).toEqual({ host: "10.0.0.1", port: 80 });
  expect(await addr({ port: "81" })).toEqual({ host: "10.0.0.1", port: 81 });
  expect(await addr({}, { CODEX_PROXY_HOST: "::1" })).toEqual({ host: "::1", port: 80 });
  expect(await addr({ addr: "127.0.0.1:1" }, { PLANSOCKET_PORT: "2" })).toEqual({ host: "127.0.0.1", port: 1 });
});

test("an IPv6 address may be written as in a URL", async () => {
  expect((await loadSettings({ host: "[::1]" }, env())).settings.host).toBe("::1");
});

test("HOST and PORT count in the container image only, after every other name", async () => {
  const platform = { HOST: "0.0.0.0", PORT: "9" };
  expect((await loadSettings({}, env(platform))).settings).toMatchObject({ host: "127.0.0.1", port: 8787 });
  const inside = await loadSettings({}, env({ ...platform, PLANSOCKET_CONTAINER: "1" }));
  expect(inside.settings).toMatchObject({ host: "0.0.0.0", port: 9 });
  expect(inside.origins).toMatchObject({ host: "HOST", port: "PORT" });
  const named = await loadSettings(
    { port: "11" },
    env({ ...platform, PLANSOCKET_CONTAINER: "1", CODEX_PROXY_HOST: "::" }),
  );
  expect(named.settings).toMatchObject({ host: "::", port: 11 });
});

test("folders follow the environment", () => {
  expect(configFile({ XDG_CONFIG_HOME: "/x" })).toBe("/x/plansocket/config.json");
  expect(stateFolder({ HOME: "/h" })).toBe("/h/.local/state/plansocket");
  expect(stateFolder({ XDG_STATE_HOME: "/s" })).toBe("/s/plansocket");
  expect(codexHome({ HOME: "/h" })).toBe("/h/.codex");
  expect(codexHome({ HOME: "/h", CODEX_HOME: "/c" })).toBe("/c");
});

test("the client version is that of the model cache, else of the installed CLI, else the newest known", async () => {
  const bin = join(home, "bin");
  const installed = join(home, "lib/node_modules/@openai/codex");
  mkdirSync(bin);
  mkdirSync(join(installed, "bin"), { recursive: true });
  expect(await installedClientVersion(home, bin)).toBe(NEWEST_KNOWN);
  writeFileSync(join(installed, "package.json"), '{"name":"@openai/codex","version":"0.170.1"}');
  writeFileSync(join(installed, "bin/codex.js"), "", { mode: 0o755 });
  symlinkSync(join(installed, "bin/codex.js"), join(bin, "codex"));
  expect(await installedClientVersion(home, bin)).toBe("0.170.1");
  writeFileSync(join(home, "models_cache.json"), '{"client_version":"0.168.0","models":[]}');
  expect(await installedClientVersion(home, bin)).toBe("0.168.0");
});

test("the reference of settings in .github/SETTINGS.md is the table in the code", async () => {
  const reference = await Bun.file(join(import.meta.dir, "../../.github/SETTINGS.md")).text();
  for (const setting of Object.values<Setting>(SETTINGS)) {
    const flags = setting.flags.length > 0 ? setting.flags.map((flag) => `\`${flag}\``).join(", ") : "–";
    const variables = setting.env.length > 0 ? setting.env.map((variable) => `\`${variable}\``).join(", ") : "–";
    const usual = defaultText(setting) || (setting.value === undefined ? "off" : "none");
    expect(reference).toContain(
      `| ${flags} | ${variables} | ${usual} | ${setting.help.replaceAll("|", String.raw`\|`)} |`,
    );
  }
});
