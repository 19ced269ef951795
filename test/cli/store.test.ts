import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "../support/cli.ts";
import { expectAnswer, loginByDevice } from "../support/device-login.ts";
import { startStoreServer, STORE_PROGRAM, type StoreServer } from "../support/store-server.ts";

let backend: StandIn;
let home: CommandHome;
let store: StoreServer;

function newHome(more: Record<string, string> = {}): CommandHome {
  return new CommandHome({
    PLANSOCKET_ISSUER: backend.issuer,
    PLANSOCKET_BASE_URL: backend.baseUrl,
    CODEX_REVOKE_TOKEN_URL_OVERRIDE: backend.revokeUrl,
    ...more,
  });
}

test("a store without its key is refused, with what to do", async () => {
  backend = startStandIn();
  home = newHome({ PLANSOCKET_STORE: "redis://:hush@127.0.0.1:1" });
  const { code, err } = await home.run(["whoami"]);
  expect([code, err]).toEqual([2, expect.stringContaining("openssl rand -base64 32")]);
  expect(err).not.toContain("hush");
  home.remove();
  await backend.stop();
});

describe.skipIf(STORE_PROGRAM === undefined)("--store (needs redis-server or valkey-server)", () => {
  beforeAll(async () => {
    store = await startStoreServer({ args: ["--requirepass", "hush"], login: ":hush@", isDurable: true });
  });
  afterAll(() => store[Symbol.asyncDispose]());
  beforeEach(() => {
    backend = startStandIn();
    home = newHome({
      PLANSOCKET_STORE: `redis://:hush@127.0.0.1:${store.port}`,
      PLANSOCKET_STORE_KEY: "5".repeat(64),
      PLANSOCKET_STORE_PREFIX: `t${crypto.randomUUID()}`,
    });
  });
  afterEach(async () => {
    home.remove();
    await backend.stop();
  });

  test("login, a relay, whoami and doctor use the store's login; logout ends it; no file is written", async () => {
    await loginByDevice(home, backend.issuer);
    expect(existsSync(join(home.path, ".codex"))).toBe(false);
    await expectAnswer(home, []);
    const who = await home.run(["whoami"]);
    expect([who.code, who.out + who.err]).toEqual([0, expect.stringContaining("dev@example.com")]);
    const doctor = await home.run(["doctor"]);
    expect(doctor.out + doctor.err).toContain("kept in the store, encrypted");
    const out = await home.run(["logout", "--yes"]);
    expect([out.code, out.err]).toEqual([
      0,
      expect.stringContaining("the login is taken out of the store and the login ended"),
    ]);
    expect((await home.run(["whoami"])).code).toBe(1);
  });

  test("a running relay says degraded while the store is away, answers, and is ready once it is back", async () => {
    await loginByDevice(home, backend.issuer);
    const serve = home.start(["serve", "--port", "0"]);
    const [, url] = await serve.says(/listens on (\S+)/);
    const ready = async () => {
      const reply = await fetch(`${url}/ready`);
      return (await reply.json()) as { status: string };
    };
    expect((await ready()).status).toBe("ready");
    await store.kill();
    const away = { status: "degraded", mode: "chatgpt", reason: expect.stringContaining("store is away") };
    while ((await ready()).status !== "degraded") await Bun.sleep(20);
    const reply = await fetch(`${url}/ready`);
    expect([reply.status, await reply.json()]).toEqual([200, away]);
    const body = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] });
    expect((await fetch(`${url}/v1/chat/completions`, { method: "POST", body })).status).toBe(200);
    await store.start();
    while ((await ready()).status !== "ready") await Bun.sleep(20);
    serve.kill("SIGTERM");
    const { out, err } = await serve.ended;
    expect(out + err).toContain("The store is away");
    expect(out + err).toContain("The store is back");
    expect(out + err).not.toContain("hush");
  });
});
