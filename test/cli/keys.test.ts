import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expiryOf } from "../../src/cli/keys/add.ts";
import { CommandHome } from "../support/cli.ts";
import { bearer } from "../support/keys.ts";
import { chatBody, post } from "../support/relay.ts";

let home: CommandHome;
let file: string;
beforeEach(() => {
  home = new CommandHome();
  file = join(home.path, ".local/state/plansocket/keys.json");
});
afterEach(() => home.remove());

test("add shows a key once, list never, revoke ends it", async () => {
  const added = await home.run(["keys", "add", "laptop", "--models", "gpt-5.5, gpt-6-sol", "--expires", "30d"]);
  expect([added.code, added.out.replace(/[\w-]{43}\n$/, "…")]).toEqual([0, "plsk_…"]);
  expect(added.err).toContain("shown only now");
  expect(added.err).toContain("asks every client for a key");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const more = ["--tokens-per-day", "2000000", "--share-of-window", "20%", "--requests-at-once", "2", "--json"];
  const second = await home.run(["keys", "add", "ci", ...more]);
  expect(JSON.parse(second.out)).toMatchObject({
    name: "ci",
    key: expect.stringMatching(/^plsk_/),
    expires_at: null,
    limits: { tokens_per_day: 2_000_000, share_of_window_percent: 20, requests_at_once: 2 },
  });
  expect(second.err).not.toContain("every client");

  expect((await home.run(["keys", "revoke", "laptop"])).code).toBe(0);
  const listed = await home.run(["keys", "list"]);
  expect(listed.out).toMatch(/^NAME +STATE +CREATED/);
  expect(listed.out).toMatch(/\nlaptop +revoked .*gpt-5\.5, gpt-6-sol only\n/);
  expect(listed.out).toMatch(
    /\nci +usable .*never +0 req, 0 tokens +2,000,000 tokens a day; 20 % of each window; 2 at once\n/,
  );
  const json = (await home.run(["keys", "list", "--json"])).out;
  expect((JSON.parse(json) as { name: string; state: string }[]).map(({ name, state }) => [name, state])).toEqual([
    ["laptop", "revoked"],
    ["ci", "usable"],
  ]);
  expect(listed.out + json + readFileSync(file, "utf8")).not.toContain(added.out.trim());
});

test("no keys are told, and a list without any is not taken for none", async () => {
  expect((await home.run(["keys", "list"])).err).toContain("only where --api-key is set");
  expect((await home.run(["keys", "list", "--json"])).out).toBe("[]\n");
  await home.run(["keys", "add", "a"]);
  writeFileSync(file, '{"version":1,"keys":[]}');
  expect((await home.run(["keys", "list"])).err).toContain("let in the key of --api-key alone");
});

describe("wrong usage", () => {
  test.each([
    [["keys"], "add NAME, list or revoke NAME"],
    [["keys", "ad"], "Did you mean 'keys add'?"],
    [["keys", "add"], "Which key?"],
    [["keys", "add", "a", "b"], "Unexpected argument 'b'"],
    [["keys", "add", "owner"], "--api-key"],
    [["keys", "add", "a", "--tokens-per-day", "1.5"], "whole number above 0"],
    [["keys", "add", "a", "--tokens-per-day", "0"], "above 0"],
    [["keys", "add", "a", "--share-of-window", "101"], "at most 100"],
    [["keys", "add", "a", "--models", "x,,y"], "list of models"],
    [["keys", "add", "a", "--expires", "yesterday"], "as in 12h, 30d or 8w"],
    [["keys", "add", "a", "--expires", "2020-01-01"], "a day to come"],
    [["keys", "revoke", "a", "--tokens-per-day", "5"], "no meaning for 'keys revoke'"],
    [["keys", "list", "a"], "plansocket keys list"],
  ])("%j", async (args, words) => {
    const { code, err } = await home.run(args);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });

  test("what is not there cannot be revoked", async () => {
    const { code, err } = await home.run(["keys", "revoke", "a"]);
    expect([code, err]).toEqual([
      1,
      "plansocket: There is no key with the name 'a'.\n  `plansocket keys add NAME` makes one.\n",
    ]);
  });
});

test("a key ends after its time, or with its day", () => {
  const nowMs = new Date(2027, 0, 30, 12).getTime();
  expect(expiryOf("36h", nowMs)).toBe(nowMs + 36 * 3_600_000);
  expect(expiryOf("2w", nowMs)).toBe(nowMs + 14 * 86_400_000);
  expect(expiryOf("2027-01-31", nowMs)).toBe(new Date(2027, 1, 1).getTime());
  for (const bad of ["0d", "5", "5y", "2027-02-31", "99999w", "-1d"])
    expect(() => expiryOf(bad, nowMs)).toThrow("Bad value");
});

describe("a relay that runs", () => {
  test("takes keys over without a restart, and a broken file lets nobody in", async () => {
    const relay = home.start(["demo", "--port", "0", "--log-format", "json"]);
    try {
      const [, url = ""] = await relay.says(/listens on (http:\S+):/);
      const status = async (headers: Record<string, string> = {}) =>
        (await post(`${url}/v1/chat/completions`, chatBody(), headers)).status;
      expect(await status()).toBe(200);
      const key = (await home.run(["keys", "add", "laptop"])).out.trim();
      expect([await status(), await status(bearer(key)), await status({ "x-api-key": key })]).toEqual([401, 200, 200]);
      expect((await fetch(`${url}/health`)).status).toBe(200);
      await home.run(["keys", "revoke", "laptop"]);
      const refused = await post(`${url}/v1/chat/completions`, chatBody(), bearer(key));
      expect(refused.status).toBe(401);
      expect(await refused.json()).toMatchObject({
        error: { message: expect.stringContaining("'laptop' was revoked") },
      });
      expect(await status()).toBe(401);
    } finally {
      relay.kill();
      await relay.ended;
    }
    writeFileSync(file, "{");
    const broken = home.start(["demo", "--port", "0", "--log-format", "json"]);
    try {
      const [, url = ""] = await broken.says(/listens on (http:\S+):/);
      expect(broken.said()).toContain("line 1, column 2");
      await broken.says(/required \(`plansocket keys list`/);
      expect((await post(`${url}/v1/chat/completions`, chatBody())).status).toBe(401);
      const reply = await post(`${url}/v1/chat/completions`, chatBody(), bearer("plsk_x"));
      expect(reply.status).toBe(503);
      expect(await reply.json()).toMatchObject({ error: { code: "keys_unreadable" } });
    } finally {
      broken.kill();
      await broken.ended;
    }
  });

  test("keeps what keys used over a kill, once a second has passed", async () => {
    const key = (await home.run(["keys", "add", "ci", "--tokens-per-day", "1"])).out.trim();
    const listed = async () =>
      JSON.parse((await home.run(["keys", "list", "--json"])).out) as { today: { requests: number; tokens: number } }[];
    const relay = home.start(["demo", "--port", "0"]);
    const [, url = ""] = await relay.says(/listens on (http:\S+):/);
    const reply = await post(`${url}/v1/chat/completions`, chatBody(), bearer(key));
    expect(reply.status).toBe(200);
    await reply.text();
    const deadline = performance.now() + 10_000;
    while ((await listed())[0]?.today.requests !== 1 && performance.now() < deadline);
    relay.kill("SIGKILL");
    await relay.ended;
    expect((await listed())[0]?.today.tokens).toBeGreaterThan(1);
    const again = home.start(["demo", "--port", "0"]);
    const [, next = ""] = await again.says(/listens on (http:\S+):/);
    expect((await post(`${next}/v1/chat/completions`, chatBody(), bearer(key))).status).toBe(429);
    again.kill();
    await again.ended;
  });

  test("off loopback is guarded by a key of a client too", async () => {
    await home.run(["keys", "add", "laptop"]);
    const relay = home.start(["demo", "--host", "0.0.0.0", "--port", "0"]);
    await relay.says(/listens on/);
    relay.kill();
    await relay.ended;
    await home.run(["keys", "revoke", "laptop"]);
    const refused = await home.run(["demo", "--host", "0.0.0.0", "--port", "0"]);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("keys add NAME")]);
  });
});
