import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { report } from "./report.ts";

const KEY = "correct-horse-battery-staple";
const PAGE = "https://page.example";

let demo: DemoRelay;
/** A server that nobody has a reason to call. */
let canary: { readonly url: string; readonly port: number; readonly calls: string[]; stop(): void };

beforeAll(() => {
  demo = startDemoRelay({ relay: { apiKey: KEY, corsOrigins: [PAGE] } });
  const calls: string[] = [];
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: () => void calls.push("connected"),
      data: (socket, bytes) => {
        calls.push(bytes.toString());
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      },
    },
  });
  canary = { url: `http://127.0.0.1:${server.port}`, port: server.port, calls, stop: () => server.stop(true) };
});
afterAll(async () => {
  canary.stop();
  await demo.stop();
});

/** What the relay answers to these bytes: all that it announces, or all until it closes. */
function exchange(lines: readonly string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = connect(demo.relay.port, "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    const body = text.indexOf("\r\n\r\n") + 4;
    if (body >= 4 && text.length >= body + Number(headerOf(text, "content-length") ?? "0")) socket.destroy();
  });
  socket.on("error", () => resolve(text));
  socket.on("close", () => resolve(text));
  return promise;
}

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
const headerOf = (text: string, name: string) => new RegExp(`^${name}: *(.*)$`, "im").exec(text)?.[1]?.trim();

describe("addresses that callers name are never called", () => {
  const targets = () => [
    `${canary.url}/a.png`,
    `${canary.url.replace("127.0.0.1", "localhost")}/b.png`,
    `${canary.url.replace("127.0.0.1", "2130706433")}/c.png`,
    `${canary.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")}/d.png`,
    `http://user:pass@127.0.0.1:${canary.port}/e.png`,
    "file:///etc/passwd",
    "gopher://127.0.0.1/_x",
  ];
  const requests = (url: string): [string, object][] => [
    ["/v1/chat/completions", { messages: [user([{ type: "image_url", image_url: { url } }])] }],
    ["/v1/chat/completions", { messages: [user([{ type: "file", file: { file_data: url } }])] }],
    ["/v1/responses", { input: [user([{ type: "input_image", image_url: url }])] }],
    ["/v1/responses", { input: [user([{ type: "input_file", file_url: url }])] }],
    ["/v1/responses", { input: "hi", tools: [{ type: "mcp", server_label: "x", server_url: url }] }],
    ["/v1/messages", { max_tokens: 9, messages: [user([{ type: "image", source: { type: "url", url } }])] }],
    ["/v1/messages", { max_tokens: 9, messages: [user([{ type: "document", source: { type: "url", url } }])] }],
    ["/v1/messages/count_tokens", { messages: [user([{ type: "image", source: { type: "url", url } }])] }],
    ["/api/chat", { messages: [{ role: "user", content: "hi", images: [url] }] }],
    ["/v1/images/edits", { prompt: "hi", image: url, images: [{ image_url: url }] }],
  ];
  const user = (content: unknown) => ({ role: "user", content });

  test("in images, files, documents and tools", async () => {
    let tried = 0;
    for (const url of targets()) {
      for (const [path, body] of requests(url)) {
        tried += 1;
        const reply = await fetch(demo.relay.url + path, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${KEY}` },
          body: JSON.stringify({ model: "gpt-5.5", ...body }),
        });
        // Passed on for the backend to read, or refused.
        expect([200, 400, 404]).toContain(reply.status);
        expect(await reply.text()).not.toContain("root:");
      }
    }
    expect(canary.calls).toEqual([]);
    report("attack", "addresses inside requests", tried);
  });

  test("in Host, in the request line, and in what proxies add", async () => {
    const authority = `127.0.0.1:${canary.port}`;
    const key = `Authorization: Bearer ${KEY}`;
    const attempts: string[][] = [
      [`GET /v1/models HTTP/1.1`, `Host: ${authority}`, key],
      [`GET http://${authority}/v1/models HTTP/1.1`, "Host: 127.0.0.1", key],
      [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`, key],
      ["GET /v1/models HTTP/1.1", "Host: 127.0.0.1", `X-Forwarded-Host: ${authority}`, key],
      ["GET /v1/models HTTP/1.1", "Host: 127.0.0.1", `Forwarded: host="${authority}"`, key],
      ["GET /v1/models HTTP/1.1", "Host: 127.0.0.1", `X-Original-URL: ${canary.url}/x`, key],
      [`GET //${authority}/v1/models HTTP/1.1`, "Host: 127.0.0.1", key],
      [`GET /@${authority}/v1/models HTTP/1.1`, "Host: 127.0.0.1", key],
      ["GET /v1/models HTTP/1.1", `Host: 127.0.0.1@${authority}`, key],
      ["GET /v1/models HTTP/1.1", `Host: localhost:${canary.port}#127.0.0.1`, key],
    ];
    for (const lines of attempts) expect(statusOf(await exchange(lines))).toBeLessThan(500);
    expect(canary.calls).toEqual([]);
    report("attack", "addresses around requests", attempts.length);
  });
});

describe("pages on the public network that ask for a private one", () => {
  const preflight = (origin: string, path = "/v1/chat/completions") =>
    exchange([
      `OPTIONS ${path} HTTP/1.1`,
      "Host: 127.0.0.1",
      `Origin: ${origin}`,
      "Access-Control-Request-Method: POST",
      "Access-Control-Request-Headers: content-type",
      "Access-Control-Request-Private-Network: true",
    ]);

  test.each([["https://other.example"], ["null"], ["http://page.example"], [`${PAGE}.evil.example`], ["file://"]])(
    "%s is told nothing",
    async (origin) => {
      for (const path of ["/v1/chat/completions", "/v1/models", "/health", "/metrics", "/unheard-of"]) {
        const text = await preflight(origin, path);
        expect(statusOf(text)).toBe(403);
        expect(text).not.toMatch(/^access-control-/im);
      }
    },
  );

  test("a page that the owner allowed is let in, by its own name only", async () => {
    const text = await preflight(PAGE);
    expect(statusOf(text)).toBe(204);
    expect(headerOf(text, "access-control-allow-private-network")).toBe("true");
    expect(headerOf(text, "access-control-allow-origin")).toBe(PAGE);
    expect(headerOf(text, "access-control-allow-credentials")).toBeUndefined();
    expect(headerOf(text, "vary")).toMatch(/origin/i);
  });
});

describe("a WebSocket", () => {
  const handshake = (over: readonly string[], host = "127.0.0.1") =>
    exchange([
      "GET /v1/responses HTTP/1.1",
      `Host: ${host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ...over,
    ]);
  const key = `Authorization: Bearer ${KEY}`;

  test.each<[string, readonly string[], string]>([
    ["of a page elsewhere", [key, "Origin: https://other.example"], "127.0.0.1"],
    ["of a page without a name", [key, "Origin: null"], "127.0.0.1"],
    ["that a browser calls cross-site", [key, "Sec-Fetch-Site: cross-site"], "127.0.0.1"],
    ["to a name that was rebound", [key, "Origin: http://page.example"], "page.example"],
    ["without a key", [], "127.0.0.1"],
    ["with a wrong key", [`Authorization: Bearer ${KEY}x`], "127.0.0.1"],
    // Browsers can put a key nowhere else; it would stand in logs and histories.
    ["with the key in its protocol", [`Sec-WebSocket-Protocol: openai-insecure-api-key.${KEY}`], "127.0.0.1"],
  ])("%s is not opened", async (_case, lines, host) => {
    const text = await handshake(lines, host);
    expect([401, 403]).toContain(statusOf(text));
    expect(text).not.toMatch(/^upgrade: websocket/im);
    expect(text).not.toContain(KEY);
  });
});

test("without a key nobody learns which paths exist", async () => {
  const paths = ["/v1/models", "/v1/models/gpt-5.5", "/v1/responses/resp_1", "/v1/unheard-of", "/nothing", "/v1/files"];
  const answers = await Promise.all(
    paths.flatMap((path) =>
      ["GET", "POST", "DELETE", "PUT"].map(async (method) => {
        const reply = await fetch(demo.relay.url + path, { method, headers: { authorization: "Bearer wrong" } });
        return `${reply.status} ${await reply.text()}`;
      }),
    ),
  );
  expect(new Set(answers).size).toBe(1);
  expect(answers[0]).toStartWith("401");
});
