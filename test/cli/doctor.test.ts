import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startDemoBackend, type DemoBackend } from "../../src/demo/backend.ts";
import { TOKEN_FAULTS } from "../../src/demo/oauth.ts";
import { certificate } from "../support/certificate.ts";
import { CommandHome } from "../support/cli.ts";
import { jwt } from "../support/token-server.ts";

interface Check {
  readonly id: string;
  readonly status: string;
  readonly summary: string;
  readonly fix?: string;
}

let backend: DemoBackend;
let home: CommandHome;
let file: string;
beforeEach(() => {
  backend = startDemoBackend();
  home = new CommandHome({
    CODEX_RELAY_ISSUER: backend.issuer,
    CODEX_RELAY_BASE_URL: backend.baseUrl,
    CODEX_RELAY_OPENAI_BASE_URL: backend.openaiBaseUrl,
    CODEX_RELAY_PORT: "0",
  });
  file = join(home.path, ".codex/auth.json");
  mkdirSync(dirname(file));
});
afterEach(async () => {
  await backend.stop();
  home.remove();
});

function writeLogin(content: object | string = backend.issueLogin().authJson, mode = 0o600): void {
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  chmodSync(file, mode);
}

/** What the doctor says, for people and for scripts; neither may show a token or a stack. */
async function examine(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  wrapper: readonly string[] = [],
) {
  const { code, out, err } = await home.run(["doctor", "--json", ...args], env, wrapper);
  const text = out + err;
  expect(text).not.toMatch(/eyJ[\w-]+\.|rt_stand_in|sk-stand-in|rt_secret|s3cret/);
  expect(text).not.toMatch(/\.ts:\d+/);
  const report = JSON.parse(out) as { ok: boolean; checks: Check[] };
  expect(report.ok).toBe(code === 0);
  const find = (id: string) => report.checks.find((finding) => finding.id === id);
  return { code, checks: report.checks, find };
}

const expired = (more: object = {}) => ({
  auth_mode: "chatgpt",
  tokens: { access_token: jwt({ exp: 1 }), refresh_token: "rt_secret", account_id: "a", ...more },
});

describe("a healthy machine", () => {
  test("has nothing to mend", async () => {
    writeLogin();
    const { code, checks } = await examine();
    expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
      "version ok",
      "settings ok",
      "login ok",
      "storage ok",
      "proxy ok",
      "sign-in ok",
      "token ok",
      "backend ok",
      "models ok",
      "clock ok",
      "port ok",
      "gate ok",
    ]);
    expect(code).toBe(0);
    expect(backend.counts).toMatchObject({ responses: 0, refreshes: 0 });
    expect(backend.refusals).toEqual([]);
  });

  test("is told so on a terminal, in lines and a count", async () => {
    writeLogin();
    const { code, out, err } = await home.run(["doctor"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain("✓ login          dev@example.com, plan pro (~/.codex/auth.json)\n");
    expect(out).toContain("✓ models         9 models: gpt-6.1-sol, ");
    expect(out).toEndWith("\n12 ok, 0 warnings, 0 failed\n");
    expect(out).not.toContain("\u001b");
  });

  test("may have an API key instead", async () => {
    writeLogin({ auth_mode: "apikey", OPENAI_API_KEY: backend.issueApiKey() });
    const { code, find, checks } = await examine();
    expect([code, find("login")?.summary, find("backend")?.status]).toEqual([
      0,
      "OpenAI API key (~/.codex/auth.json)",
      "ok",
    ]);
    expect(checks.map(({ id }) => id)).not.toContain("sign-in");
    writeLogin({ auth_mode: "apikey", OPENAI_API_KEY: "sk-wrong" });
    expect((await examine()).find("backend")).toMatchObject({
      status: "fail",
      summary: expect.stringContaining("refuses the API key."),
      fix: "Run `codex login --with-api-key` again.",
    });
  });
});

describe("the login", () => {
  const login = "Run `codex-relay login` (or `codex login`).";
  test.each<[string, () => void, string, string]>([
    [
      "is missing",
      () => {},
      "There is no login in environment or ~/.codex/auth.json.",
      "Run `codex-relay login` (or `codex login`, if you have the Codex CLI).",
    ],
    ["is half-written", () => writeLogin('{"auth_mode":"chat'), "~/.codex/auth.json is not valid JSON.", login],
    ["is empty", () => writeLogin(""), "~/.codex/auth.json is not valid JSON.", login],
    [
      "is of another form",
      () => writeLogin({ tokens: 5 }),
      "~/.codex/auth.json has an unexpected form (tokens).",
      login,
    ],
    ["has no tokens", () => writeLogin({ auth_mode: "chatgpt" }), "~/.codex/auth.json holds no tokens.", login],
    [
      "is of an unknown kind",
      () => writeLogin({ auth_mode: "agentIdentity" }),
      "~/.codex/auth.json holds a login of the kind 'agentIdentity', which the relay cannot use.",
      login,
    ],
    ["is a folder", () => mkdirSync(file), "~/.codex/auth.json is a folder.", "Remove it and run `codex-relay login`."],
    [
      "is a link that leads nowhere",
      () => symlinkSync("/nowhere/auth.json", file),
      "/.codex/auth.json is a link that leads nowhere.",
      "Remove the link, or run `codex-relay login`.",
    ],
    [
      "is in the keyring",
      () => writeFileSync(join(dirname(file), "config.toml"), 'cli_auth_credentials_store = "keyring"'),
      "The Codex CLI keeps its login in the system's keyring, which the relay cannot read.",
      'Set cli_auth_credentials_store = "file" in config.toml and run `codex login` again, or `codex-relay login`.',
    ],
  ])("%s", async (_case, prepare, summary, fix) => {
    prepare();
    const { code, find } = await examine();
    expect(code).toBe(1);
    expect(find("login")).toEqual({ id: "login", status: "fail", summary: expect.stringContaining(summary), fix });
    expect([find("token")?.status, find("backend")?.status]).toEqual(["skip", "skip"]);
  });

  /** Root may read everything until that right is taken from it. */
  const asOthers =
    process.getuid?.() === 0 ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"] : [];
  test.skipIf(asOthers.length > 0 && !Bun.which("setpriv"))("may not be read", async () => {
    writeLogin(undefined, 0o000);
    expect((await examine([], {}, asOthers)).find("login")).toEqual({
      id: "login",
      status: "fail",
      summary: "~/.codex/auth.json may not be read by this user.",
      fix: "Run `chmod 600 ~/.codex/auth.json` as its owner.",
    });
  });

  test("can be read by others", async () => {
    writeLogin(undefined, 0o644);
    const { code, find } = await examine();
    expect([code, find("storage")]).toEqual([
      0,
      {
        id: "storage",
        status: "warn",
        summary: `${file} can be read by others (mode 644).`,
        fix: `Run \`chmod 600 ${file}\`.`,
      },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  test("does not say its account", async () => {
    writeLogin({ tokens: { access_token: backend.issueLogin().accessToken.replace(/^[^.]+\.[^.]+/, "a.b") } });
    expect((await examine()).find("login")).toMatchObject({ status: "warn", fix: "Run `codex-relay login` again." });
  });

  test("comes from the environment, whose renewed tokens cannot be kept", async () => {
    const env = { OPENAI_REFRESH_TOKEN: backend.issueLogin().refreshToken };
    expect((await examine([], env)).find("storage")).toMatchObject({ status: "ok" });
    expect((await examine(["--state-dir", "/dev/null/x"], env)).find("storage")).toMatchObject({
      status: "warn",
      summary: "/dev/null/x cannot be written: once OPENAI_REFRESH_TOKEN is spent, a restart needs a new one.",
      fix: "Make it writable, or choose another with --state-dir.",
    });
  });
});

describe("an ended token", () => {
  test("is renewed, and the renewed one is kept", async () => {
    writeLogin(backend.issueLogin({ expiresInMs: -60_000 }).authJson);
    const before = readFileSync(file, "utf8");
    const { code, find } = await examine();
    expect([code, find("token")?.summary]).toEqual([
      0,
      expect.stringMatching(/^it had ended and was renewed: \d s old, good for 10 d \(until /),
    ]);
    expect(readFileSync(file, "utf8")).not.toBe(before);
    expect(backend.counts.refreshes).toBe(1);
  });

  const again = "Run `codex-relay login` (or `codex login`) to sign in again.";
  const later = "The login itself is still good; try again in a moment.";
  test.each<[keyof typeof TOKEN_FAULTS, string, string]>([
    ["refresh_token_expired", "The login has expired.", again],
    ["refresh_token_reused", "The login was already renewed by another program.", again],
    ["refresh_token_invalidated", "The login was revoked.", again],
    ["unknown_401", "The login could not be renewed.", again],
    ["invalid_grant", "The login could not be renewed.", again],
    ["too_many", "The login service answered 429.", later],
    ["server_error", "The login service answered 500.", later],
  ])(
    "cannot be renewed: %s",
    async (fault, message, fix) => {
      writeLogin(expired());
      backend.scriptToken(...Array.from({ length: 3 }, () => TOKEN_FAULTS[fault]));
      const { code, find } = await examine();
      expect(code).toBe(1);
      const token = find("token");
      expect([token?.status, token?.fix]).toEqual(["fail", fix]);
      expect(token?.summary).toMatch(/^It ended \d+ d( \d+ h)? ago\. /);
      expect(token?.summary).toEndWith(message);
      expect(find("backend")).toMatchObject({ status: "skip", summary: "needs a login that works" });
      expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(expired());
    },
    15_000,
  );

  test("has nothing to be renewed with", async () => {
    writeLogin(expired({ refresh_token: null }));
    expect((await examine()).find("token")).toMatchObject({
      status: "fail",
      summary: expect.stringContaining("The access token has expired and there is none to renew it with."),
    });
  });

  test("meets a login service that is away", async () => {
    writeLogin(expired());
    const { find } = await examine([], { CODEX_RELAY_ISSUER: "http://127.0.0.1:9" });
    expect(find("sign-in")).toMatchObject({
      status: "fail",
      summary: "127.0.0.1:9 could not be reached (ECONNREFUSED).",
      fix: "Check your network; behind a corporate proxy set --proxy.",
    });
    expect(find("token")?.summary).toEndWith(
      "The login could not be renewed: 127.0.0.1:9 could not be reached (ECONNREFUSED).",
    );
  });
});

describe("the network", () => {
  /** A backend that answers everything alike. */
  function answering(status: number, body: string, headers: Record<string, string> = {}) {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(body, { status, headers }),
    });
    return { url: `http://127.0.0.1:${server.port}/backend-api/codex`, stop: () => server.stop(true) };
  }

  const html = "<!doctype html><title>Just a moment…</title>";
  const json = { "content-type": "application/json" };
  const model = (slug: string, more: object = {}) => ({ slug, visibility: "list", ...more });
  test.each<[string, number, string, Record<string, string>, string, string, string, string?]>([
    [
      "Cloudflare",
      403,
      html,
      { "content-type": "text/html", "cf-mitigated": "challenge" },
      "backend",
      "Cloudflare blocked the request before it reached the backend.",
      "Your network or proxy was challenged; try another network, or set --proxy.",
    ],
    [
      "an unsupported region",
      403,
      '{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"}}',
      json,
      "backend",
      "Country, region, or territory not supported",
      "Set --proxy if your network leaves in another region.",
    ],
    [
      "an outdated client version",
      400,
      `{"detail":"The 'gpt-6-sol' model requires a newer version of Codex. Please upgrade to the latest version."}`,
      json,
      "backend",
      "The 'gpt-6-sol' model requires a newer version of Codex. Please upgrade to the latest version.",
      "Set --client-version to that of a current Codex CLI.",
    ],
    [
      "no models for this version",
      200,
      '{"models":[]}',
      json,
      "models",
      "The backend has no models for client version 0.1.0.",
      "Set --client-version to that of a current Codex CLI.",
    ],
    [
      "models that want a newer one",
      200,
      JSON.stringify({ models: [model("a"), model("b", { minimal_client_version: "0.200.0" })] }),
      json,
      "models",
      "Client version 0.1.0 is too old for b.",
      "Set --client-version to that of a current Codex CLI.",
      "warn",
    ],
    [
      "a web page in between",
      200,
      html,
      { "content-type": "text/html" },
      "backend",
      "answers, but not with a model list.",
      "Check --base-url, and whether a web page is in between.",
    ],
    [
      "a login that is refused",
      401,
      '{"error":{"message":"Provided authentication token is expired.","code":"token_expired"}}',
      json,
      "backend",
      "The login could not be renewed.",
      "Run `codex-relay login` (or `codex login`) to sign in again.",
    ],
  ])("%s", async (_case, status, body, headers, id, summary, fix, severity = "fail") => {
    writeLogin({ ...expired(), tokens: { ...expired().tokens, access_token: jwt({ exp: 4_000_000_000 }) } });
    backend.scriptToken(TOKEN_FAULTS.unknown_401);
    const server = answering(status, body, headers);
    try {
      const { code, find } = await examine(["--base-url", server.url, "--client-version", "0.1.0"]);
      expect(find(id)).toEqual({ id, status: severity, summary: expect.stringContaining(summary), fix });
      expect(code).toBe(severity === "fail" ? 1 : 0);
    } finally {
      await server.stop();
    }
  });

  test("retired models in the owner's list", async () => {
    writeLogin();
    expect((await examine(["--models", "gpt-5.5,gpt-5-codex"])).find("models")).toMatchObject({
      status: "warn",
      summary: "--models lists gpt-5-codex, which the account does not have (any more).",
      fix: expect.stringContaining("Choose from: gpt-6.1-sol, "),
    });
  });

  test.each([
    [-90_000, "warn", "The clock is 2 min ahead of"],
    [3_600_000, "fail", "The clock is 1 h behind"],
  ])("a clock that is off by %i ms", async (offMs, status, summary) => {
    writeLogin();
    const date = new Date(Date.now() + offMs).toUTCString();
    const server = answering(200, "{}", { date });
    try {
      expect(
        (await examine(["--base-url", server.url], { CODEX_RELAY_ISSUER: new URL(server.url).origin })).find("clock"),
      ).toMatchObject({
        status,
        summary: expect.stringContaining(summary),
        fix: expect.stringContaining("Set this machine's clock"),
      });
    } finally {
      await server.stop();
    }
  });

  test("a name that nobody knows", async () => {
    writeLogin();
    expect((await examine(["--base-url", "https://backend.invalid/backend-api/codex"])).find("backend")).toMatchObject({
      status: "fail",
      summary: expect.stringMatching(/^backend\.invalid could not be reached \((ENOTFOUND|EAI_AGAIN)\)\.$/),
      fix: "Its name could not be looked up: check your network and DNS; behind a corporate proxy set --proxy.",
    });
  });

  test.skipIf(!Bun.which("openssl"))("TLS that somebody inspects", async () => {
    const tls = certificate(home.path, [], ["127.0.0.1"]);
    const inspected = startDemoBackend({ tls });
    try {
      writeLogin(inspected.issueLogin().authJson);
      const env = { CODEX_RELAY_BASE_URL: inspected.baseUrl, CODEX_RELAY_ISSUER: inspected.issuer };
      const { find } = await examine([], env);
      for (const id of ["sign-in", "backend"]) {
        expect(find(id)).toMatchObject({
          status: "fail",
          summary: expect.stringMatching(/could not be reached \([A-Z_]*(CERT|VERIFY|SIGNED|ISSUER)[A-Z_]*\)\.$/),
          fix: "If your network inspects TLS, save its authority's certificate as a PEM file and start with NODE_EXTRA_CA_CERTS=FILE.pem.",
        });
      }
      expect((await examine([], { ...env, NODE_EXTRA_CA_CERTS: tls.authority })).code).toBe(0);
    } finally {
      await inspected.stop();
    }
  });

  /** Loopback never goes through a proxy, so a name outside it is asked for; the proxy answers before it is looked up. */
  const outside = { CODEX_RELAY_BASE_URL: "https://backend.invalid/backend-api/codex" };
  test.each([
    ["asks for credentials", 407, "(ERR_PROXY_TUNNEL 407)", "The proxy asks for credentials; write them into its URL"],
    ["does not lead there", 502, "(ERR_PROXY_TUNNEL 502)", "The proxy answers but does not lead there; ask whoever"],
  ])("a proxy that %s", async (_case, status, reason, fix) => {
    writeLogin();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`) },
    });
    try {
      const proxy = `http://127.0.0.1:${listener.port}`;
      const { find } = await examine([], { ...outside, HTTPS_PROXY: proxy.replace("://", "://somebody:s3cret@") });
      expect(find("proxy")?.summary).toContain(`backend.invalid through ${proxy} (set by HTTPS_PROXY)`);
      expect(find("backend")).toMatchObject({
        status: "fail",
        summary: `backend.invalid could not be reached through the proxy ${proxy} ${reason}.`,
        fix: expect.stringContaining(fix),
      });
    } finally {
      listener.stop(true);
    }
  });

  test("a proxy that is not there, or of a kind that is not spoken", async () => {
    writeLogin();
    const { find } = await examine([], { ...outside, HTTPS_PROXY: "http://127.0.0.1:9" });
    expect(find("backend")).toMatchObject({
      summary: "backend.invalid could not be reached through the proxy http://127.0.0.1:9 (ECONNREFUSED).",
      fix: "Check the address of the proxy (--proxy), and that it runs.",
    });
    expect((await examine([], { HTTPS_PROXY: "socks5://127.0.0.1:9" })).checks).toEqual([
      {
        id: "settings",
        status: "fail",
        summary: "Bad value for HTTPS_PROXY: SOCKS proxies are not supported; use an HTTP proxy.",
        fix: expect.any(String),
      },
    ]);
  });
});

describe("this machine", () => {
  test("has another program on the port", async () => {
    writeLogin();
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("mine") });
    try {
      const { find } = await examine(["--port", String(server.port)]);
      expect(find("port")).toEqual({
        id: "port",
        status: "fail",
        summary: expect.stringContaining(`Port ${server.port} is in use by `),
        fix: "Stop that program, or choose another port with --port.",
      });
      if (process.platform === "linux") expect(find("port")?.summary).toContain(`(pid ${process.pid})`);
    } finally {
      await server.stop(true);
    }
  });

  test("has a relay on the port already", async () => {
    writeLogin();
    const relay = home.start(["serve", "--port", "0"]);
    const [, port] = await relay.says(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
    const { code, find } = await examine(["--port", port ?? ""]);
    expect([code, find("port")?.summary]).toEqual([
      0,
      expect.stringMatching(/^a codex-relay \S+ already serves on port \d+( \(pid \d+\))?, up /),
    ]);
    relay.kill();
    await relay.ended;
  });

  test("would be open to others", async () => {
    writeLogin();
    expect((await examine(["--host", "0.0.0.0"])).find("port")).toMatchObject({
      status: "fail",
      summary: "0.0.0.0 is not loopback and no API key is set: serve would refuse.",
    });
    const wide = await examine(["--allow-host", "*"]);
    expect(wide.find("gate")).toMatchObject({ status: "warn", fix: expect.stringContaining("--allow-host") });
    expect((await examine(["--cors-origin", "*"])).find("gate")).toMatchObject({ status: "warn" });
  });

  test("has settings that cannot be", async () => {
    mkdirSync(join(home.path, ".config/codex-relay"), { recursive: true });
    writeFileSync(join(home.path, ".config/codex-relay/config.json"), '{"prot":1}');
    const { code, checks } = await examine();
    expect([code, checks]).toEqual([
      1,
      [
        {
          id: "settings",
          status: "fail",
          summary: expect.stringContaining("has an unknown key 'prot'."),
          fix: "Did you mean 'port'?",
        },
      ],
    ]);
  });
});

describe("--live", () => {
  const answers = ["chat", "chat-sse", "responses", "resp-sse"];

  test("gets one small answer from every endpoint", async () => {
    writeLogin();
    const { code, checks } = await examine(["--live"]);
    const live = checks.filter(({ id }) => id.startsWith("live "));
    expect(live.map(({ id, status }) => `${id} ${status}`)).toEqual(
      ["health", "key", "models", ...answers].map((id) => `live ${id} ok`),
    );
    expect([code, backend.counts.responses]).toEqual([0, 4]);
    expect(backend.refusals).toEqual([]);
  });

  test("tries a relay that is running, with its key", async () => {
    writeLogin();
    const relay = home.start(["serve", "--port", "0"], { CODEX_RELAY_API_KEY: "k3y" });
    const [, url] = await relay.says(/listens on (\S+)/);
    const good = await examine(["--live", "--url", `${url}/v1`], { CODEX_RELAY_API_KEY: "k3y" });
    expect(good.code).toBe(0);
    expect(good.find("key")?.summary).toBe("the right key is let in, none is not");
    const bad = await examine(["--live", "--url", url ?? ""], { CODEX_RELAY_API_KEY: "other" });
    expect(bad.find("key")).toMatchObject({
      status: "fail",
      summary: "The relay does not take this key.",
      fix: "Give the relay's own key with --api-key.",
    });
    relay.kill();
    await relay.ended;
    const gone = await examine(["--live", "--url", url ?? ""]);
    expect(gone.checks).toEqual([
      {
        id: "health",
        status: "fail",
        summary: `${url} answers 0, and not as a codex-relay.`,
        fix: "Check the address after --url.",
      },
    ]);
  });

  test("says why an endpoint does not answer", async () => {
    writeLogin();
    const { code, find } = await examine(["--live", "--stop-at", "30"]);
    expect(code).toBe(1);
    for (const id of answers) {
      expect(find(`live ${id}`)).toMatchObject({ status: "fail", summary: expect.stringContaining("429: The week") });
    }
  });

  test.each([[["--url", "nowhere"]], [["--url"]], [["--lives"]], [["now"]]])("%j is wrong usage", async (args) => {
    expect((await home.run(["doctor", "--live", ...args])).code).toBe(2);
  });
});
