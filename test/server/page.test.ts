import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leaveOpenCode, takeOpenCode } from "../../src/keys/open-code.ts";
import type { PageState, RequestView } from "../../src/page/contract.ts";
import { RequestRecord } from "../../src/server/record.ts";
import { RequestFeed } from "../../src/server/page/feed.ts";
import { PageSessions } from "../../src/server/page/sessions.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { post, type TestRelayOptions } from "../support/relay.ts";

let demo: DemoRelay | undefined;
afterEach(async () => {
  await demo?.stop();
  demo = undefined;
});

const KEY = "the-owners-own-key";
const withKey = { relay: { apiKey: KEY } } as const;

function start(over: Partial<TestRelayOptions> = {}): string {
  demo = startDemoRelay(over);
  return demo.relay.url;
}

const BROWSER = { accept: "text/html,application/xhtml+xml,*/*;q=0.8", "sec-fetch-site": "none" };

describe("GET /", () => {
  test("is the page for a browser, and for programs what it was", async () => {
    const url = start();
    const page = await fetch(url, { headers: BROWSER });
    expect(page.headers.get("content-type")).toStartWith("text/html");
    expect(await page.text()).toContain("<title>plansocket</title>");
    expect(await (await fetch(url)).json()).toMatchObject({ name: "plansocket", status: "ok" });
    expect(await (await fetch(url, { headers: { "user-agent": "ollama/0.9 Go" } })).text()).toBe("Ollama is running");
  });

  test("everything it is made of comes from the relay, and nothing of it is inline", async () => {
    const url = start();
    const reply = await fetch(url, { headers: BROWSER });
    const policy = reply.headers.get("content-security-policy") ?? "";
    expect(policy).not.toContain("unsafe");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    const html = await reply.text();
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|https?:\/\//i);
    const files = [...html.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path]) => path);
    expect(files).toHaveLength(3);
    for (const path of files) {
      const file = await fetch(`${url}/${path}`);
      expect([file.status, file.headers.get("x-content-type-options")]).toEqual([200, "nosniff"]);
      expect(file.headers.get("content-security-policy")).toBe(policy);
      const text = await file.text();
      expect(text).not.toMatch(/https?:\/\/(?!www\.w3\.org\/)/);
      const again = await fetch(`${url}/${path}`, { headers: { "if-none-match": file.headers.get("etag") ?? "" } });
      expect(again.status).toBe(304);
    }
  });
});

describe("what the page shows", () => {
  test("is login, plan with pace, and models, and no token of the login", async () => {
    const url = start();
    await post(`${url}/v1/chat/completions`, {
      model: "gpt-5.5",
      messages: [{ role: "user", content: "secret words" }],
    });
    const text = await (await fetch(`${url}/page/state`)).text();
    const state = JSON.parse(text) as PageState;
    expect(state.login).toMatchObject({ isGood: true, kind: "chatgpt", plan: "pro" });
    expect(state.plan?.windows[0]).toMatchObject({ name: "5 hours", usedPercent: 12 });
    expect(state.plan?.windows[0]?.pace?.percentAtReset).toBeGreaterThan(12);
    expect(state.models.map(({ id }) => id)).toContain("gpt-5.5");
    expect(state.counts.requests).toBe(1);
    expect(text).not.toContain("secret words");
    expect(text).not.toContain((await demo?.relay.upstream.credentials())?.accessToken ?? "none");
  });

  test("is the fix when nobody is signed in", async () => {
    const { RelayError } = await import("../../src/lib/errors.ts");
    const nobody = () => Promise.reject(new RelayError("codex_auth_required", "No login.", { hint: "Sign in." }));
    const url = start({ credentials: { current: nobody, recover: nobody } });
    const state = (await (await fetch(`${url}/page/state`)).json()) as PageState;
    expect(state.login).toEqual({ isGood: false, message: "No login.", fix: "Sign in." });
    expect(state.models.length).toBeGreaterThan(0);
  });

  test("asks how full the plan is once, however often it is looked at", async () => {
    const url = start();
    for (let look = 0; look < 5; look += 1) await (await fetch(`${url}/page/state`)).text();
    expect(demo?.backend.requests.filter(({ path }) => path.endsWith("/usage"))).toHaveLength(1);
  });
});

/** Reads server-sent events of the page until `count` have come. */
async function events(url: string, count: number, headers: Record<string, string> = {}) {
  const controller = new AbortController();
  const reply = await fetch(`${url}/page/live`, { headers, signal: controller.signal });
  const found: { name: string; data: unknown }[] = [];
  const decoder = new TextDecoder();
  let text = "";
  const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
  const next = async () => {
    while (found.length < count) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const [, name = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? [];
        if (name !== "") found.push({ name, data: JSON.parse(data) });
      }
    }
    return found;
  };
  return { next, stop: () => controller.abort() };
}

describe("live requests", () => {
  test("come as they end, with what is needed to understand them and nothing of what was said", async () => {
    const url = start();
    const live = await events(url, 3);
    const ask = (content: string, model = "gpt-5.5-high") =>
      post(
        `${url}/v1/chat/completions`,
        { model, temperature: 1, messages: [{ role: "user", content }] },
        { "user-agent": "OpenAI/Python 2.4.0" },
      ).then((reply) => reply.text());
    await ask("my secret question");
    await ask("fault:usage_limit");
    const [first, answered, refused] = (await live.next()) as { name: string; data: RequestView }[];
    live.stop();
    expect(first).toEqual({ name: "requests", data: [] as never });
    expect(answered?.data).toMatchObject({
      route: "/v1/chat/completions",
      client: "OpenAI/Python",
      asked: "gpt-5.5-high",
      model: "gpt-5.5",
      effort: "high",
      status: 200,
      adjusted: ["temperature"],
    });
    expect(answered?.data.tokens?.input).toBeGreaterThan(0);
    expect(refused?.data).toMatchObject({ status: 429, code: "usage_limit_reached" });
    expect(JSON.stringify([answered, refused])).not.toContain("secret");
  });

  test("a page that reads nothing holds a bounded backlog, and then gets the last requests anew", async () => {
    const feed = new RequestFeed();
    const stream = feed.open();
    const start = {
      id: "x",
      method: "POST",
      path: "/x",
      route: "/x",
      dialect: "chat",
      client: "c",
      isProbe: false,
      isSecure: false,
      headers: new Headers(),
      keepsText: false,
    };
    for (let index = 0; index < 1000; index += 1) {
      const record = new RequestRecord(
        { ...start, id: `r${index}` },
        () => 0,
        () => {},
      );
      feed.add(record, index);
    }
    const text = (await stream.next()) ?? "";
    expect(text.split("\n\n").length).toBeLessThan(110);
    const [firstFrame = ""] = text.split("\n\n");
    expect(firstFrame).toStartWith("event: requests\n");
    expect(text).toContain('"id":"r999"');
    stream.cancel();
    expect(await stream.next()).toBeUndefined();
    expect(feed.openStreams).toBe(0);
  });

  test("seventeen pages are one too many, and a page that goes makes room", async () => {
    const url = start();
    const open = await Promise.all(Array.from({ length: 16 }, () => events(url, 1)));
    await Promise.all(open.map(({ next }) => next()));
    const refused = await fetch(`${url}/page/live`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "30"]);
    for (const { stop } of open) stop();
    let status = 503;
    for (let round = 0; round < 400 && status === 503; round += 1) {
      const again = await fetch(`${url}/page/live`);
      ({ status } = again);
      await again.body?.cancel();
    }
    expect(status).toBe(200);
  });

  test("an open page does not hold up the relay's end", async () => {
    const url = start();
    const live = await events(url, 1);
    await live.next();
    expect(await demo?.relay.drain(20_000)).toBe(true);
    await live.next();
  });
});

describe("where a key is needed", () => {
  const guarded = [
    ["GET", "/page/state"],
    ["GET", "/page/live"],
    ["POST", "/page/try"],
    ["POST", "/page/code"],
  ] as const;

  test.each(guarded)("%s %s needs it", async (method, path) => {
    const url = start(withKey);
    const body = method === "POST" ? { body: "{}", headers: { "content-type": "application/json" } } : {};
    const refused = await fetch(url + path, { method, ...body });
    expect(refused.status).toBe(401);
    expect(await refused.text()).toContain("plansocket open");
    const headers = { ...body.headers, authorization: `Bearer ${KEY}` };
    const reply = await fetch(url + path, { method, ...body, headers });
    expect(reply.status).not.toBe(401);
    await reply.body?.cancel();
  });

  test("the page's files are for anybody who may knock", async () => {
    const url = start(withKey);
    for (const path of ["/", "/page/app.js", "/page/style.css", "/page/icon.svg"]) {
      expect((await fetch(url + path, { headers: BROWSER })).status).toBe(200);
    }
  });

  const session = async (url: string, key: string) =>
    fetch(`${url}/page/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key }),
    });

  test("the key opens a session that scripts cannot read and other sites cannot send", async () => {
    const url = start(withKey);
    const reply = await session(url, ` ${KEY} `);
    expect(reply.status).toBe(204);
    const [pair = "", ...attributes] = (reply.headers.get("set-cookie") ?? "").split("; ");
    expect(attributes).toEqual(["Path=/page", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]);
    expect(pair).not.toContain(KEY);
    const asked = await fetch(`${url}/page/state`, { headers: { cookie: `a=b; ${pair}` } });
    expect(asked.status).toBe(200);
    // It is for the page alone: the APIs want the key.
    expect((await fetch(`${url}/v1/models`, { headers: { cookie: pair } })).status).toBe(401);
    // Another name of this machine is another page.
    const elsewhere = url.replace("127.0.0.1", "localhost");
    expect((await fetch(`${elsewhere}/page/state`, { headers: { cookie: pair } })).status).toBe(401);
  });

  test("a wrong key opens none", async () => {
    const url = start(withKey);
    for (const key of ["", "wrong", `${KEY}x`, KEY.slice(1)]) {
      const reply = await session(url, key);
      expect([reply.status, reply.headers.get("set-cookie")]).toEqual([401, null]);
    }
    const odd = await post(`${url}/page/session`, { key: { a: 1 } });
    expect(odd.status).toBe(401);
  });

  test("a changed key ends all sessions", async () => {
    const url = start(withKey);
    const cookie = ((await session(url, KEY)).headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const options = {
      host: "127.0.0.1",
      port: 0,
      allowHosts: [],
      corsOrigins: [],
      strict: false,
      reasoning: "both" as const,
    };
    demo?.relay.reconfigure({
      ...options,
      apiKey: "another",
      instructions: "",
      modelAliases: {},
      maxBodyBytes: 1024,
      maxRequests: 10,
      keepAliveMs: 1000,
    });
    expect((await fetch(`${url}/page/state`, { headers: { cookie } })).status).toBe(401);
  });

  test("a code of the key's owner opens one session, once", async () => {
    const url = start(withKey);
    const made = await fetch(`${url}/page/code`, { method: "POST", headers: { authorization: `Bearer ${KEY}` } });
    const { code } = (await made.json()) as { code: string };
    const enter = () => fetch(`${url}/page/enter?code=${code}`, { redirect: "manual" });
    const [first, second] = [await enter(), await enter()];
    expect([first.status, first.headers.get("location")]).toEqual([303, "../"]);
    expect(first.headers.get("set-cookie")).toContain("HttpOnly");
    expect([second.status, second.headers.get("set-cookie")]).toEqual([303, null]);
  });

  test("a page of another site gets nothing, with or without a session", async () => {
    const url = start(withKey);
    const cookie = ((await session(url, KEY)).headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    for (const [method, path] of [
      ...guarded,
      ["POST", "/page/session"],
      ["GET", "/page/enter"],
      ["GET", "/"],
    ] as const) {
      for (const headers of [
        { origin: "https://page.example", cookie },
        { "sec-fetch-site": "cross-site", cookie },
        { "sec-fetch-site": "same-site", cookie },
        { host: "page.example", cookie },
      ]) {
        const body = method === "POST" ? { body: "{}" } : {};
        const reply = await fetch(url + path, {
          method,
          headers: { "content-type": "application/json", ...headers },
          ...body,
        });
        expect([path, reply.status]).toEqual([path, 403]);
      }
    }
    expect(demo?.backend.counts.responses).toBe(0);
  });
});

test("sessions and codes end, and there are never more than 64 of either", () => {
  const clock = { ms: 0 };
  const sessions = new PageSessions(() => clock.ms);
  const headers = (cookie: string) => new Headers({ host: "h", cookie: cookie.split(";")[0] ?? "" });
  const open = () => headers(sessions.open("h", { isSecure: true, basePath: "/relay" }));
  expect(sessions.open("h", { isSecure: true, basePath: "/relay" })).toMatch(/; Path=\/relay\/page; .*; Secure$/);
  const first = open();
  expect(sessions.isOpen(first, "h")).toBe(true);
  for (let index = 0; index < 64; index += 1) open();
  expect(sessions.isOpen(first, "h")).toBe(false);
  const last = open();
  clock.ms += 12 * 3_600_000;
  expect(sessions.isOpen(last, "h")).toBe(false);
  const code = sessions.newCode();
  clock.ms += 60_000;
  expect(sessions.redeem(code)).toBe(false);
  expect(sessions.redeem(sessions.newCode())).toBe(true);
});

describe("a code in the state folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-code-"));
  afterEach(() => rmSync(join(folder, "state"), { recursive: true, force: true }));
  const state = join(folder, "state");

  test("opens once and soon, and is kept as a hash in a file of the owner's alone", async () => {
    const code = leaveOpenCode(state, 1000);
    const file = join(state, "open-code.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await Bun.file(file).text()).not.toContain(code);
    expect(takeOpenCode(state, "other", 1000)).toBe(false);
    expect(takeOpenCode(state, code, 1000)).toBe(false);
    const second = leaveOpenCode(state, 1000);
    expect(takeOpenCode(state, second, 61_001)).toBe(false);
    const third = leaveOpenCode(state, 1000);
    expect(takeOpenCode(state, third, 2000)).toBe(true);
    expect(takeOpenCode(state, third, 2000)).toBe(false);
  });

  test("is neither written nor read over a link, and junk opens nothing", () => {
    mkdirSync(state, { recursive: true });
    const target = join(folder, "target");
    writeFileSync(target, "");
    symlinkSync(target, join(state, "open-code.json"));
    expect(() => leaveOpenCode(state)).toThrow("symbolic link");
    rmSync(join(state, "open-code.json"));
    for (const text of ["", "{", "[]", `{"sha256":"","until_ms":9e15}`, "x".repeat(10_000)]) {
      writeFileSync(join(state, "open-code.json"), text);
      expect(takeOpenCode(state, "")).toBe(false);
    }
  });
});

test("the try-it box asks as any client of the Responses API, and is counted and logged like one", async () => {
  const url = start();
  const reply = await post(`${url}/page/try`, { model: "gpt-5.5", input: "hello", stream: true });
  expect(reply.headers.get("content-type")).toStartWith("text/event-stream");
  expect(await reply.text()).toContain("event: response.completed");
  const bad = await post(`${url}/page/try`, { model: "gpt-nobody", input: "hello" });
  expect(bad.status).toBe(404);
  const { counts } = (await (await fetch(`${url}/page/state`)).json()) as PageState;
  expect(counts).toMatchObject({ requests: 2, errors: 1 });
});
