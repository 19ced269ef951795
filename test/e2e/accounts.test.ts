import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newLoginFile } from "../../src/auth/login-file.ts";
import { openCredentials } from "../../src/auth/index.ts";
import { readClaims } from "../../src/auth/jwt.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { createEgress } from "../../src/upstream/egress.ts";
import { startStandIn, type StandIn, type StandInOptions } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";
import { startTestRelay } from "../support/relay.ts";
import { jwt, startTokenServer } from "../support/token-server.ts";

let home: CommandHome;
let backend: StandIn;

function start(options: StandInOptions = {}): void {
  backend = startStandIn(options);
  home = new CommandHome({
    PLANSOCKET_ISSUER: backend.origin,
    PLANSOCKET_BASE_URL: `${backend.origin}/backend-api/codex`,
  });
  mkdirSync(join(home.path, ".codex"));
}
afterEach(async () => {
  await backend.stop();
  home.remove();
});

const authFile = () => join(home.path, ".codex/auth.json");
const write = (file: object) => writeFileSync(authFile(), JSON.stringify(file), { mode: 0o600 });
const chat = (url: string, messages: object[] = [{ role: "user", content: "hello" }], more: object = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5.5", messages, ...more }),
  });

/** A relay in this process with the login of the file, and a way out that takes chatgpt.com for the stand-in. */
function relayOf(upstream: Parameters<typeof startTestRelay>[0]["upstream"] = {}, baseUrl?: string) {
  const egress = createEgress({ proxy: undefined, noProxy: "" });
  const credentials = openCredentials({
    env: {},
    authFile: authFile(),
    stateDir: home.path,
    tokenUrl: `${backend.origin}/oauth/token`,
    clientId: "app",
    fetch,
    log: SILENT_LOG,
  });
  return startTestRelay({
    baseUrl: baseUrl ?? `${backend.origin}/backend-api/codex`,
    credentials,
    upstream: { transport: "http", ...upstream },
    egress: { ...egress, fetch: (url, init) => egress.fetch(url.replace("https://chatgpt.com", backend.origin), init) },
  });
}

describe("a workspace pinned to a region (contract 0.1)", () => {
  test.each(["auth", "root"] as const)(
    "is named on every call, from the claim at the token's %s",
    async (residencyAt) => {
      start();
      write(backend.issueLogin({ residency: "eu", residencyAt }).authJson);
      await using relay = relayOf();
      expect((await chat(relay.url)).status).toBe(200);
      expect((await home.run(["usage"])).code).toBe(0);
      expect((await home.run(["models"])).err).toBe("");
    },
  );

  test("two requests against 'not authorized in this region' spend no refresh token (contract 0.1)", async () => {
    start();
    await using service = startTokenServer("rt_0");
    const paths: string[] = [];
    await using refusing = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        paths.push(new URL(request.url).pathname);
        return Response.json({ detail: "Workspace is not authorized in this region." }, { status: 401 });
      },
    });
    const tokens = { access_token: jwt({ exp: 4_000_000_000 }), refresh_token: "rt_0", account_id: "acc" };
    write({ auth_mode: "chatgpt", OPENAI_API_KEY: null, tokens });
    const credentials = openCredentials({
      env: {},
      authFile: authFile(),
      stateDir: home.path,
      tokenUrl: service.url,
      clientId: "app",
      fetch,
      log: SILENT_LOG,
    });
    await using relay = startTestRelay({ baseUrl: `http://127.0.0.1:${refusing.port}/backend-api/codex`, credentials });
    for (let times = 0; times < 2; times += 1) {
      const reply = await chat(relay.url);
      const { error } = (await reply.json()) as { error: { code: string; message: string } };
      expect([reply.status, reply.headers.get("x-should-retry"), error.code]).toEqual([
        403,
        "false",
        "workspace_region_not_authorized",
      ]);
      expect(error.message).toContain("The workspace is pinned to another region");
    }
    const usage = await relay.upstream.usage(AbortSignal.timeout(5000)).catch((error: unknown) => error);
    expect(usage).toMatchObject({ code: "workspace_region" });
    expect(paths.filter((path) => path.endsWith("/responses"))).toHaveLength(2);
    expect(paths.filter((path) => path.endsWith("/usage"))).toHaveLength(1);
    expect(service.asked).toEqual([]);
  });
});

describe("a personal access token (contract 0.10)", () => {
  beforeEach(() => {
    start();
    backend.issueLogin({ plan: "enterprise" });
  });

  test("from the environment: its account is asked for and sent (openai/codex#25731)", async () => {
    const env = { CODEX_ACCESS_TOKEN: backend.issuePersonalToken() };
    const { code, out } = await home.run(["whoami", "--json"], env);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      email: "dev@example.com",
      plan: "enterprise",
      account_id: expect.any(String),
      source: "environment",
      can_renew: false,
    });
    expect((await home.run(["usage"], env)).code).toBe(0);
    expect(backend.counts.refreshes).toBe(0);
  });

  test("from the file that the Codex CLI writes, which stays as it is (openai/codex#25731)", async () => {
    write({
      auth_mode: "personalAccessToken",
      OPENAI_API_KEY: null,
      tokens: null,
      personal_access_token: backend.issuePersonalToken(),
    });
    const before = readFileSync(authFile(), "utf8");
    expect((await home.run(["usage"])).code).toBe(0);
    expect((await home.run(["whoami"])).out).toContain("personal access token");
    expect(readFileSync(authFile(), "utf8")).toBe(before);
  });

  test("that is not valid is told as that, and asked about at most once a minute", async () => {
    const serve = home.start(["serve", "--port", "0"], { CODEX_ACCESS_TOKEN: "at-nobody" });
    const [, url] = await serve.says(/listens on (\S+)/);
    for (let times = 0; times < 3; times += 1) {
      const reply = await chat(url ?? "");
      expect([reply.status, await reply.text()]).toEqual([
        401,
        expect.stringContaining("The personal access token is not valid"),
      ]);
    }
    serve.kill("SIGTERM");
    await serve.ended;
    expect(backend.requests.filter(({ path }) => path.endsWith("/whoami"))).toHaveLength(1);
    expect(backend.counts.refreshes).toBe(0);
  });
});

test.each([
  ["agentIdentity", "signed with an agent's key"],
  ["headers", "another program provides"],
  ["bedrockApiKey", "Amazon Bedrock"],
  ["somethingNew", "which the relay cannot use"],
])("a login of the mode %s is refused by its name (contract 0.10)", async (mode, words) => {
  start();
  write({ auth_mode: mode, OPENAI_API_KEY: null });
  const { code, err } = await home.run(["whoami"]);
  expect([code, err]).toEqual([1, expect.stringContaining(`'${mode}'`)]);
  expect(err).toContain(words);
  expect(err).toContain("plansocket login");
});

test.each(["ChatGPT", "chat_gpt"])("the mode is understood when it is spelled %s", async (mode) => {
  start();
  write({ ...backend.issueLogin().authJson, auth_mode: mode });
  expect((await home.run(["whoami"])).code).toBe(0);
});

test("an organization id is never taken for an account id (contract 0.11)", () => {
  start();
  const organizations = [{ id: "org-1" }];
  const idToken = jwt({ organizations, "https://api.openai.com/auth": { organizations } });
  expect(readClaims(idToken).accountId).toBeUndefined();
  const accessToken = jwt({ "https://api.openai.com/auth": { chatgpt_account_id: "acc-9" } });
  const service = { issuer: "https://auth.example", clientId: "app" };
  const tokens = { idToken, accessToken, refreshToken: "rt" };
  expect(newLoginFile(tokens, service, 0)).toMatchObject({ tokens: { account_id: "acc-9" } });
});

describe("the load balancer's cookies (contract 0.13)", () => {
  const CHATGPT = "https://chatgpt.com/backend-api/codex";

  test("go back to chatgpt.com", async () => {
    start({ views: { cookies: "wanted" } });
    write(backend.issueLogin().authJson);
    await using relay = relayOf({}, CHATGPT);
    for (let times = 0; times < 3; times += 1) expect((await chat(relay.url)).status).toBe(200);
  });

  test("stay away with --cookies off", async () => {
    start({ views: { cookies: "refused" } });
    write(backend.issueLogin().authJson);
    await using relay = relayOf({ cookies: "off" }, CHATGPT);
    for (let times = 0; times < 3; times += 1) expect((await chat(relay.url)).status).toBe(200);
  });

  test("of any other host are not kept", async () => {
    start({ views: { cookies: "refused" } });
    write(backend.issueLogin().authJson);
    await using relay = relayOf();
    for (let times = 0; times < 3; times += 1) expect((await chat(relay.url)).status).toBe(200);
  });
});

test("the state of a turn goes back while its last item is a tool's output, and not after (contract 0.14)", async () => {
  start();
  write(backend.issueLogin().authJson);
  await using relay = relayOf();
  const user = { role: "user", content: "use the tool" };
  const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };
  const inTurn = [
    user,
    { role: "assistant", tool_calls: [call] },
    { role: "tool", tool_call_id: "call_1", content: "x" },
  ];
  const nextTurn = [...inTurn, { role: "assistant", content: "done" }, { role: "user", content: "again" }];
  for (const messages of [[user], inTurn, inTurn, nextTurn]) {
    expect((await chat(relay.url, messages, { prompt_cache_key: "conversation-1" })).status).toBe(200);
  }
  const states = backend.requests
    .filter(({ path }) => path.endsWith("/responses"))
    .map(({ headers }) => headers["x-codex-turn-state"]);
  expect(states.map((state) => state !== undefined)).toEqual([false, true, true, false]);
});
