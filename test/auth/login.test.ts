import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { BrowserLogin, pastedQuery } from "../../src/auth/browser-login.ts";
import { awaitDevice, requestDeviceCode, type DeviceCode } from "../../src/auth/device-login.ts";
import { newLoginFile, printedLogin } from "../../src/auth/login-file.ts";
import type { LoginService } from "../../src/auth/login-service.ts";
import { newPkce } from "../../src/auth/pkce.ts";
import { revoke } from "../../src/auth/revoke.ts";
import { signInWithBrowser } from "../../src/cli/login/browser.ts";
import { browserCommand } from "../../src/cli/login/open-browser.ts";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { RelayError } from "../../src/lib/errors.ts";
import { jwt } from "../support/token-server.ts";

let backend: StandIn;
beforeEach(() => {
  backend = startStandIn();
});
afterEach(() => backend.stop());

const NO_PROXY = () => undefined;

const service = (over: Partial<LoginService> = {}): LoginService => ({
  issuer: backend.issuer,
  clientId: "app_EMoamEEZ73f0CkXaXp7hrann",
  revokeUrl: backend.revokeUrl,
  fetch,
  proxyFor: NO_PROXY,
  ...over,
});

/** A login service that answers one path as told. */
const answering = (status: number, body: unknown, onlyPath = ""): LoginService =>
  service({
    fetch: (url, init) => {
      if (!url.endsWith(onlyPath)) return fetch(url, init);
      const isText = typeof body === "string";
      return Promise.resolve(new Response(isText ? body : JSON.stringify(body), { status }));
    },
  });

async function failing(promise: Promise<unknown>): Promise<RelayError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RelayError)) throw new Error(`no RelayError: ${String(error)}`);
  return error;
}

/** What the owner's browser does on the stand-in's page; returns where it is sent. */
async function agree(url: string): Promise<URL> {
  const reply = await fetch(url, { method: "POST", redirect: "manual" });
  return new URL(reply.headers.get("location") ?? "");
}

describe("the link to the login service", () => {
  test("has the parameters of the Codex CLI, in its order", () => {
    const { url } = new BrowserLogin(service({ issuer: "https://auth.openai.com" }), 1455);
    const shape = url.replace(/(code_challenge|state)=[\w-]{43}(?=&)/g, "$1=…");
    expect(shape).toBe(
      "https://auth.openai.com/oauth/authorize?response_type=code&client_id=app_EMoamEEZ73f0CkXaXp7hrann" +
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_challenge=…&code_challenge_method=S256" +
        "&state=…&scope=openid+profile+email+offline_access+api.connectors.read+api.connectors.invoke" +
        "&id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=codex_cli_rs",
    );
  });

  test("never has the same secret twice, and the challenge is the verifier's hash", () => {
    const [one, other] = [newPkce(), newPkce()];
    expect(one.verifier).toHaveLength(86);
    expect(one.verifier).not.toBe(other.verifier);
    expect(one.challenge).toBe(new Bun.CryptoHasher("sha256").update(one.verifier).digest("base64url"));
  });
});

test.each([
  ["http://127.0.0.1:1455/auth/callback?code=a&state=b", "a"],
  ["  'http://localhost:1455/auth/callback?code=a&state=b#top' ", "a"],
  ["code=a&state=b", "a"],
  ["?code=a&state=b", "a"],
  ["http://127.0.0.1:1455/auth/callback", undefined],
  ["ac_12345", undefined],
  ["hello", undefined],
])("pasted %s", (text, code) => {
  expect(pastedQuery(text)?.get("code") ?? undefined).toBe(code);
});

describe("signing in with a browser", () => {
  interface Visit {
    readonly url: string;
    readonly isListening: boolean;
  }

  /** A sign-in under way on a free port; `lines` are pasted one by one. */
  function begin(options: { lines?: string[]; ports?: number[]; service?: LoginService; timeoutMs?: number } = {}) {
    const shown = Promise.withResolvers<Visit>();
    const pasted: string[] = options.lines ?? [];
    const said: string[] = [];
    const kept: string[] = [];
    const more = Promise.withResolvers<void>();
    const ended = signInWithBrowser({
      service: options.service ?? service(),
      ports: options.ports ?? [0],
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      keep: (tokens) => {
        kept.push(tokens.refreshToken);
        return Promise.resolve("Signed in as dev@example.com.");
      },
      say: (line) => said.push(line),
      show: (url, isListening) => shown.resolve({ url, isListening }),
      lines: {
        async *[Symbol.asyncIterator]() {
          await more.promise;
          yield* pasted;
        },
        close() {},
      },
    });
    ended.catch(() => {});
    return { ended, shown: shown.promise, said, kept, paste: (line: string) => (pasted.push(line), more.resolve()) };
  }

  const redirectOf = (url: string) => new URL(new URL(url).searchParams.get("redirect_uri") ?? "");

  test("takes the browser's code, tells it so, and ends", async () => {
    const login = begin();
    const { url, isListening } = await login.shown;
    expect(isListening).toBe(true);
    const page = await fetch(await agree(url));
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("Signed in as dev@example.com. You can close this page");
    expect(page.headers.get("cache-control")).toBe("no-store");
    expect(await login.ended).toBe("Signed in as dev@example.com.");
    expect(login.kept).toHaveLength(1);
    const form = backend.requests.find((request) => request.path === "/oauth/token");
    expect(form?.headers["content-type"]).toBe("application/x-www-form-urlencoded");
    expect(backend.refusals).toEqual([]);
  });

  test("a wrong state is refused and the sign-in goes on", async () => {
    const login = begin();
    const { url } = await login.shown;
    const back = await agree(url);
    const wrong = new URL(back);
    wrong.searchParams.set("state", "another");
    const page = await fetch(wrong);
    expect([page.status, (await page.text()).includes("State mismatch")]).toEqual([400, true]);
    expect(backend.counts.refreshes).toBe(0);
    expect((await fetch(back)).status).toBe(200);
    await login.ended;
  });

  test("a reload of the last page redeems nothing twice", async () => {
    const login = begin();
    const back = await agree((await login.shown).url);
    const pages = await Promise.all([fetch(back), fetch(back)]);
    expect(pages.map((page) => page.status)).toEqual([200, 200]);
    await login.ended;
    expect(login.kept).toHaveLength(1);
  });

  test.each([
    [
      "error=access_denied&error_description=Unknown+error%3A+missing_codex_entitlement",
      "Codex is not enabled for this workspace.",
      "Ask the workspace's administrator to enable Codex, or sign in with another account.",
    ],
    [
      "error=access_denied&error_description=The+user+said+no.",
      "The sign-in was refused: The user said no.",
      "Run `plansocket login` again; nothing was changed.",
    ],
    [
      "error=server_error",
      "The sign-in was refused: server_error.",
      "Run `plansocket login` again; nothing was changed.",
    ],
    // The other form of the redirect is what some services know (contract 0.21).
    [
      "error=invalid_request&error_description=The+redirect_uri+is+not+registered",
      "The sign-in was refused: The redirect_uri is not registered.",
      "The browser is sent back to http://127.0.0.1, as by the Codex CLI; a service that takes only http://localhost needs `plansocket login --device`.",
    ],
  ])("the owner is told when the service says %s (contract 0.21)", async (query, message, hint) => {
    const login = begin();
    const { url } = await login.shown;
    const state = new URL(url).searchParams.get("state") ?? "";
    const page = await fetch(`${redirectOf(url).href}?${query}&state=${state}`);
    expect([page.status, await page.text()]).toEqual([400, expect.stringContaining("Not signed in")]);
    expect(await failing(login.ended)).toMatchObject({ message, hint });
    expect(login.kept).toEqual([]);
  });

  test("what a refusal says cannot write on the page or the terminal", async () => {
    const login = begin();
    const { url } = await login.shown;
    const state = new URL(url).searchParams.get("state") ?? "";
    const evil = encodeURIComponent("<script>alert(1)</script>\u001b[2J\nsecond line");
    const page = await fetch(`${redirectOf(url).href}?error=x&error_description=${evil}&state=${state}`);
    expect(await page.text()).not.toContain("<script>");
    const { message } = await failing(login.ended);
    expect(message).toBe("The sign-in was refused: <script>alert(1)</script> [2J second line.");
  });

  test.each([
    [400, { error: "invalid_grant" }, "The login service refused the sign-in's code (status 400, invalid_grant)."],
    [500, "oops", "The login service is in trouble (status 500) and did not take the sign-in's code."],
    [403, "<html>Just a moment</html>", "Cloudflare blocked the way to the login service; try another network."],
    [
      403,
      { error: { code: "unsupported_country_region_territory" } },
      "The login service does not serve your region; set --proxy if your network leaves elsewhere.",
    ],
    [200, { access_token: "a" }, "The login service answered without a full set of tokens."],
    [
      200,
      "<html>welcome</html>",
      "A web page with status 200 came instead of the login service's answer; check the network or --proxy.",
    ],
  ])("the code is answered with %i %j", async (status, body, message) => {
    const login = begin({ service: answering(status, body, "/oauth/token") });
    const { url } = await login.shown;
    const page = await fetch(await agree(url));
    expect(page.status).toBe(400);
    expect((await failing(login.ended)).message).toBe(message);
  });

  test("an address pasted from another machine's browser ends it, wrong ones do not", async () => {
    const login = begin({ lines: ["", "what?", "http://127.0.0.1:1455/auth/callback?code=x&state=other"] });
    const { url } = await login.shown;
    login.paste((await agree(url)).href);
    await login.ended;
    expect(login.said).toEqual([
      "That is not the address that the browser ends on; it contains /auth/callback?code=",
      "That address belongs to another sign-in; use the link above.",
    ]);
    expect(login.kept).toHaveLength(1);
  });

  test("a busy port gives way to the second one; with both busy a pasted address is still good", async () => {
    const holders = [0, 0].map((port) => Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("mine") }));
    const [first = 0, second = 0] = holders.map((holder) => holder.port ?? 0);
    try {
      const one = begin({ ports: [first, 0] });
      const { url } = await one.shown;
      expect(redirectOf(url).port).not.toBe(String(first));
      await fetch(await agree(url));
      await one.ended;

      const both = begin({ ports: [first, second] });
      const visit = await both.shown;
      expect(visit.isListening).toBe(false);
      expect(redirectOf(visit.url).port).toBe(String(first));
      both.paste((await agree(visit.url)).href);
      await both.ended;

      const nobody = begin({ ports: [first, second], lines: [] });
      nobody.paste("");
      expect((await failing(nobody.ended)).message).toBe(
        "No port was free for the browser, and no address was pasted.",
      );
    } finally {
      for (const holder of holders) await holder.stop(true);
    }
  });

  test("connections that a browser opens ahead do not hold the terminal", async () => {
    const login = begin();
    const { url } = await login.shown;
    const idle = connect(Number(redirectOf(url).port), "127.0.0.1");
    const half = connect(Number(redirectOf(url).port), "127.0.0.1", () => half.write("GET /favicon.ico HTTP/1.1\r\n"));
    await Promise.all([once(idle, "connect"), once(half, "connect")]);
    const page = await fetch(await agree(url));
    expect(await page.text()).toContain("Signed in");
    // Left to themselves they take Bun's 10 seconds to end, longer than a test may.
    await login.ended;
    for (const socket of [idle, half]) socket.destroy();
  });

  test("a code that is being redeemed is not given up", async () => {
    const redeeming = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const slow = service({
      async fetch(url, init) {
        redeeming.resolve();
        await answer.promise;
        return fetch(url, init);
      },
    });
    const login = begin({ service: slow });
    const { url } = await login.shown;
    const page = fetch(await agree(url));
    await redeeming.promise;
    await fetch(new URL("/cancel", redirectOf(url)));
    answer.resolve();
    expect((await page).status).toBe(200);
    expect(await login.ended).toBe("Signed in as dev@example.com.");
    expect(login.kept).toHaveLength(1);
  });

  test.each([
    ["another site's script", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }],
    ["another site's image", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
    ["another site's link", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
    ["a page of another port", { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" }],
    ["a name that was rebound to this machine", { host: "evil.example" }],
  ])("is not cancelled by %s", async (_who, headers: Record<string, string>) => {
    const login = begin();
    const { url } = await login.shown;
    for (const path of ["/cancel", "/", "/anything"]) {
      const reply = await fetch(new URL(path, redirectOf(url)), { headers });
      expect([reply.status, reply.headers.get("x-content-type-options")]).toEqual([403, "nosniff"]);
    }
    const fromService = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    expect((await fetch(await agree(url), { headers: fromService })).status).toBe(200);
    expect(await login.ended).toBe("Signed in as dev@example.com.");
  });

  test("gives the port up to another sign-in that asks, and ends when nobody comes", async () => {
    const login = begin();
    await fetch(new URL("/cancel", redirectOf((await login.shown).url)));
    expect((await failing(login.ended)).message).toBe("Another sign-in took over.");
    expect((await failing(begin({ timeoutMs: 1 }).ended)).message).toBe("Nobody signed in within 0 minutes.");
  });
});

test.each([
  ["linux", {}, undefined],
  ["linux", { DISPLAY: ":0" }, "xdg-open"],
  ["linux", { DISPLAY: ":0", SSH_CONNECTION: "10.0.0.1 1 10.0.0.2 22" }, undefined],
  ["darwin", {}, "open"],
  ["win32", {}, "rundll32"],
])("the browser of %s with %j", (platform, env, command) => {
  expect(browserCommand("http://x/?a=1&b=2", platform, env)?.[0]).toBe(command);
});

describe("signing in with a device code", () => {
  const wait = { now: Date.now, sleep: () => Promise.resolve() };
  const device: DeviceCode = {
    userCode: "A-1",
    url: "",
    expiresAtMs: Date.now() + 60_000,
    deviceAuthId: "d",
    intervalMs: 1000,
  };

  test("waits while the code is not entered, then redeems it with the service's verifier", async () => {
    const code = await requestDeviceCode(service(), Date.now());
    expect(code).toMatchObject({ url: `${backend.issuer}/codex/device`, intervalMs: 1000 });
    const left: number[] = [];
    let pauses = 0;
    const tokens = await awaitDevice(service(), code, {
      now: Date.now,
      onWait: (leftMs) => left.push(leftMs),
      async sleep() {
        pauses += 1;
        if (pauses < 2) return;
        await fetch(code.url, { method: "POST", body: new URLSearchParams({ user_code: code.userCode }) });
      },
    });
    expect(tokens.refreshToken).toStartWith("rt_");
    expect(left).toHaveLength(2);
    expect(left[0]).toBeGreaterThan(14 * 60_000);
  });

  test.each([
    [
      { device_auth_id: "d", usercode: "X" },
      { userCode: "X", intervalMs: 5000 },
    ],
    [{ device_auth_id: "d", user_code: "X", interval: 2 }, { intervalMs: 2000 }],
    [{ device_auth_id: "d", user_code: "X", interval: "3", expires_at: "junk" }, { expiresAtMs: 1000 + 15 * 60_000 }],
    [{ device_auth_id: "d", user_code: "X", expires_at: new Date(61_000).toISOString() }, { expiresAtMs: 61_000 }],
  ])("reads %j", async (body, expected) => {
    expect(await requestDeviceCode(answering(200, body), 1000)).toMatchObject(expected);
  });

  test.each([
    [404, { detail: "Not Found" }, "Signing in with a device code is not enabled for this account.", "Security"],
    [500, "", "The login service is in trouble (status 500) and did not take the request for a code.", "Try again"],
    [200, {}, "The login service answered without a device code.", "Try again"],
    [403, "<html>Cloudflare", "Cloudflare blocked the way to the login service; try another network.", "Try again"],
    [
      302,
      "",
      "The login service's address leads elsewhere (302); check whether this network asks for a sign-in, and --proxy.",
      "Try again",
    ],
    [407, "<html>", "The proxy on the way asks for credentials (407); write them into its URL (--proxy).", "Try again"],
    [
      403,
      "<html>",
      "A web page with status 403 came instead of the login service's answer; check the network or --proxy.",
      "Try again",
    ],
  ])("no code: %i %j", async (status, body, message, hint) => {
    const error = await failing(requestDeviceCode(answering(status, body), 0));
    expect([error.message, error.hint]).toEqual([message, expect.stringContaining(hint)]);
  });

  test.each([
    [400, { error: "expired_token" }, "The login service refused the code (status 400, expired_token)."],
    [500, "", "The login service is in trouble (status 500) and did not take the code."],
    [403, "<html>Just a moment", "Cloudflare blocked the way to the login service; try another network."],
    [200, {}, "The login service approved the code but sent nothing to redeem."],
  ])("no approval: %i %j", async (status, body, message) => {
    expect((await failing(awaitDevice(answering(status, body), device, wait))).message).toBe(message);
  });

  test("ends when the time is up", async () => {
    const error = await failing(awaitDevice(answering(403, {}), { ...device, expiresAtMs: Date.now() - 1 }, wait));
    expect([error.message, error.hint]).toEqual([
      "The code was not entered in time.",
      "Run `plansocket login --device` again.",
    ]);
  });

  test("outlives a network that is away for a moment, not one that stays away", async () => {
    let calls = 0;
    const shaky = service({
      fetch: () => {
        calls += 1;
        if (calls < 4) return Promise.reject(Object.assign(new Error(), { code: "ECONNREFUSED" }));
        return Promise.resolve(new Response("{}", { status: 400 }));
      },
    });
    expect((await failing(awaitDevice(shaky, device, wait))).message).toContain("status 400");
    const gone = service({
      issuer: "https://auth.example",
      fetch: () => Promise.reject(Object.assign(new Error(), { code: "ERR_PROXY_TUNNEL" })),
      proxyFor: () => "http://proxy.example:3128",
    });
    const error = await failing(awaitDevice(gone, device, wait));
    expect([error.message, error.hint]).toEqual([
      "auth.example could not be reached through the proxy http://proxy.example:3128 (ERR_PROXY_TUNNEL).",
      "The proxy answers but does not lead there; ask whoever runs it, or use another.",
    ]);
  });
});

describe("ending a login", () => {
  const tokens = { idToken: undefined, accountId: undefined, expiresAtMs: undefined, lastRefreshMs: undefined };

  test.each([
    [
      { accessToken: "at", refreshToken: "rt" },
      { token: "rt", token_type_hint: "refresh_token", client_id: "app_EMoamEEZ73f0CkXaXp7hrann" },
    ],
    [
      { accessToken: "at", refreshToken: undefined },
      { token: "at", token_type_hint: "access_token" },
    ],
  ])("revokes %j", async (have, sent) => {
    let body: unknown;
    const told = service({
      fetch: (_url, init) => {
        body = JSON.parse(typeof init?.body === "string" ? init.body : "");
        return Promise.resolve(new Response());
      },
    });
    expect(await revoke(told, { ...tokens, ...have })).toBe(true);
    expect(body).toEqual(sent);
  });

  test("a service that fails is no reason to keep the login", async () => {
    const have = { ...tokens, accessToken: "at", refreshToken: "rt" };
    expect(await revoke(answering(500, ""), have)).toBe(false);
    expect(await revoke(service({ fetch: () => Promise.reject(new Error()) }), have)).toBe(false);
  });
});

describe("what is written", () => {
  const claims = { exp: 1_796_081_385, "https://api.openai.com/auth": { chatgpt_account_id: "acc" } };
  const tokens = { accessToken: jwt(claims), refreshToken: "rt", idToken: jwt(claims) };

  test("has the Codex CLI's keys, in its order", () => {
    const file = newLoginFile(tokens, { issuer: "https://i", clientId: "app" }, 0);
    expect(file).toEqual({
      auth_mode: "chatgpt",
      OPENAI_API_KEY: null,
      tokens: {
        id_token: tokens.idToken,
        access_token: tokens.accessToken,
        refresh_token: "rt",
        oauth_provenance: { issuer: "https://i", client_id: "app" },
        login_owner_id: expect.stringMatching(/^[\w-]{43}$/),
        account_id: "acc",
      },
      last_refresh: "1970-01-01T00:00:00.000Z",
    });
    expect(Object.keys(file)).toEqual(["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]);
  });

  test("is printed for a sidecar with its end in seconds", () => {
    expect(printedLogin(tokens)).toEqual({
      refresh_token: "rt",
      access_token: tokens.accessToken,
      expires_at: 1_796_081_385,
      account_id: "acc",
    });
    expect(printedLogin({ ...tokens, accessToken: "opaque", idToken: "opaque" })).toMatchObject({
      expires_at: null,
      account_id: null,
    });
  });
});
