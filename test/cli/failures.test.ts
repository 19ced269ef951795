import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandHome, type Ended } from "../support/cli.ts";

/** What nobody should read after a failure that happens to correct programs. */
const FORBIDDEN =
  // eslint-disable-next-line no-control-regex -- the escape character begins every sequence
  /this is a bug|^\s+at .+:\d+|\bNaN\b|\bundefined\b|\[object|expected \w+, received|ZodError|Unhandled|\u001b/m;

const home = new CommandHome();
afterAll(() => home.remove());

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const NOW_S = Math.floor(Date.now() / 1000);
const TOKEN = `${part({ alg: "none" })}.${part({
  exp: NOW_S + 3600,
  "https://api.openai.com/auth": { chatgpt_account_id: "acc-1", chatgpt_plan_type: "plus\u001b[31m\u202e" },
})}.c2ln`;

function login(): void {
  mkdirSync(join(home.path, ".codex"), { recursive: true });
  const tokens = { id_token: TOKEN, access_token: TOKEN, refresh_token: "rt_first", account_id: "acc-1" };
  const file = { auth_mode: "chatgpt", tokens, last_refresh: new Date().toISOString() };
  writeFileSync(join(home.path, ".codex/auth.json"), JSON.stringify(file), { mode: 0o600 });
}
login();

const HTML = { "content-type": "text/html" };
const SQUID = { ...HTML, server: "squid/6.6", "x-squid-error": "ERR_ACCESS_DENIED 0" };
const EVIL = {
  models: [
    { slug: "gpt-\u001b[31mx\u202e", visibility: "list", supported_reasoning_levels: [{ effort: "\u009b31mlow" }] },
  ],
  plan_type: "plus\u001b[2J",
  email: "a\u202eb@example.com",
  rate_limit: {
    allowed: true,
    limit_reached: false,
    primary_window: { used_percent: 12, limit_window_seconds: 18_000, reset_after_seconds: 60 },
  },
};

/** A backend and login service that fails in one way on every path. */
const BACKENDS: Readonly<Record<string, () => Response>> = {
  "a captive portal's page": () => new Response("<html>Welcome to the hotel</html>", { headers: HTML }),
  "a captive portal's redirect": () =>
    new Response(null, { status: 302, headers: { location: "http://wifi.example/" } }),
  "squid's refusal": () => new Response("<html>Squid</html>", { status: 403, headers: SQUID }),
  "squid's trouble": () => new Response("<html>Squid</html>", { status: 503, headers: SQUID }),
  "an empty reply": () => new Response(null, { status: 502 }),
  "a list instead of an object": () => Response.json([1, 2]),
  "no JSON": () => new Response("{", { headers: { "content-type": "application/json" } }),
  "escape sequences and bidi marks": () => Response.json(EVIL),
};

const COMMANDS = [
  ["usage"],
  ["usage", "--json"],
  ["models"],
  ["ask", "hi", "-p", "0"],
  ["whoami"],
  ["doctor", "-p", "0"],
  ["setup", "aider", "--dry-run"],
  ["status"],
  ["run", "--", "true"],
] as const;

function expectWords({ code, out, err }: Ended): void {
  expect(`${out}\n${err}`).not.toMatch(FORBIDDEN);
  expect(`${out}\n${err}`).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0080-\u009f]/);
  expect([0, 1, 2]).toContain(code);
  // Each failure ends with the next step.
  if (err.startsWith("plansocket: "))
    expect(err.trimEnd().split("\n").at(-1)).toMatch(/^ {2}\S.*([.!?)\]]|For example: .+)$/);
}

describe.each(Object.entries(BACKENDS))("against %s", (_name, answer) => {
  test.each(COMMANDS.map((words) => [words.join(" "), words] as const))(
    "%s says what is wrong in words",
    async (_, words) => {
      const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
      const origin = `http://127.0.0.1:${server.port}`;
      const ended = await home.run(words, {
        PLANSOCKET_BASE_URL: `${origin}/backend-api/codex`,
        CODEX_REFRESH_TOKEN_URL_OVERRIDE: `${origin}/oauth/token`,
        PLANSOCKET_ISSUER: origin,
      });
      await server.stop(true);
      expectWords(ended);
      expect(ended.err).not.toContain("Cloudflare");
    },
    30_000,
  );
});

describe("a folder that cannot be written", () => {
  writeFileSync(join(home.path, "file"), "");
  const state = join(home.path, "file/state");

  test.each([
    [["start", "--demo", "-p", "0"], 1],
    [["restart"], 1],
    [["stop"], 1],
    [["logs"], 1],
    [["setup", "aider", "--yes"], 1],
    [["status"], 1],
    [["config", "print"], 0],
  ])("%j names it and the way out", async (words, code) => {
    const ended = await home.run(words, { PLANSOCKET_STATE_DIR: state, PLANSOCKET_BASE_URL: "http://127.0.0.1:9" });
    expectWords(ended);
    expect(ended.code).toBe(code);
    if (code === 1 && words[0] !== "logs" && words[0] !== "status") {
      expect(ended.err).toContain(state);
      expect(ended.err).toContain("--state-dir");
    }
  });

  test.each(["--pid-file", "--log-file", "--state-file"])("given with %s is named", async (flag) => {
    const ended = await home.run(["start", "--demo", "-p", "0", flag, join(state, "x")]);
    expectWords(ended);
    expect(ended.code).toBe(1);
    expect(ended.err).toContain(state);
  });
});

describe("an address that cannot be listened on", () => {
  test.each(["serve", "demo", "start"])("%s names who holds a port", async (command) => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const port = String(server.port);
    const ended = await home.run([command, "-p", port]);
    await server.stop(true);
    expectWords(ended);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use by \\S+ \\(pid ${process.pid}\\)`));
  });

  test.each(["serve", "demo", "start"])("%s names an address of another machine", async (command) => {
    const ended = await home.run([command, "--host", "203.0.113.9", "--api-key", "secret-key"]);
    expectWords(ended);
    expect(ended.err).toContain("203.0.113.9 is no address of this machine");
  });
});

describe("settings that are broken", () => {
  const config = join(home.path, ".config/plansocket/config.json");
  const write = (text: string) => {
    mkdirSync(join(config, ".."), { recursive: true });
    writeFileSync(config, text);
  };

  test.each([
    ["status", 1],
    ["stop", 0],
    ["logs", 0],
    ["config print", 0],
    ["config path", 0],
    ["config check", 1],
    ["doctor -p 0", 1],
    ["setup aider --undo", 1],
    ["health", 1],
  ])("do not keep %s from its work", async (words, code) => {
    write('{"port": 9100 "host": "127.0.0.1"}');
    const env = { PLANSOCKET_PROXY: "::", PLANSOCKET_LOG_LEVEL: "loud", PLANSOCKET_BASE_URL: "http://127.0.0.1:9/x" };
    const ended = await home.run(words.split(" "), { ...env, PLANSOCKET_ISSUER: "http://127.0.0.1:9" });
    expectWords(ended);
    expect(ended.code).toBe(code);
    write("{}");
  });

  test.each(["serve", "start", "restart"])("keep %s from starting, with line and column", async (command) => {
    write('{"port": 9100 "host": "127.0.0.1"}');
    const ended = await home.run([command]);
    write("{}");
    expect(ended.code).toBe(2);
    expect(ended.err).toContain("line 1, column 15: expected a comma or }");
  });
});

describe("a reader that has seen enough (LionSR/TeXRA#4372)", () => {
  test.each([
    "doctor -p 0",
    "models",
    "status -v",
    "config schema",
    "config print",
    "serve --help",
    "setup aider --dry-run",
    "man",
    "completions zsh",
  ])("ends %s quietly", async (words) => {
    const command = `"${process.execPath}" "${join(import.meta.dir, "../../src/main.ts")}" ${words}`;
    const script = `${command} 2>err | head -c 5 >/dev/null; code=\${PIPESTATUS[0]}; cat err; rm err; exit $code`;
    const env = { HOME: home.path, PATH: process.env["PATH"] ?? "", CODEX_BASE_URL: "http://127.0.0.1:9/x" };
    const ended = Bun.spawnSync(["bash", "-c", script], {
      cwd: home.path,
      env: { ...env, PLANSOCKET_ISSUER: "http://127.0.0.1:9" },
    });
    expect(ended.stdout.toString()).not.toMatch(/EPIPE|broken pipe|bug/i);
  });

  test("ends a watch at its next line", async () => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(EVIL) });
    const command = `"${process.execPath}" "${join(import.meta.dir, "../../src/main.ts")}" usage --watch --every 5 --json`;
    const env = {
      HOME: home.path,
      PATH: process.env["PATH"] ?? "",
      CODEX_BASE_URL: `http://127.0.0.1:${server.port}/x`,
    };
    const child = Bun.spawn(["bash", "-c", `${command} | sed 1q`], {
      env,
      cwd: home.path,
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stderr).text()).toBe("");
    await server.stop(true);
  }, 20_000);
});
