import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandHome } from "../support/cli.ts";
import { fakeCodex, says, type FakeCodex } from "../support/fake-codex.ts";
import { chatBody, post } from "../support/relay.ts";
import { jwt, startTokenServer, type TokenServer } from "../support/token-server.ts";

let home: CommandHome;
let backend: FakeCodex;
let service: TokenServer;
beforeEach(() => {
  home = new CommandHome();
  backend = fakeCodex(says("ok"));
  service = startTokenServer("rt_0");
  mkdirSync(join(home.path, ".codex"));
  login(jwt({ exp: 4_000_000_000 }));
});
afterEach(async () => {
  await backend.stop();
  await service.stop();
  home.remove();
});

const authFile = () => join(home.path, ".codex/auth.json");

function login(accessToken: string): void {
  const tokens = { id_token: jwt({}), access_token: accessToken, refresh_token: "rt_0" };
  writeFileSync(authFile(), JSON.stringify({ auth_mode: "chatgpt", tokens }), { mode: 0o600 });
}

test.each([
  ["one signal", 1],
  ["two signals, one after another", 2],
])(
  "%s while the refresh token is being spent: what it gave is saved",
  async (_how, signals) => {
    const arrived = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    service.script.push(async () => {
      arrived.resolve();
      await answer.promise;
      return Response.json({ access_token: jwt({ exp: 4_000_000_000 }), refresh_token: "rt_next" });
    });
    const serve = home.start(["serve", "--port", "0"], {
      PLANSOCKET_BASE_URL: backend.baseUrl,
      CODEX_REFRESH_TOKEN_URL_OVERRIDE: service.url,
      PLANSOCKET_LOG_LEVEL: "debug",
    });
    const [, url] = await serve.says(/listens on (\S+)/);
    await serve.says(/models {4}gpt/);
    login(jwt({ exp: 1_000_000_000 }));
    const client = new AbortController();
    // Nobody waits for an answer any more: only the renewal itself is under way.
    const asking = post(`${url}/v1/chat/completions`, chatBody(), {}, client.signal).catch(() => {});
    await arrived.promise;
    client.abort();
    await asking;
    for (let sent = 0; sent < signals; sent += 1) {
      serve.kill("SIGTERM");
      // Signals that come together are heard as one; and a process that does not wait has ended after this.
      await Bun.sleep(500);
    }
    answer.resolve();
    expect((await serve.ended).code).toBe(0);
    expect(readFileSync(authFile(), "utf8")).toContain("rt_next");
  },
  60_000,
);

test.each([
  ["usage", ["usage"], "SIGINT", 130],
  ["usage --watch", ["usage", "--watch"], "SIGHUP", 129],
  ["models", ["models", "--json"], "SIGTERM", 143],
  ["run", ["run", "--", "true"], "SIGINT", 130],
] as const)(
  "%s that is stopped while it spends the refresh token saves what it gave, and ends",
  async (_name, command, signal, code) => {
    const arrived = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    service.script.push(async () => {
      arrived.resolve();
      await answer.promise;
      return Response.json({ access_token: jwt({ exp: 4_000_000_000 }), refresh_token: "rt_next" });
    });
    login(jwt({ exp: 1_000_000_000 }));
    const running = home.start(command, {
      PLANSOCKET_BASE_URL: backend.baseUrl,
      CODEX_REFRESH_TOKEN_URL_OVERRIDE: service.url,
    });
    await arrived.promise;
    running.kill(signal);
    await Promise.race([running.says(/as soon as the renewed login is saved/), running.ended]);
    running.kill(signal);
    answer.resolve();
    expect((await running.ended).code).toBe(code);
    expect(readFileSync(authFile(), "utf8")).toContain("rt_next");
    expect(readdirSync(join(home.path, ".codex"))).toEqual(["auth.json"]);
  },
  60_000,
);
