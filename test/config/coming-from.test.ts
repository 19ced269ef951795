import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { loadSettings } from "../../src/config/load.ts";
import { codexHome } from "../../src/config/paths.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { CommandHome, type RunningCommand } from "../support/cli.ts";

const load = (argv: readonly string[], env: Record<string, string>) =>
  loadSettings(parseFlags(argv).settings, { HOME: "/nonexistent", ...env });

let backend: StandIn;
let home: CommandHome;
let running: RunningCommand | undefined;
beforeEach(() => {
  backend = startStandIn();
  home = new CommandHome();
});
afterEach(async () => {
  running?.kill("SIGKILL");
  await running?.ended;
  running = undefined;
  await backend.stop();
  home.remove();
});

/** `serve` as the older tool's user has it set up, with a login in the environment. */
async function serve(args: readonly string[], env: Record<string, string>): Promise<string> {
  const { accessToken, accountId } = backend.issueLogin();
  running = home.start(["serve", ...args], {
    PLANSOCKET_BASE_URL: backend.baseUrl,
    OPENAI_ACCESS_TOKEN: accessToken,
    OPENAI_CHATGPT_ACCOUNT_ID: accountId,
    ...env,
  });
  const [, url = ""] = await running.says(/listens on (\S+)/);
  return url;
}

const CHAT = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] });
const ask = async (url: string, body: string, headers: Record<string, string> = {}) => {
  const reply = await fetch(url, { method: "POST", body, headers });
  await reply.text();
  return reply.status;
};

describe("codex-proxy (HaL)", () => {
  test("its names and defaults", async () => {
    expect((await load([], {})).settings).toMatchObject({ host: ["127.0.0.1"], port: 8787, apiKey: undefined });
    const { settings } = await load(["-p", "9000"], { CODEX_PROXY_API_KEY: "k", HTTPS_PROXY: "http://127.0.0.1:7890" });
    expect(settings).toMatchObject({ port: 9000, apiKey: "k", proxy: "http://127.0.0.1:7890" });
  });

  test("its endpoints, and its key in either header", async () => {
    const url = await serve(["-p", "0"], { CODEX_PROXY_API_KEY: "codex-proxy" });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect(await ask(`${url}/v1/chat/completions`, CHAT)).toBe(401);
    expect(await ask(`${url}/v1/chat/completions`, CHAT, { authorization: "Bearer codex-proxy" })).toBe(200);
    const key = { "X-API-Key": "codex-proxy" };
    expect(await ask(`${url}/chat/completions`, CHAT, key)).toBe(200);
    expect(await ask(`${url}/v1/responses`, '{"model":"gpt-5.5","input":"hi"}', key)).toBe(200);
    expect((await fetch(`${url}/v1/models`, { headers: key })).status).toBe(200);
  });
});

describe("codex-api-proxy", () => {
  test("its environment", async () => {
    const env = {
      CODEX_PROXY_HOST: "0.0.0.0",
      CODEX_PROXY_PORT: "8765",
      CODEX_PROXY_API_KEY: "local-secret",
      CODEX_PROXY_LOG_LEVEL: "warning",
      CODEX_API_PROXY_HTTPS_PROXY: "http://127.0.0.1:8118",
      HTTPS_PROXY: "http://127.0.0.1:1",
      CODEX_REFRESH_TOKEN_URL_OVERRIDE: "https://token.example/",
      CODEX_APP_SERVER_LOGIN_CLIENT_ID: "app_mine",
      CODEX_HOME: "/codex",
    };
    expect((await load([], env)).settings).toMatchObject({
      host: ["0.0.0.0"],
      port: 8765,
      apiKey: "local-secret",
      logLevel: "warn",
      proxy: "http://127.0.0.1:8118",
      tokenUrl: "https://token.example",
      clientId: "app_mine",
    });
    expect(codexHome(env)).toBe("/codex");
    expect((await load([], { https_proxy: "http://127.0.0.1:2" })).settings.proxy).toBe("http://127.0.0.1:2");
  });

  test.each(["debug", "info", "warning", "error"])("its flags, with the level %s", async (level) => {
    const argv = ["--host", "0.0.0.0", "--port", "8765", "--api-key", "local-secret", "--proxy=http://127.0.0.1:8118"];
    const { settings } = await load([...argv, "--log-level", level, "--log-format", "text"], {});
    expect(settings).toMatchObject({
      host: ["0.0.0.0"],
      port: 8765,
      apiKey: "local-secret",
      proxy: "http://127.0.0.1:8118",
    });
    expect(settings.logLevel).toBe(level === "warning" ? "warn" : (level as "debug"));
    expect(settings.logFormat).toBe("pretty");
    expect((await load(["--log-format", "json"], {})).settings.logFormat).toBe("json");
  });

  test("its counters", async () => {
    const url = await serve(["--port", "0"], {});
    expect(await ask(`${url}/v1/chat/completions`, CHAT)).toBe(200);
    expect(await ask(`${url}/v1/chat/completions`, "{}")).toBe(400);
    const reply = await fetch(`${url}/metrics`, { headers: { accept: "application/json" } });
    expect(await reply.json()).toMatchObject({
      requests_total: 2,
      requests_ok: 1,
      requests_error: 1,
      errors_by_status: { "400": 1 },
      uptime_seconds: expect.any(Number) as number,
    });
    const text = await fetch(`${url}/metrics/prometheus`);
    expect(text.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    expect((await fetch(`${url}/ready`)).status).toBe(200);
  });
});

describe("codex-sub-proxy", () => {
  test("its environment", async () => {
    const { settings } = await load([], {
      PROXY_API_KEY: "k",
      CODEX_BASE_URL: "https://backend.example/codex/",
      CODEX_RESPONSES_PATH: "/answers",
      CODEX_MODELS: "gpt-5.5,gpt-5.4",
    });
    expect(settings).toMatchObject({
      apiKey: "k",
      baseUrl: "https://backend.example/codex",
      responsesPath: "/answers",
      models: ["gpt-5.5", "gpt-5.4"],
    });
  });

  test("as a sidecar with nothing but variables", async () => {
    const { refreshToken, accessToken, accountId } = backend.issueLogin();
    const url = await serve([], {
      PLANSOCKET_PORT: "0",
      PROXY_API_KEY: "choose-a-key",
      OPENAI_REFRESH_TOKEN: refreshToken,
      OPENAI_ACCESS_TOKEN: accessToken,
      OPENAI_EXPIRES_AT: String(Math.floor(Date.now() / 1000) + 3600),
      OPENAI_CHATGPT_ACCOUNT_ID: accountId,
      PLANSOCKET_BASE_URL: "",
      CODEX_BASE_URL: backend.baseUrl,
      CODEX_MODELS: "gpt-5.5",
    });
    const key = { authorization: "Bearer choose-a-key" };
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(await ask(`${url}/v1/chat/completions`, CHAT, key)).toBe(200);
    const models = (await (await fetch(`${url}/v1/models`, { headers: key })).json()) as { data: { id: string }[] };
    expect(models.data.map(({ id }) => id)).toEqual(["gpt-5.5"]);
    expect((await fetch(`${url}/v1/files`, { headers: key })).status).toBe(501);
  });
});

describe("codex-responses-proxy", () => {
  test("its flags with two dashes, and its default address", async () => {
    const { settings } = await load(["--addr", "127.0.0.1:9001", "--instructions", "You are kind.", "--debug"], {});
    expect(settings).toMatchObject({
      addr: { host: "127.0.0.1", port: 9001 },
      instructions: "You are kind.",
      logLevel: "debug",
    });
    expect((await load([], {})).settings).toMatchObject({ host: ["127.0.0.1"], port: 8787 });
  });

  test("its endpoints and its instructions", async () => {
    const url = await serve(["--addr", "127.0.0.1:0", "--instructions", "You are kind."], {});
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    for (const path of ["/v1/responses", "/responses"]) {
      expect(await ask(`${url}${path}`, '{"model":"gpt-5.5","input":"hi"}')).toBe(200);
    }
    const sent = backend.requests.filter(({ path }) => path.endsWith("/responses"));
    expect(JSON.stringify(sent.map(({ body }) => body))).toContain("You are kind.");
  });
});
