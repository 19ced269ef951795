import { afterEach, describe, expect, test } from "bun:test";
import type { Log } from "../../src/lib/log.ts";
import type { RelayOptions } from "../../src/server/options.ts";
import { ArrivalReader } from "../../src/server/arrival.ts";
import { keepLines } from "../support/log-lines.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { chatBody, post } from "../support/relay.ts";

let demo: DemoRelay;
let isRunning = false;
afterEach(async () => {
  if (isRunning) await demo.stop();
  isRunning = false;
});

const start = (relay: Partial<RelayOptions> = {}, log?: Log): void => {
  demo = startDemoRelay({ relay, ...(log ? { log } : {}) });
  isRunning = true;
};

const read = (headers: Record<string, string>, trusted: readonly string[], peer = "127.0.0.1", basePath = "") =>
  new ArrivalReader(trusted, basePath).read(new Headers({ host: "direct:1", ...headers }), false, () => peer);

describe("what a reverse proxy tells", () => {
  const told = {
    "x-forwarded-host": "evil.example, relay.example",
    "x-forwarded-proto": "http, https",
    "x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.7",
    "x-forwarded-prefix": "/relay/",
  };

  test("is believed from the addresses that were named, its nearest entry alone", () => {
    expect(read(told, ["loopback", "10.0.0.0/8"])).toEqual({
      host: "relay.example",
      isSecure: true,
      basePath: "/relay",
      address: "203.0.113.9",
    });
  });

  test.each([
    ["nobody is trusted", [], "127.0.0.1", undefined],
    ["it comes from elsewhere", ["10.0.0.0/8"], "192.168.1.1", "192.168.1.1"],
    ["it comes from a name that looks like one", ["10.0.0.1"], "10.0.0.10", "10.0.0.10"],
  ])("is nothing when %s", (_, trusted, peer, address) => {
    expect(read(told, trusted, peer)).toEqual({ host: "direct:1", isSecure: false, basePath: "", address });
  });

  test.each([
    ["::ffff:10.1.2.3", "10.0.0.0/8"],
    ["10.1.2.3", "private"],
    ["fd00::1", "private"],
    ["::1", "loopback"],
  ])("from %s is covered by %s", (peer, entry) => {
    expect(read({ "x-forwarded-host": "h" }, [entry], peer).host).toBe("h");
  });

  test("may be in the form of RFC 7239, which comes first", () => {
    const forwarded = 'for=1.1.1.1;host=evil.example, for="[2001:db8::7]:4711";proto=https;host="relay.example:8443"';
    expect(read({ ...told, forwarded }, ["loopback"])).toMatchObject({
      host: "relay.example:8443",
      isSecure: true,
      address: "2001:db8::7",
    });
  });

  test.each(["//evil", "/a b", "javascript:", "/<script>", "/a/../b?x", "relay"])("has no prefix like %s", (prefix) => {
    expect(read({ "x-forwarded-prefix": prefix }, ["loopback"]).basePath).toBe("");
  });
});

describe("a relay behind a reverse proxy", () => {
  const forwarded = { "x-forwarded-host": "relay.example", "x-forwarded-for": "203.0.113.9" };

  test("judges the host that the client asked for, and logs who asked", async () => {
    const log = keepLines();
    start({ trustProxies: ["loopback"], allowHosts: ["relay.example"] }, log);
    expect((await post(`${demo.v1}/chat/completions`, chatBody(), forwarded)).status).toBe(200);
    const refused = await post(`${demo.v1}/chat/completions`, chatBody(), { "x-forwarded-host": "evil.example" });
    expect(refused.status).toBe(403);
    expect(log.requests()[0]).toMatchObject({ address: "203.0.113.9" });
  });

  test.each([{ "x-forwarded-host": "127.0.0.1" }, { forwarded: "host=localhost" }])(
    "is reached by no page that points its own name here and sends %p from the trusted machine",
    async (headers) => {
      start({ trustProxies: ["loopback"] });
      for (const path of ["/v1/models", "/metrics", "/health", "/page/state"]) {
        const reply = await fetch(demo.relay.url + path, { headers: { host: "evil.example", ...headers } });
        expect([path, reply.status]).toEqual([path, 403]);
      }
    },
  );

  test("believes none of it from others: neither a host nor an origin comes in by a header", async () => {
    start({ trustProxies: ["10.0.0.0/8"], allowHosts: ["relay.example"] });
    const headers = { host: "evil.example", ...forwarded };
    expect((await post(`${demo.v1}/chat/completions`, chatBody(), headers)).status).toBe(403);
    const origin = { origin: "http://relay.example", ...forwarded };
    expect((await post(`${demo.v1}/chat/completions`, chatBody(), origin)).status).toBe(403);
  });

  test("takes a page of the proxy's own host for its own", async () => {
    start({ trustProxies: ["loopback"], allowHosts: ["relay.example"] });
    const page = { origin: "https://relay.example", "sec-fetch-site": "same-origin", ...forwarded };
    expect((await post(`${demo.relay.url}/page/try`, { model: "gpt-5.5", input: "hi" }, page)).status).toBe(200);
  });

  test("gives the page's cookie to the proxy's path and host, and only over TLS where that is spoken", async () => {
    start({ apiKey: "k", trustProxies: ["loopback"], allowHosts: ["relay.example"] });
    const told = { ...forwarded, "x-forwarded-proto": "https", "x-forwarded-prefix": "/relay" };
    const reply = await post(`${demo.relay.url}/page/session`, { key: "k" }, told);
    const cookie = reply.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/; Path=\/relay\/page; .*; Secure$/);
    const headers = { cookie: cookie.split(";")[0] ?? "" };
    expect((await fetch(`${demo.relay.url}/page/state`, { headers: { ...told, ...headers } })).status).toBe(200);
    expect((await fetch(`${demo.relay.url}/page/state`, { headers })).status).toBe(401);
  });
});

describe("below a path", () => {
  const below = () => {
    start({ basePath: "/team/relay" });
    return demo.relay.url;
  };

  test("every kind of route answers, streamed and whole", async () => {
    const base = below();
    expect(await (await post(`${base}/v1/chat/completions`, chatBody({ stream: true }))).text()).toContain("[DONE]");
    const made = (await (await post(`${base}/v1/responses`, { model: "gpt-5.5", input: "hi" })).json()) as {
      id: string;
    };
    expect((await fetch(`${base}/v1/responses/${made.id}`)).status).toBe(200);
    expect((await fetch(`${base}/v1/models/gpt-5.5`)).status).toBe(200);
    expect((await post(`${base}/api/chat`, { model: "gpt-5.5", messages: [] })).status).toBe(200);
    expect((await fetch(`${base}/health`)).status).toBe(200);
    expect((await fetch(`${base}/`, { headers: { accept: "text/html" } })).headers.get("content-type")).toStartWith(
      "text/html",
    );
    expect((await fetch(`${base}/page/state`)).status).toBe(200);
    expect((await fetch(`${base}/v1/nothing`)).status).toBe(404);
    expect((await fetch(`${base}/v1/chat/completions`)).status).toBe(405);
  });

  test("a WebSocket is opened too", async () => {
    const socket = new WebSocket(`${below().replace("http", "ws")}/v1/responses`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.addEventListener("open", () =>
      socket.send(JSON.stringify({ type: "response.create", model: "gpt-5.5", input: "hi" })),
    );
    socket.addEventListener("message", ({ data }) => resolve(String(data)));
    socket.addEventListener("error", () => reject(new Error("no socket")));
    expect(await promise).toContain("response.created");
    socket.close();
  });

  test("nothing answers beside it", async () => {
    const { origin, pathname } = new URL(below());
    expect(pathname).toBe("/team/relay");
    for (const path of ["/v1/models", "/health", "/team/relayed/health"]) {
      expect([path, (await fetch(origin + path)).status]).toEqual([path, 404]);
    }
  });
});

describe("an address as host", () => {
  const ask = (host: string) => fetch(`${demo.v1}/models`, { headers: { host, authorization: "Bearer k" } });

  test("is fine where a key is asked for, as no page can point an address elsewhere", async () => {
    start({ apiKey: "k" });
    for (const host of ["192.168.1.5:8787", "[fd00::1]:8787", "10.0.0.1"]) expect((await ask(host)).status).toBe(200);
    for (const host of ["1.2.3.4.example", "nip.io", "192.168.1"]) expect((await ask(host)).status).toBe(403);
  });

  test("is refused as ever where none is", async () => {
    start();
    expect((await ask("192.168.1.5:8787")).status).toBe(403);
  });
});
