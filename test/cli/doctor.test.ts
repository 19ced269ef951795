import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startStandIn } from "../stand-in/backend.ts";
import { TOKEN_FAULTS } from "../stand-in/oauth.ts";
import { certificate } from "../support/certificate.ts";
import { asOthers, canBeOthers, expired, usePatient } from "../support/doctor.ts";
import { jwt } from "../support/token-server.ts";

const patient = usePatient();

describe("a healthy machine", () => {
  test("has nothing to mend", async () => {
    patient.writeLogin();
    const { code, checks } = await patient.examine();
    expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
      "version ok",
      "settings ok",
      "keys ok",
      "login ok",
      "storage ok",
      "proxy ok",
      "tls ok",
      "sign-in ok",
      "token ok",
      "backend ok",
      "models ok",
      "clock ok",
      "port ok",
      "gate ok",
    ]);
    expect(code).toBe(0);
    expect(patient.backend.counts).toMatchObject({ responses: 0, refreshes: 0 });
    expect(patient.backend.refusals).toEqual([]);
  });

  test("is told so on a terminal, in lines and a count", async () => {
    patient.writeLogin();
    const { code, out, err } = await patient.home.run(["doctor"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/✓ login +dev@example\.com, plan pro \(~\/\.codex\/auth\.json\)\n/);
    expect(out).toMatch(/✓ models +11 models \(gpt-6\.2-sol, /);
    expect(out).toEndWith("\n14 ok, 0 warnings, 0 failed\n");
    expect(out).not.toContain("\u001b");
  });

  test("may have an API key instead", async () => {
    patient.writeLogin({ auth_mode: "apikey", OPENAI_API_KEY: patient.backend.issueApiKey() });
    const { code, find, checks } = await patient.examine();
    expect([code, find("login")?.summary, find("backend")?.status]).toEqual([
      0,
      "OpenAI API key (~/.codex/auth.json)",
      "ok",
    ]);
    expect(checks.map(({ id }) => id)).not.toContain("sign-in");
    patient.writeLogin({ auth_mode: "apikey", OPENAI_API_KEY: "sk-wrong" });
    expect((await patient.examine()).find("backend")).toMatchObject({
      status: "fail",
      summary: expect.stringContaining("refuses the API key."),
      fix: "Run `codex login --with-api-key` again.",
    });
  });
});

describe("the login", () => {
  const login = "Run `plansocket login` (or `codex login`).";
  test.each<[string, () => void, string, string]>([
    [
      "is missing",
      () => {},
      "There is no login in the environment or ~/.codex/auth.json.",
      "Run `plansocket login` (or `codex login`, if you have the Codex CLI).",
    ],
    ["is half-written", () => patient.writeLogin('{"auth_mode":"chat'), "~/.codex/auth.json is not valid JSON.", login],
    ["is empty", () => patient.writeLogin(""), "~/.codex/auth.json is not valid JSON.", login],
    [
      "is of another form",
      () => patient.writeLogin({ tokens: 5 }),
      "~/.codex/auth.json has an unexpected form (tokens).",
      login,
    ],
    ["has no tokens", () => patient.writeLogin({ auth_mode: "chatgpt" }), "~/.codex/auth.json holds no tokens.", login],
    [
      "is of an unknown kind",
      () => patient.writeLogin({ auth_mode: "agentIdentity" }),
      "~/.codex/auth.json holds a login of the kind 'agentIdentity' (requests signed with an agent's key)",
      "Sign in with a ChatGPT account: `plansocket login --auth-file FILE`, which leaves the Codex CLI's login as it is.",
    ],
    [
      "is a folder",
      () => mkdirSync(patient.file),
      "~/.codex/auth.json is a folder.",
      "Remove it and run `plansocket login`.",
    ],
    [
      "is a link that leads nowhere",
      () => symlinkSync("/nowhere/auth.json", patient.file),
      "/.codex/auth.json is a link that leads nowhere.",
      "Remove the link, or run `plansocket login`.",
    ],
    [
      "is in the keyring",
      () => writeFileSync(join(dirname(patient.file), "config.toml"), 'cli_auth_credentials_store = "keyring"'),
      "The Codex CLI keeps its login in the system's keyring, which the relay cannot read.",
      'Set cli_auth_credentials_store = "file" in config.toml and run `codex login` again, or `plansocket login`.',
    ],
  ])("%s", async (_case, prepare, summary, fix) => {
    prepare();
    const { code, find } = await patient.examine();
    expect(code).toBe(1);
    expect(find("login")).toEqual({ id: "login", status: "fail", summary: expect.stringContaining(summary), fix });
    expect([find("token")?.status, find("backend")?.status]).toEqual(["skip", "skip"]);
  });

  test.skipIf(!canBeOthers)("may not be read", async () => {
    patient.writeLogin(undefined, 0o000);
    expect((await patient.examine([], {}, asOthers)).find("login")).toEqual({
      id: "login",
      status: "fail",
      summary: "~/.codex/auth.json may not be read by this user.",
      fix: "Run `chmod 600 ~/.codex/auth.json` as its owner.",
    });
  });

  test("can be read by others", async () => {
    patient.writeLogin(undefined, 0o644);
    const { code, find } = await patient.examine();
    expect([code, find("storage")]).toEqual([
      0,
      {
        id: "storage",
        status: "warn",
        summary: `${patient.file} can be read by others (mode 644).`,
        fix: `Run \`chmod 600 ${patient.file}\`.`,
      },
    ]);
    expect(statSync(patient.file).mode & 0o777).toBe(0o644);
  });

  test("does not say its account", async () => {
    patient.writeLogin({
      tokens: { access_token: patient.backend.issueLogin().accessToken.replace(/^[^.]+\.[^.]+/, "a.b") },
    });
    expect((await patient.examine()).find("login")).toMatchObject({
      status: "warn",
      fix: "Run `plansocket login` again.",
    });
  });

  test("comes from the environment, whose renewed tokens cannot be kept", async () => {
    const env = { OPENAI_REFRESH_TOKEN: patient.backend.issueLogin().refreshToken };
    expect((await patient.examine([], env)).find("storage")).toMatchObject({ status: "ok" });
    expect((await patient.examine(["--state-dir", "/dev/null/x"], env)).find("storage")).toMatchObject({
      status: "fail",
      summary: "A renewed login could not be saved in /dev/null/x (ENOTDIR), so none is asked for.",
      fix: expect.stringContaining("choose another folder with --state-dir"),
    });
  });
});

describe("an ended token", () => {
  test("is renewed, and the renewed one is kept", async () => {
    patient.writeLogin(patient.backend.issueLogin({ expiresInMs: -60_000 }).authJson);
    const before = readFileSync(patient.file, "utf8");
    const { code, find } = await patient.examine();
    expect([code, find("token")?.summary]).toEqual([
      0,
      expect.stringMatching(/^it had ended and was renewed: \d s old, good for 10 d \(until /),
    ]);
    expect(readFileSync(patient.file, "utf8")).not.toBe(before);
    expect(patient.backend.counts.refreshes).toBe(1);
  });

  const again = "Run `plansocket login` (or `codex login`) to sign in again.";
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
      patient.writeLogin(expired());
      patient.backend.scriptToken(...Array.from({ length: 3 }, () => TOKEN_FAULTS[fault]));
      const { code, find } = await patient.examine();
      expect(code).toBe(1);
      const token = find("token");
      expect([token?.status, token?.fix]).toEqual(["fail", fix]);
      expect(token?.summary).toMatch(/^It ended \d+ d( \d+ h)? ago\. /);
      expect(token?.summary).toEndWith(message);
      expect(find("backend")).toMatchObject({ status: "skip", summary: "needs a login that works" });
      expect(JSON.parse(readFileSync(patient.file, "utf8"))).toEqual(expired());
    },
    15_000,
  );

  test("has nothing to be renewed with", async () => {
    patient.writeLogin(expired({ refresh_token: null }));
    expect((await patient.examine()).find("token")).toMatchObject({
      status: "fail",
      summary: expect.stringContaining("The access token has expired and there is none to renew it with."),
    });
  });

  test("meets a login service that is away", async () => {
    patient.writeLogin(expired());
    const { find } = await patient.examine([], { PLANSOCKET_ISSUER: "http://127.0.0.1:9" });
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
      "HOST answers, but not with a model list.",
      "Check --base-url, and whether a web page is in between.",
    ],
    [
      "a login that is refused",
      401,
      '{"error":{"message":"Provided authentication token is expired.","code":"token_expired"}}',
      json,
      "backend",
      "The login could not be renewed.",
      "Run `plansocket login` (or `codex login`) to sign in again.",
    ],
  ])("%s", async (_case, status, body, headers, id, summary, fix, severity = "fail") => {
    patient.writeLogin({ ...expired(), tokens: { ...expired().tokens, access_token: jwt({ exp: 4_000_000_000 }) } });
    patient.backend.scriptToken(TOKEN_FAULTS.unknown_401);
    const server = answering(status, body, headers);
    try {
      const { code, find } = await patient.examine(["--base-url", server.url, "--client-version", "0.1.0"]);
      expect(find(id)).toEqual({
        id,
        status: severity,
        summary: summary.replace("HOST", new URL(server.url).host),
        fix,
      });
      expect(code).toBe(severity === "fail" ? 1 : 0);
    } finally {
      await server.stop();
    }
  });

  test("retired models in the owner's list", async () => {
    patient.writeLogin();
    expect((await patient.examine(["--models", "gpt-5.5,gpt-5-codex"])).find("models")).toMatchObject({
      status: "warn",
      summary: "--models lists gpt-5-codex, which the account does not have (any more).",
      fix: expect.stringContaining("Choose from: gpt-6.2-sol, "),
    });
  });

  test.each([
    [-90_000, "warn", "The clock is 2 min ahead of"],
    [3_600_000, "fail", "The clock is 1 h behind"],
  ])("a clock that is off by %i ms", async (offMs, status, summary) => {
    patient.writeLogin();
    const date = new Date(Date.now() + offMs).toUTCString();
    const server = answering(200, "{}", { date });
    try {
      expect(
        (await patient.examine(["--base-url", server.url], { PLANSOCKET_ISSUER: new URL(server.url).origin })).find(
          "clock",
        ),
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
    patient.writeLogin();
    expect(
      (await patient.examine(["--base-url", "https://backend.invalid/backend-api/codex"])).find("backend"),
    ).toMatchObject({
      status: "fail",
      summary: expect.stringMatching(/^backend\.invalid could not be reached \((ENOTFOUND|EAI_AGAIN)\)\.$/),
      fix: "Its name could not be looked up: check your network and DNS; behind a corporate proxy set --proxy.",
    });
  });

  test.skipIf(!Bun.which("openssl"))("TLS that somebody inspects", async () => {
    const tls = certificate(patient.home.path, [], ["127.0.0.1"]);
    const inspected = startStandIn({ tls });
    try {
      patient.writeLogin(inspected.issueLogin().authJson);
      const env = { PLANSOCKET_BASE_URL: inspected.baseUrl, PLANSOCKET_ISSUER: inspected.issuer };
      const { find } = await patient.examine([], env);
      for (const id of ["sign-in", "backend"]) {
        expect(find(id)).toMatchObject({
          status: "fail",
          summary: expect.stringMatching(/could not be reached \([A-Z_]*(CERT|VERIFY|SIGNED|ISSUER)[A-Z_]*\)\.$/),
          fix: "If your network inspects TLS, save its authority's certificate as a PEM file and start with NODE_EXTRA_CA_CERTS=FILE.pem.",
        });
      }
      expect((await patient.examine([], { ...env, NODE_EXTRA_CA_CERTS: tls.authority })).code).toBe(0);
    } finally {
      await inspected.stop();
    }
  });

  /** Loopback never goes through a proxy, so a name outside it is asked for; the proxy answers before it is looked up. */
  const outside = { PLANSOCKET_BASE_URL: "https://backend.invalid/backend-api/codex" };
  test.each([
    ["asks for credentials", 407, "(ERR_PROXY_TUNNEL 407)", "The proxy asks for credentials; write them into its URL"],
    ["does not lead there", 502, "(ERR_PROXY_TUNNEL 502)", "The proxy answers but does not lead there; ask whoever"],
  ])("a proxy that %s", async (_case, status, reason, fix) => {
    patient.writeLogin();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`) },
    });
    try {
      const proxy = `http://127.0.0.1:${listener.port}`;
      const { find } = await patient.examine([], {
        ...outside,
        HTTPS_PROXY: proxy.replace("://", "://somebody:s3cret@"),
      });
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
    patient.writeLogin();
    const { find } = await patient.examine([], { ...outside, HTTPS_PROXY: "http://127.0.0.1:9" });
    expect(find("backend")).toMatchObject({
      summary: "backend.invalid could not be reached through the proxy http://127.0.0.1:9 (ECONNREFUSED).",
      fix: "Check the address of the proxy (--proxy), and that it runs.",
    });
    const refused = await patient.examine([], { HTTPS_PROXY: "gopher://127.0.0.1:9" });
    expect(refused.find("settings")).toMatchObject({
      status: "fail",
      summary:
        "Bad value for HTTPS_PROXY: begins with gopher://, which is not supported; must be like http://host:port or socks5h://host:port.",
      fix: expect.stringContaining("For example: `HTTPS_PROXY=http://proxy.example:3128`"),
    });
  });
});

describe("this machine", () => {
  test("has another program on the port", async () => {
    patient.writeLogin();
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("mine") });
    try {
      const { find } = await patient.examine(["--port", String(server.port)]);
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
    patient.writeLogin();
    const relay = patient.home.start(["serve", "--port", "0"]);
    const [, port] = await relay.says(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
    const { code, find } = await patient.examine(["--port", port ?? ""]);
    expect([code, find("port")?.summary]).toEqual([
      0,
      expect.stringMatching(/^a plansocket \S+ already serves on port \d+( \(pid \d+\))?, up /),
    ]);
    relay.kill();
    await relay.ended;
  });

  test("would be open to others", async () => {
    patient.writeLogin();
    expect((await patient.examine(["--host", "0.0.0.0"])).find("port")).toMatchObject({
      status: "fail",
      summary: "0.0.0.0 is not loopback and no API key is set: serve would refuse.",
    });
    const wide = await patient.examine(["--cors-origin", "*"]);
    expect(wide.find("gate")).toMatchObject({ status: "warn", fix: expect.stringContaining("--cors-origin") });
    expect((await patient.examine(["--cors-origin", "*"])).find("gate")).toMatchObject({ status: "warn" });
  });

  test("has settings that cannot be", async () => {
    mkdirSync(join(patient.home.path, ".config/plansocket"), { recursive: true });
    writeFileSync(join(patient.home.path, ".config/plansocket/config.json"), '{"prot":1}');
    const { code, checks } = await patient.examine();
    expect(code).toBe(1);
    expect(checks.find(({ id }) => id === "settings")).toMatchObject({
      status: "fail",
      summary: expect.stringContaining(": Unknown key 'prot'."),
      fix: "Did you mean 'port'?",
    });
    // Doctor goes on with its other lines.
    expect(checks.map(({ id }) => id)).toContain("clock");
  });
});

describe("--live", () => {
  const answers = ["chat", "chat-sse", "responses", "resp-sse", "messages", "completions", "ollama"];

  test("gets one small answer from every endpoint", async () => {
    patient.writeLogin();
    const { code, checks } = await patient.examine(["--live"]);
    const live = checks.filter(({ id }) => id.startsWith("live "));
    expect(live.map(({ id, status }) => `${id} ${status}`)).toEqual(
      ["health", "key", "models", ...answers].map((id) => `live ${id} ok`),
    );
    expect([code, patient.backend.counts.responses]).toEqual([0, 7]);
    expect(patient.backend.refusals).toEqual([]);
  });

  test("tries a relay that is running, with its key", async () => {
    patient.writeLogin();
    const relay = patient.home.start(["serve", "--port", "0"], { PLANSOCKET_API_KEY: "k3y" });
    const [, url] = await relay.says(/listens on (\S+)/);
    const good = await patient.examine(["--live", "--url", `${url}/v1`], { PLANSOCKET_API_KEY: "k3y" });
    expect(good.code).toBe(0);
    expect(good.find("key")?.summary).toMatch(/^the right key is let in, none is not \(\d+ ms\)$/);
    const bad = await patient.examine(["--live", "--url", url ?? ""], { PLANSOCKET_API_KEY: "other" });
    expect(bad.find("key")).toMatchObject({
      status: "fail",
      summary: "The relay does not take this key.",
      fix: "Give the relay's own key with --api-key.",
    });
    relay.kill();
    await relay.ended;
    const gone = await patient.examine(["--live", "--url", url ?? ""]);
    expect(gone.checks).toEqual([
      {
        id: "health",
        status: "fail",
        summary: `${new URL(url ?? "").host} could not be reached (ECONNREFUSED).`,
        fix: "Start it with `plansocket serve`, or check the address after --url.",
      },
    ]);
  });

  test("says why an endpoint does not answer", async () => {
    patient.writeLogin();
    const { code, find } = await patient.examine(["--live", "--stop-at", "30"]);
    expect(code).toBe(1);
    for (const id of answers) {
      expect(find(`live ${id}`)).toMatchObject({ status: "fail", summary: expect.stringContaining("429: The week") });
    }
  });

  test.each([[["--url", "nowhere"]], [["--url"]], [["--lives"]], [["now"]]])("%j is wrong usage", async (args) => {
    expect((await patient.home.run(["doctor", "--live", ...args])).code).toBe(2);
  });
});
