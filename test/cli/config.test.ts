import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SETTINGS } from "../../src/config/settings.ts";
import { CommandHome, type RunningCommand } from "../support/cli.ts";

let home: CommandHome;
let file: string;
let running: RunningCommand | undefined;
beforeEach(() => {
  home = new CommandHome();
  file = join(home.path, ".config/plansocket/config.json");
});
afterEach(async () => {
  running?.kill("SIGKILL");
  await running?.ended;
  running = undefined;
  home.remove();
});

function writeConfig(content: string | object) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
}

describe("config", () => {
  test("path says where the file would be", async () => {
    expect(await home.run(["config", "path"])).toEqual({ code: 0, out: `${file}\n`, err: "" });
    const elsewhere = await home.run(["config", "path"], { XDG_CONFIG_HOME: "/etc/xdg" });
    expect(elsewhere.out).toBe("/etc/xdg/plansocket/config.json\n");
  });

  test("print shows each setting with where it came from, and no secret", async () => {
    writeConfig({ port: 9000, models: ["a", "b"], strict: true, proxy: "http://user:hunter2@p:1" });
    const env = { CODEX_PROXY_API_KEY: "hunter3", CODEX_PROXY_LOG_LEVEL: "warning" };
    const { code, out, err } = await home.run(["config", "print", "--host", "localhost"], env);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows).toHaveLength(Object.keys(SETTINGS).length);
    for (const row of [
      ["host", "localhost", "--host"],
      ["port", "9000", "config.json (port)"],
      ["api_key", "(set)", "CODEX_PROXY_API_KEY"],
      ["proxy", "(set)", "config.json (proxy)"],
      ["log_level", "warn", "CODEX_PROXY_LOG_LEVEL"],
      ["models", "a, b", "config.json (models)"],
      ["strict", "on", "config.json (strict)"],
      ["reasoning", "both", "default"],
    ]) {
      expect(rows).toContainEqual(row);
    }
    expect(out).not.toContain("hunter");
  });

  test("print --json is for scripts", async () => {
    const { out } = await home.run(["config", "print", "--json"], { PLANSOCKET_API_KEY: "hunter3" });
    expect(JSON.parse(out)).toMatchObject({
      port: { value: 8787, origin: "default" },
      api_key: { value: "(set)", origin: "PLANSOCKET_API_KEY" },
      instructions: { value: null, origin: "default" },
    });
    expect(out).not.toContain("hunter3");
  });

  test("check tells every problem and fails", async () => {
    writeConfig({ prot: 1, log_level: "loud" });
    const { code, out, err } = await home.run(["config", "check"]);
    expect(code).toBe(1);
    expect(out).toBe(
      "prot: Unknown key 'prot'. Did you mean 'port'?\n" +
        "log_level: Bad value 'loud' for config.json (log_level): must be debug, info, warn, error or silent. " +
        'Debug, info, warn, error or silent; --debug is short for debug. For example: `"log_level": "info"`\n',
    );
    expect(err).toContain(`Fix ${file}`);
    const json = await home.run(["config", "check", "--json"]);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({
      path: file,
      exists: true,
      problems: [{ key: "prot" }, { key: "log_level" }],
    });
  });

  test("check of a good file, of none, and of a named one", async () => {
    expect(await home.run(["config", "check"])).toMatchObject({
      code: 0,
      out: "",
      err: `${file} does not exist; the defaults apply.\n`,
    });
    writeConfig({ port: 9 });
    expect(await home.run(["config", "check"])).toMatchObject({ code: 0, out: "", err: `${file} is valid.\n` });
    writeFileSync(join(home.path, "other.json"), "{");
    expect(await home.run(["config", "check", "other.json"])).toMatchObject({
      code: 1,
      out: 'other.json is not valid JSON: line 1, column 2: expected a key in "double quotes" or }. Fix it or remove it.\n',
      err: "Until then no relay starts with it.\n",
    });
    expect(await home.run(["config", "check", "nothing.json"])).toMatchObject({ code: 2 });
  });

  test("check fails on a file that cannot be read, print warns and goes on", async () => {
    mkdirSync(file, { recursive: true });
    const { code, err } = await home.run(["config", "check"]);
    expect([code, err]).toEqual([2, expect.stringContaining("is a folder")]);
    const printed = await home.run(["config", "print"]);
    expect(printed).toMatchObject({ code: 0, out: expect.stringContaining("8787") });
    expect(printed.err).toContain(`warning: ${file} is a folder.`);
  });

  test("schema is JSON that names its keys", async () => {
    const { code, out } = await home.run(["config", "schema"]);
    expect(code).toBe(0);
    expect(Object.keys((JSON.parse(out) as { properties: object }).properties)).toContain("log_level");
  });

  test.each([
    [["config"], "Actions: print, path, check, schema, reference."],
    [["config", "prnt"], "Did you mean 'print'?"],
    [["config", "path", "--colour"], "lists the flags"],
  ])("%p is wrong usage", async (args, hint) => {
    const { code, err } = await home.run(args);
    expect(code).toBe(2);
    expect(err).toContain(hint);
  });
});

/** The log of a running relay, as objects. */
function logLines(relay: RunningCommand): Record<string, unknown>[] {
  return relay
    .said()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function start(): Promise<{ relay: RunningCommand; url: string }> {
  const relay = home.start(["demo", "--port", "0", "--log-format", "json"]);
  running = relay;
  const [, url = ""] = await relay.says(/listens on (http:\S+):/);
  return { relay, url };
}

const ask = (url: string, over: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers,
    body: JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }], ...over }),
  });

describe("SIGHUP", () => {
  test("takes over what may change, and says what needs a restart", async () => {
    const { relay, url } = await start();
    expect((await ask(url)).status).toBe(200);
    writeConfig({
      api_key: "new-key",
      strict: true,
      models: ["mine"],
      log_level: "debug",
      responses_path: "/elsewhere",
      allow_host: ["relay.lan"],
    });
    relay.kill("SIGHUP");
    await relay.says(/read again.*api_key, log_level, models, strict, allow_host/);
    await relay.says(/need a restart.*"settings":"responses_path"/);
    await relay.says(/At this level the log holds what is asked and answered/);
    expect((await ask(url)).status).toBe(401);
    const key = { authorization: "Bearer new-key" };
    expect((await ask(url, { temperature: 1 }, key)).status).toBe(400);
    expect((await ask(url, {}, { ...key, host: "relay.lan" })).status).toBe(200);
    const list = (await (await fetch(`${url}/v1/models`, { headers: key })).json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toEqual(["mine"]);
    await relay.says(/"message":"prompt"/);
    expect(relay.said()).not.toContain("new-key");
  });

  test("of a broken file changes nothing and says why", async () => {
    writeConfig({ api_key: "old-key" });
    const { relay, url } = await start();
    for (const [content, reason] of [
      ["{", /old ones stay in force.*not valid JSON/],
      [{ api_key: "new", stric: true }, /old ones stay in force.*Unknown key 'stric'.*Did you mean 'strict'/],
      [{ api_key: "new", keep_alive: -1 }, /old ones stay in force.*keep_alive/],
    ] as const) {
      writeConfig(content);
      relay.kill("SIGHUP");
      await relay.says(reason);
    }
    expect((await ask(url)).status).toBe(401);
    expect((await ask(url, {}, { "x-api-key": "old-key" })).status).toBe(200);
    writeConfig({ api_key: "new-key" });
    relay.kill("SIGHUP");
    await relay.says(/read again/);
    expect((await ask(url, {}, { "x-api-key": "new-key" })).status).toBe(200);
  });

  test("a key that guards an open address cannot go", async () => {
    writeConfig({ host: "0.0.0.0", api_key: "old-key" });
    const { relay, url } = await start();
    writeConfig({ host: "0.0.0.0" });
    relay.kill("SIGHUP");
    await relay.says(/old ones stay in force.*needs an API key/);
    const local = url.replace("0.0.0.0", "127.0.0.1");
    expect((await ask(local)).status).toBe(401);
  });

  test("flags still win over the file, and a proxy of the environment is no change", async () => {
    const relay = home.start(["demo", "--port", "0", "--log-format", "json", "--log-level", "info"], {
      HTTPS_PROXY: "http://127.0.0.1:1",
    });
    running = relay;
    await relay.says(/listens on/);
    writeConfig({ log_level: "silent", instructions: "be kind" });
    relay.kill("SIGHUP");
    await relay.says(/read again.*"changed":"instructions"/);
    expect(logLines(relay).filter(({ message }) => String(message).includes("restart"))).toEqual([]);
  });
});

test("a relay that logs texts says so at its start, and logs no token", async () => {
  const relay = home.start(["demo", "--port", "0", "--log-format", "json", "--debug"], {
    PLANSOCKET_API_KEY: "owner-key",
  });
  running = relay;
  const [, url = ""] = await relay.says(/listens on (http:\S+):/);
  await relay.says(/At this level the log holds what is asked and answered/);
  expect((await ask(url, {}, { authorization: "Bearer owner-key" })).status).toBe(200);
  await relay.says(/"message":"completion"/);
  await relay.says(/"message":"prompt".*hello/);
  expect(relay.said()).not.toMatch(/owner-key|eyJ[\w-]+\.[\w-]+/);
});
