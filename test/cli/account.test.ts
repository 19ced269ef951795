import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome, type RunningCommand } from "../support/cli.ts";
import { jwt } from "../support/token-server.ts";
import { approveDevice, USER_CODE } from "../support/device-login.ts";

let backend: StandIn;
let home: CommandHome;
let file: string;
beforeEach(() => {
  backend = startStandIn();
  home = new CommandHome({
    PLANSOCKET_ISSUER: backend.issuer,
    PLANSOCKET_BASE_URL: backend.baseUrl,
    CODEX_REVOKE_TOKEN_URL_OVERRIDE: backend.revokeUrl,
  });
  file = join(home.path, ".codex/auth.json");
});
afterEach(async () => {
  await backend.stop();
  home.remove();
});

function writeLogin(content: object | string): string {
  mkdirSync(dirname(file), { recursive: true });
  const text = typeof content === "string" ? content : JSON.stringify(content);
  writeFileSync(file, text, { mode: 0o600 });
  return text;
}

const revocations = () => backend.requests.filter((request) => request.path === "/oauth/revoke");

async function approve(command: RunningCommand): Promise<void> {
  const [code] = await command.says(USER_CODE);
  await approveDevice(backend.issuer, code);
}

/** No token that the stand-in ever made may be on a screen. */
function expectNoSecret(text: string): void {
  expect(text).not.toMatch(/eyJ[\w-]+\./);
  expect(text).not.toMatch(/rt_stand_in|sk-stand-in/);
  expect(text).not.toMatch(/^\s+at .*:\d+:\d+/m);
}

describe("login", () => {
  test("--device writes the file, and says whose login it is and where", async () => {
    const command = home.start(["login", "--device"]);
    await approve(command);
    const { code, err, out } = await command.ended;
    expect([code, out]).toEqual([0, ""]);
    expect(err).toContain(`page   ${backend.issuer}/codex/device`);
    expect(err).toContain("good for 15 min");
    expect(err).toEndWith(
      "Signed in as dev@example.com, plan pro.\nThe login is in ~/.codex/auth.json, where the Codex CLI uses it too.\n",
    );
    expectNoSecret(err);
    const text = readFileSync(file, "utf8");
    expect(text).toStartWith('{\n  "auth_mode": "chatgpt",\n  "OPENAI_API_KEY": null,\n  "tokens": {\n    "id_token"');
    expect(text).toEndWith("}");
    expect([statSync(file).mode & 0o777, statSync(dirname(file)).mode & 0o777]).toEqual([0o600, 0o700]);
    expect((await home.run(["models"])).code).toBe(0);
  });

  test("--device --print writes nothing but JSON to stdout, and no file", async () => {
    const command = home.start(["login", "--device", "--print"]);
    await approve(command);
    const { code, err, out } = await command.ended;
    expect(code).toBe(0);
    const printed = JSON.parse(out) as Record<string, string>;
    expect(Object.keys(printed)).toEqual(["refresh_token", "access_token", "expires_at", "account_id"]);
    expect(existsSync(file)).toBe(false);
    expect(err).toContain("Nothing was written to disk.");
    expectNoSecret(err);
    // What was printed is good for a sidecar.
    const listed = await home.run(["models"], { OPENAI_REFRESH_TOKEN: printed["refresh_token"] ?? "" });
    expect([listed.code, listed.out]).toEqual([0, expect.stringContaining("gpt-5.5")]);
  });

  test("--no-browser shows the link and takes a pasted address", async () => {
    const command = home.start(["login", "--no-browser"]);
    const [link] = await command.says(/http\S+\/oauth\/authorize\S+/);
    const reply = await fetch(link, { method: "POST", redirect: "manual" });
    command.type(`${reply.headers.get("location")}\n`);
    const { code, err } = await command.ended;
    expect([code, err]).toEqual([0, expect.stringContaining("Signed in as dev@example.com, plan pro.")]);
    expectNoSecret(err);
    expect(readFileSync(file, "utf8")).toContain("login_owner_id");
  });

  test("a login that is there is not replaced without a question, and never ended", async () => {
    const before = writeLogin(backend.issueLogin({ email: "old@example.com", plan: "plus" }).authJson);
    const refused = await home.run(["login", "--device"]);
    expect(refused).toMatchObject({
      code: 2,
      err:
        "plansocket: ~/.codex/auth.json already holds a login (old@example.com, plan plus), which the Codex CLI " +
        "shares. Replace it? Nobody can answer here: this is no terminal.\n  Add --force to say yes.\n",
    });
    expect(readFileSync(file, "utf8")).toBe(before);
    const declined = await home.onTerminal(["login", "--device"], "n\n");
    expect([declined.code, declined.screen]).toEqual([1, expect.stringContaining("Nothing was changed.")]);
    expect(readFileSync(file, "utf8")).toBe(before);
    const command = home.start(["login", "--device", "--force"]);
    await approve(command);
    expect((await command.ended).code).toBe(0);
    expect(readFileSync(file, "utf8")).toContain("oauth_provenance");
    expect(readFileSync(file, "utf8")).not.toBe(before);
    expect(revocations()).toEqual([]);
  });

  test("a file that is no login is asked about as well", async () => {
    writeLogin("{{{");
    const { code, err } = await home.run(["login", "--device"]);
    expect([code, err]).toEqual([
      2,
      expect.stringContaining("~/.codex/auth.json exists but cannot be used: ~/.codex/auth.json is not valid JSON."),
    ]);
    expect(readFileSync(file, "utf8")).toBe("{{{");
  });

  test("a login that cannot be written is told before anybody signs in", async () => {
    writeFileSync(join(home.path, "wall"), "");
    const { code, err } = await home.run(["login", "--device", "--auth-file", join(home.path, "wall/auth.json")]);
    expect(code).toBe(1);
    expect(err).toContain("plansocket: The login could not be written to ~/wall/auth.json (");
    expect(err).toEndWith("  Make its folder writable, or choose another place with --auth-file.\n");
    expectNoSecret(err);
  });

  test("says when the Codex CLI or the environment will not use it", async () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(join(dirname(file), "config.toml"), 'cli_auth_credentials_store = "keyring"\n');
    const command = home.start(["login", "--device"], { OPENAI_REFRESH_TOKEN: "rt_x" });
    await approve(command);
    const { err } = await command.ended;
    expect(err).toContain('set cli_auth_credentials_store = "file" in its config.toml');
    expect(err).toContain("Tokens in the environment come before this file; unset them to use it.");
  });

  test("an unreachable service is named", async () => {
    const { code, err } = await home.run(["login", "--device"], { PLANSOCKET_ISSUER: "http://127.0.0.1:9" });
    expect(code).toBe(1);
    expect(err).toMatch(/^plansocket: 127\.0\.0\.1:9 could not be reached \(\w+\)\.\n {2}Check your network; behind/);
  });
});

describe("logout", () => {
  test("asks, because the Codex CLI shares the login", async () => {
    writeLogin(backend.issueLogin().authJson);
    const { code, err } = await home.run(["logout"]);
    expect([code, err]).toEqual([
      2,
      "plansocket: ~/.codex/auth.json (dev@example.com, plan pro) is the Codex CLI's login too. Sign out of both? " +
        "Nobody can answer here: this is no terminal.\n  Add --yes to say yes.\n",
    ]);
    expect(existsSync(file)).toBe(true);
    const declined = await home.onTerminal(["logout"], "\n");
    expect([declined.code, existsSync(file)]).toEqual([1, true]);
    expect(revocations()).toEqual([]);
    const agreed = await home.onTerminal(["logout"], "y\n");
    expect([agreed.code, existsSync(file)]).toEqual([0, false]);
    expect(revocations()).toHaveLength(1);
  });

  test("what a token says cannot move the cursor from the question", async () => {
    writeLogin(backend.issueLogin({ email: "a\u001b[2J\u202e@example.com", plan: "plus\u009b31m" }).authJson);
    const { screen } = await home.onTerminal(["logout"], "n\n");
    expect(screen).toContain("(a @example.com, plan plus) is the Codex CLI's login too");
  });

  test("ends the login at the service and removes the file", async () => {
    const { authJson, refreshToken } = backend.issueLogin();
    writeLogin(authJson);
    const { code, err } = await home.run(["logout", "--yes"]);
    expect([code, err]).toEqual([0, "Signed out: ~/.codex/auth.json is removed and the login ended.\n"]);
    expect(existsSync(file)).toBe(false);
    expect(revocations().map(({ body }) => body)).toEqual([
      { token: refreshToken, token_type_hint: "refresh_token", client_id: "app_EMoamEEZ73f0CkXaXp7hrann" },
    ]);
    expect(await home.run(["logout", "--yes"])).toMatchObject({
      code: 0,
      err: "There is no login in ~/.codex/auth.json.\n",
    });
  });

  test("removes the file also when the service does not answer", async () => {
    writeLogin(backend.issueLogin().authJson);
    const { code, err } = await home.run(["logout", "--yes"], {
      CODEX_REVOKE_TOKEN_URL_OVERRIDE: "http://127.0.0.1:9/oauth/revoke",
    });
    expect([code, existsSync(file)]).toEqual([0, false]);
    expect(err).toBe(
      "The login service did not confirm the end of the login; it ends there by itself within days.\n" +
        "To end it now, sign out of all devices in ChatGPT's settings under Security.\n" +
        "Signed out: ~/.codex/auth.json is removed.\n",
    );
  });

  test("has nothing to end for an API key, and follows a symlink to what it points at", async () => {
    const target = join(home.path, "kept-elsewhere.json");
    writeFileSync(target, '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-x"}');
    mkdirSync(dirname(file), { recursive: true });
    symlinkSync(target, file);
    const { code, err } = await home.run(["logout", "--yes"]);
    expect([code, err]).toEqual([0, "Signed out: ~/.codex/auth.json is removed.\n"]);
    expect([existsSync(target), lstatSync(file, { throwIfNoEntry: false })]).toEqual([false, undefined]);
    expect(revocations()).toEqual([]);
  });
});

describe("whoami", () => {
  test("shows the login, for people and for scripts", async () => {
    writeLogin(backend.issueLogin({ plan: "plus", email: "me@example.com", accountId: "acc-1" }).authJson);
    const { code, out, err } = await home.run(["whoami"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out.replace(/\d+ s old/, "0 s old").replace(/until .*\)/, "until …)")).toBe(
      [
        "email    me@example.com",
        "plan     plus",
        "account  acc-1",
        "mode     ChatGPT plan",
        "source   ~/.codex/auth.json",
        "token    0 s old, good for 10 d (until …)",
        "renewal  by itself, shortly before the token ends",
        "",
      ].join("\n"),
    );
    const json = JSON.parse((await home.run(["whoami", "--json"])).out) as Record<string, unknown>;
    expect(json).toMatchObject({
      mode: "chatgpt",
      email: "me@example.com",
      plan: "plus",
      account_id: "acc-1",
      source: "~/.codex/auth.json",
      is_expired: false,
      can_renew: true,
    });
    expect(Date.parse(String(json["expires_at"])) - Date.parse(String(json["issued_at"]))).toBe(864_000_000);
    expectNoSecret(out + JSON.stringify(json));
    expect(backend.requests).toEqual([]);
  });

  test("an ended token is said to be, and nothing is renewed for it", async () => {
    writeLogin(backend.issueLogin({ expiresInMs: -3 * 3_600_000 }).authJson);
    expect((await home.run(["whoami"])).out).toMatch(/token {4}\d+ m?s old, ended 3 h ago \(/);
    expect(backend.counts.refreshes).toBe(0);
  });

  test.each([
    [{ auth_mode: "apikey", OPENAI_API_KEY: "sk-secret" }, "mode     OpenAI API key\nsource   ~/.codex/auth.json\n"],
    [
      { tokens: { access_token: jwt({}), account_id: "a" } },
      "email    not said\nplan     not said\naccount  a\nmode     ChatGPT plan\nsource   ~/.codex/auth.json\n" +
        "token    age unknown, does not say when it ends\nrenewal  none: it ends with its token\n",
    ],
  ])("of %j", async (login, text) => {
    writeLogin(login);
    expect(await home.run(["whoami"])).toMatchObject({ code: 0, out: text });
  });

  test("a token that ends at no moment of the calendar is as good as one that does not say", async () => {
    writeLogin({ tokens: { access_token: jwt({ iat: 1e15, exp: 9_999_999_999_999 }), account_id: "a" } });
    const { code, out } = await home.run(["whoami", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ issued_at: null, expires_at: null, is_expired: false });
    expect((await home.run(["whoami"])).out).toContain("age unknown, does not say when it ends");
    const environment = { OPENAI_ACCESS_TOKEN: "opaque", OPENAI_EXPIRES_AT: "1e300" };
    expect(await home.run(["whoami", "--json"], environment)).toMatchObject({ code: 0 });
  });

  test("without a login says how to get one", async () => {
    expect(await home.run(["whoami"])).toMatchObject({
      code: 1,
      out: "",
      err:
        "plansocket: There is no login in the environment or ~/.codex/auth.json.\n" +
        "  Run `plansocket login` (or `codex login`, if you have the Codex CLI).\n",
    });
  });

  test("another login is chosen by hand, for one command", async () => {
    writeLogin(backend.issueLogin({ email: "home@example.com" }).authJson);
    const work = join(home.path, "work");
    mkdirSync(work);
    writeFileSync(join(work, "auth.json"), JSON.stringify(backend.issueLogin({ email: "work@example.com" }).authJson));
    const email = async (args: string[], env = {}) =>
      (JSON.parse((await home.run(["whoami", "--json", ...args], env)).out) as { email: string }).email;
    expect(await email([])).toBe("home@example.com");
    expect(await email([], { CODEX_HOME: work })).toBe("work@example.com");
    expect(await email(["--auth-file", join(work, "auth.json")])).toBe("work@example.com");
  });
});
