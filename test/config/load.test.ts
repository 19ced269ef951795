import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { effectiveClientVersion, NEWEST_KNOWN } from "../../src/config/client-version.ts";
import { loadSettings, type FlagValues } from "../../src/config/load.ts";
import { codexHome, configFile, stateFolder } from "../../src/config/paths.ts";
import { settingsReference } from "../../src/config/reference.ts";
import { SETTINGS, type Setting, type SettingName } from "../../src/config/settings.ts";
import { RelayError } from "../../src/lib/errors.ts";

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
  host: ["localhost, ::1", ["localhost", "::1"]],
  port: ["9", 9],
  addr: ["[::1]:80", { host: "::1", port: 80 }],
  unix: ["/s/relay.sock", "/s/relay.sock"],
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
  originator: ["my_relay", "my_relay"],
  transport: ["websocket", "websocket"],
  lite: ["off,gpt-x=on", { default: "off", models: { "gpt-x": "on" } }],
  maxBodyMib: ["1", 1],
  maxRequests: ["5", 5],
  stopAt: ["90%", 90],
  trustProxies: ["loopback,10.0.0.0/8,fd00::/8", ["loopback", "10.0.0.0/8", "fd00::/8"]],
  basePath: ["/relay/", "/relay"],
  tlsCert: ["/c.pem", "/c.pem"],
  tlsKey: ["/k.pem", "/k.pem"],
  fallback: ["Reserve", "reserve"],
  fallbackApiKey: ["sk-1", "sk-1"],
  store: ["redis://127.0.0.1", "redis://127.0.0.1"],
  storeKey: ["k", "k"],
  storePrefix: ["other", "other"],
  storeBudgets: ["Open", "open"],
  ledger: ["OFF", "off"],
  ledgerDays: ["30", 30],
  prices: ['{"m":{"input":1,"output":2.5}}', { m: { input: 1, output: 2.5 } }],
  firstByteTimeout: ["2", 2],
  idleTimeout: ["0.5", 0.5],
  keepAlive: ["3", 3],
  stopDelay: ["5", 5],
  drainTimeout: ["300", 300],
  stateDir: ["/s", "/s"],
  pidFile: ["/s/pid", "/s/pid"],
  logFile: ["/s/log", "/s/log"],
  stateFile: ["/s/state", "/s/state"],
  releasesUrl: ["https://m/releases/", "https://m/releases"],
  tokenUrl: ["https://t", "https://t"],
  revokeUrl: ["https://r", "https://r"],
  issuer: ["https://i", "https://i"],
  clientId: ["app", "app"],
  authApiUrl: ["https://a/", "https://a"],
  cookies: ["off", "off"],
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
    [{ trustProxies: "10.0.0.0/33" }, {}, "--trust-proxy"],
    [{ trustProxies: "my-proxy" }, {}, "must be an address, a block of addresses, loopback or private"],
    [{ basePath: "relay" }, {}, "must be like /relay"],
    [{ addr: "127.0.0.1:99999" }, {}, "must have a port from 0 to 65535"],
    [{ port: "" }, {}, "--port"],
    [{ port: " " }, {}, "--port"],
    [{ stopAt: "" }, {}, "--stop-at"],
    [{ baseUrl: "ftp://x" }, {}, "must be a URL that begins with http:// or https://"],
    [{ lite: "maybe" }, {}, "--lite"],
    [{ strict: "perhaps" }, {}, "--strict"],
    [{}, { HTTPS_PROXY: "ftp://p:1" }, "begins with ftp://, which is not supported; must be like http://host:port or"],
    [{ proxy: "socks4://p:1" }, {}, "begins with socks4://, which is not supported"],
    [{}, { ALL_PROXY: "http://" }, "names no host"],
    [{}, { https_proxy: "http://user:word@:3128" }, "names no host"],
    [{}, { PLANSOCKET_PROXY: "p:70000" }, "has a port above 65535"],
    [{}, { PLANSOCKET_PROXY: "http://[::1" }, "is no URL"],
    [{ allowHosts: ["a b", "c.example"] }, {}, "Bad value 'a b, c.example' for --allow-host"],
  ])("%j %j names its place", async (flags, variables, message) => {
    await expect(loadSettings(flags, env(variables))).rejects.toThrow(message);
    await expect(loadSettings(flags, env(variables))).rejects.toMatchObject({ code: "usage" });
  });

  test.each([["true"], ["[1]"], ['""']])("is the port %s of the file", async (value) => {
    writeConfig(`{"port": ${value}}`);
    await expect(loadSettings({}, env())).rejects.toThrow("config.json (port)");
  });

  test("never shows a secret", async () => {
    const error: unknown = await loadSettings({}, env({ PLANSOCKET_PROXY: "gopher://user:hunter2@p" })).catch(
      (thrown: unknown) => thrown,
    );
    expect(String(error)).toContain("PLANSOCKET_PROXY");
    expect(String(error)).not.toContain("hunter2");
  });

  test("names the place, the fault and a good value", async () => {
    await expect(loadSettings({ port: "70000" }, env())).rejects.toMatchObject({
      message: "Bad value '70000' for --port: must be a whole number from 0 to 65535.",
      hint: "Port to listen on; 0 picks a free one. For example: `--port 8787`",
    });
    await expect(loadSettings({}, env({ PLANSOCKET_ISSUER: "auth.example" }))).rejects.toMatchObject({
      hint: "The login service. For example: `PLANSOCKET_ISSUER=https://auth.openai.com`",
    });
  });

  test("an unknown key in the file is reported with the nearest known one", async () => {
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
  expect(await addr({}, { CODEX_PROXY_HOST: "::1" })).toEqual({ host: "", port: 80 });
  expect(await addr({ addr: "127.0.0.1:1" }, { PLANSOCKET_PORT: "2" })).toEqual({ host: "127.0.0.1", port: 1 });
});

test("an IPv6 address may be written as in a URL", async () => {
  expect((await loadSettings({ host: "[::1]" }, env())).settings.host).toEqual(["::1"]);
});

test("HOST and PORT count in the container image only, after every other name", async () => {
  const platform = { HOST: "0.0.0.0", PORT: "9" };
  expect((await loadSettings({}, env(platform))).settings).toMatchObject({ host: ["127.0.0.1"], port: 8787 });
  const inside = await loadSettings({}, env({ ...platform, PLANSOCKET_CONTAINER: "1" }));
  expect(inside.settings).toMatchObject({ host: ["0.0.0.0"], port: 9 });
  expect(inside.origins).toMatchObject({ host: "HOST", port: "PORT" });
  const named = await loadSettings(
    { port: "11" },
    env({ ...platform, PLANSOCKET_CONTAINER: "1", CODEX_PROXY_HOST: "::" }),
  );
  expect(named.settings).toMatchObject({ host: ["::"], port: 11 });
});

test("folders follow the environment", () => {
  expect(configFile({ XDG_CONFIG_HOME: "/x" })).toBe("/x/plansocket/config.json");
  expect(stateFolder({ HOME: "/h" })).toBe("/h/.local/state/plansocket");
  expect(stateFolder({ XDG_STATE_HOME: "/s" })).toBe("/s/plansocket");
  expect(codexHome({ HOME: "/h" })).toBe("/h/.codex");
  expect(codexHome({ HOME: "/h", CODEX_HOME: "/c" })).toBe("/c");
});

test("the client version is the largest of the newest known, the model cache's and the installed CLI's (contract 0.19)", async () => {
  const bin = join(home, "bin");
  const installed = join(home, "lib/node_modules/@openai/codex");
  mkdirSync(bin);
  mkdirSync(join(installed, "bin"), { recursive: true });
  expect(await effectiveClientVersion(home, bin)).toBe(NEWEST_KNOWN);
  writeFileSync(join(installed, "package.json"), '{"name":"@openai/codex","version":"0.172.1"}');
  writeFileSync(join(installed, "bin/codex.js"), "", { mode: 0o755 });
  symlinkSync(join(installed, "bin/codex.js"), join(bin, "codex"));
  expect(await effectiveClientVersion(home, bin)).toBe("0.172.1");
  const cache = join(home, "models_cache.json");
  writeFileSync(cache, '{"client_version":"0.168.0","models":[]}');
  expect(await effectiveClientVersion(home, bin)).toBe("0.172.1");
  writeFileSync(cache, '{"client_version":"0.180.0","models":[]}');
  expect(await effectiveClientVersion(home, bin)).toBe("0.180.0");
  rmSync(cache);
  writeFileSync(join(installed, "package.json"), '{"name":"@openai/codex","version":"0.98.0"}');
  expect(await effectiveClientVersion(home, bin)).toBe(NEWEST_KNOWN);
});

test("the reference of settings in .github/SETTINGS.md is what `config reference` prints", async () => {
  const reference = await Bun.file(join(import.meta.dir, "../../.github/SETTINGS.md")).text();
  expect(reference).toContain(settingsReference());
});

describe("in Kubernetes", () => {
  const service = {
    PLANSOCKET_SERVICE_HOST: "10.0.9.4",
    PLANSOCKET_SERVICE_PORT: "8787",
    PLANSOCKET_PORT: "tcp://10.0.9.4:8787",
    PLANSOCKET_PORT_8787_TCP_ADDR: "10.0.9.4",
  };

  test("the address of a service named plansocket is ignored and named (Donkie/Spoolman#961)", async () => {
    const loaded = await loadSettings({}, env(service));
    expect(loaded.settings.port).toBe(8787);
    expect(loaded.warnings).toEqual([
      { message: "PLANSOCKET_PORT is ignored: Kubernetes sets it to tcp://10.0.9.4:8787 for a service of that name." },
    ]);
  });

  test("a pod listens where the platform's HOST and PORT say", async () => {
    const { settings, origins } = await loadSettings({}, env({ ...service, HOST: "0.0.0.0", PORT: "9123" }));
    expect(settings).toMatchObject({ host: ["0.0.0.0"], port: 9123 });
    expect(origins).toMatchObject({ host: "HOST", port: "PORT" });
  });

  test("other names of a setting still count", async () => {
    const { settings } = await loadSettings({}, env({ ...service, CODEX_PROXY_PORT: "9124" }));
    expect(settings.port).toBe(9124);
  });

  test("the same value without marks of Kubernetes is a mistake", async () => {
    const alone = env({ PLANSOCKET_PORT: "tcp://10.0.9.4:8787" });
    await expect(loadSettings({}, alone)).rejects.toThrow("Bad value 'tcp://10.0.9.4:8787' for PLANSOCKET_PORT");
  });
});

describe("paths", () => {
  test.each([
    ["~/a.json", "/a.json"],
    ["~", ""],
    ["./a~b.json", undefined],
    ["/~/a.json", undefined],
  ])("%p begins in the home folder where a shell would say so (openai/codex-security#42)", async (path, below) => {
    const expected = below === undefined ? path : `${home}${below}`;
    writeConfig(JSON.stringify({ auth_file: path }));
    expect((await loadSettings({}, env())).settings.authFile).toBe(expected);
    expect((await loadSettings({ authFile: path }, env())).settings.authFile).toBe(expected);
    expect((await loadSettings({}, env({ PLANSOCKET_AUTH_FILE: path }))).settings.authFile).toBe(expected);
  });

  test("of another user's home are refused", async () => {
    await expect(loadSettings({ stateDir: "~other/state" }, env())).rejects.toThrow("another user's ~");
  });

  test("in variables of other programs are expanded as well", () => {
    expect(codexHome({ HOME: "/h", CODEX_HOME: "~/tools/codex" })).toBe("/h/tools/codex");
    expect(configFile({ HOME: "/h", XDG_CONFIG_HOME: "~/x" })).toBe("/h/x/plansocket/config.json");
    expect(stateFolder({ HOME: "/h", XDG_STATE_HOME: "~/s" })).toBe("/h/s/plansocket");
  });
});

describe("a secret from a file", () => {
  const secretAt = (content: string) => {
    const path = join(home, "key");
    writeFileSync(path, content);
    return path;
  };

  test.each([
    ["PLANSOCKET_API_KEY_FILE", "apiKey"],
    ["PLANSOCKET_PROXY_FILE", "proxy"],
    ["PLANSOCKET_FALLBACK_API_KEY_FILE", "fallbackApiKey"],
    ["PLANSOCKET_STORE_FILE", "store"],
    ["PLANSOCKET_STORE_KEY_FILE", "storeKey"],
  ] as const)("is read where %s says", async (variable, name) => {
    const path = secretAt("http://p:1\n");
    const { settings, origins } = await loadSettings({}, env({ [variable]: path }));
    expect([settings[name], origins[name]]).toEqual(["http://p:1", variable]);
  });

  test("gives way to the variable itself", async () => {
    const variables = { PLANSOCKET_API_KEY: "direct", PLANSOCKET_API_KEY_FILE: secretAt("kept") };
    expect((await loadSettings({}, env(variables))).settings.apiKey).toBe("direct");
  });

  test.each([
    ["is empty", () => secretAt(" \n"), "is empty"],
    ["is not there", () => join(home, "nothing"), "cannot be read (ENOENT)"],
  ])("that %s is refused: without its key a relay is open to all", async (_, path, message) => {
    await expect(loadSettings({}, env({ PLANSOCKET_API_KEY_FILE: path() }))).rejects.toThrow(message);
  });
});

describe("host names to allow", () => {
  test.each([
    ["https://models.example.net", ["models.example.net"]],
    ["models.example.net:8443", ["models.example.net"]],
    ["models.example.net/", ["models.example.net"]],
    ["MODELS.example.net.", ["models.example.net"]],
    ["a.example,b.example", ["a.example", "b.example"]],
    ["http://models.example.net:80/v1", ["models.example.net"]],
    ["[::1]:80", ["[::1]"]],
    ["fd12::7", ["[fd12::7]"]],
    ["192.168.44.9", ["192.168.44.9"]],
    ["my_service", ["my_service"]],
  ])("%p becomes what a Host header can carry", async (value, names) => {
    expect((await loadSettings({ allowHosts: [value] }, env())).settings.allowHosts).toEqual(names);
  });

  test.each(["10.0.0.0/8", "http://", "*", " ", "*.example.net", ".example.net", "user@host", "a b", "8080"])(
    "%p matches nothing and is refused",
    async (value) => {
      for (const [flags, variables] of [
        [{}, { PLANSOCKET_ALLOW_HOST: value }],
        [{ allowHosts: [value] }, {}],
      ] as const) {
        await expect(loadSettings(flags, env(variables))).rejects.toMatchObject({
          code: "usage",
          message: expect.stringContaining("patterns, paths and blocks of addresses are not supported"),
        });
      }
    },
  );
});

test("origins of pages are brought into the form that browsers send, and refused where none could match", async () => {
  const origins = async (value: string) => (await loadSettings({ corsOrigins: value }, env())).settings.corsOrigins;
  expect(await origins("https://App.example:443/, chrome-extension://abc, *")).toEqual([
    "https://app.example",
    "chrome-extension://abc",
    "*",
  ]);
  await expect(origins("app.example")).rejects.toThrow("scheme and host of a page");
  await expect(origins("https://app.example/chat")).rejects.toThrow("scheme and host of a page");
});

describe("a command that needs few settings", () => {
  const judgment = { needs: ["stateDir"], toleratesFile: true } as const;

  test("runs with faults elsewhere in environment and file, and names them", async () => {
    writeConfig('{"port": 9100 "host": "127.0.0.1"}');
    const { settings, warnings } = await loadSettings(
      {},
      env({ PLANSOCKET_PROXY: "::", PLANSOCKET_PORT: "x" }),
      judgment,
    );
    expect(settings).toMatchObject({ port: 8787, proxy: undefined });
    expect(warnings).toHaveLength(3);
    expect(warnings[0]?.message).toContain("line 1, column 15: expected a comma or }");
    expect(warnings.map(({ message }) => message).join()).toContain("PLANSOCKET_PORT");
  });

  test("refuses faults in what it needs, and in its flags", async () => {
    const named = env({ PLANSOCKET_STATE_DIR: "~x/y" });
    await expect(loadSettings({}, named, judgment)).rejects.toThrow("PLANSOCKET_STATE_DIR");
    await expect(loadSettings({ port: "x" }, env(), judgment)).rejects.toThrow("--port");
  });
});

const names = Object.keys(SETTINGS) as SettingName[];

test.each(names.filter((name) => SETTINGS[name].flags.length > 0 || SETTINGS[name].env.length > 0))(
  "a bad value for %s is told in plain words, with the place and a good value that is taken",
  async (name) => {
    const setting: Setting = SETTINGS[name];
    for (const value of [7.5, {}, [[]], "", " ", "\u0000", "x".repeat(300), "~x/y", "::", "1e999"]) {
      writeConfig(JSON.stringify({ [setting.key]: value }));
      const error: unknown = await loadSettings({}, env()).catch((thrown: unknown) => thrown);
      if (!(error instanceof RelayError)) continue;
      expect(error.message).toContain(`config.json (${setting.key})`);
      expect(`${error.message} ${error.hint}`).not.toMatch(/expected|received|invalid|NaN|undefined|zod|\[object/i);
      const [, example = ""] = /For example: `(.+)`$/.exec(error.hint ?? "") ?? [];
      writeConfig(`{${example}}`);
      await loadSettings({}, env());
    }
  },
);

test.each([
  [{ HTTPS_PROXY: "proxy.example:3128" }, "http://proxy.example:3128"],
  [{ HTTPS_PROXY: "user:word@proxy.example:3128" }, "http://user:word@proxy.example:3128"],
  [{ ALL_PROXY: "socks5://proxy.example:1080" }, "socks5://proxy.example:1080"],
  [{ all_proxy: "socks://proxy.example" }, "socks5h://proxy.example"],
  [{ HTTPS_PROXY: "http://one.example:1", ALL_PROXY: "socks5h://two.example:2" }, "http://one.example:1"],
])("a proxy from %j is %s", async (variables, proxy) => {
  expect((await loadSettings({}, env(variables))).settings.proxy).toBe(proxy);
});
