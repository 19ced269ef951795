import { expect, test } from "bun:test";
import { createEgress, takeOverProxyEnvironment } from "../../src/upstream/egress.ts";

const proxy = "http://user:secret@proxy.test:3128";

test.each([
  ["https://chatgpt.com/x", "", "http://proxy.test:3128"],
  ["https://chatgpt.com/x", "chatgpt.com", undefined],
  ["https://api.chatgpt.com/x", ".chatgpt.com", undefined],
  ["https://api.chatgpt.com/x", "chatgpt.com", undefined],
  ["https://notchatgpt.com/x", "chatgpt.com", "http://proxy.test:3128"],
  ["https://chatgpt.com/x", "chatgpt.com:8443", "http://proxy.test:3128"],
  ["https://chatgpt.com:8443/x", "chatgpt.com:8443", undefined],
  ["https://chatgpt.com/x", "*", undefined],
  ["http://127.0.0.1:9/x", "", undefined],
  ["http://localhost:9/x", "", undefined],
  ["http://[::1]:9/x", "", undefined],
])("%s with NO_PROXY=%s", (url, noProxy, expected) => {
  expect(createEgress({ proxy, noProxy }).proxyFor(url)).toBe(expected);
});

test("without a proxy everything goes out directly", () => {
  expect(createEgress({ proxy: undefined, noProxy: "" }).proxyFor("https://chatgpt.com")).toBeUndefined();
});

test("proxy variables are taken away from Bun's own fetch", () => {
  const environment: Record<string, string | undefined> = {
    HTTPS_PROXY: "x",
    all_proxy: "y",
    NO_PROXY: "z",
    PATH: "p",
  };
  takeOverProxyEnvironment(environment);
  expect(environment).toEqual({ PATH: "p" });
});

test("an outbound proxy is asked for remote hosts only", async () => {
  const asked: string[] = [];
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => (asked.push(request.url), new Response("direct")),
  });
  const egress = createEgress({ proxy: `http://127.0.0.1:${server.port}`, noProxy: "" });
  await egress.fetch("http://backend.test/through");
  await (await egress.fetch(`http://127.0.0.1:${server.port}/straight`)).text();
  expect(asked[0]).toContain("backend.test/through");
  expect(asked[1]).toContain("/straight");
});

test("a redirect is an answer, not a way to follow", async () => {
  const asked: string[] = [];
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      asked.push(new URL(request.url).pathname);
      return new Response(null, { status: 307, headers: { location: "/elsewhere" } });
    },
  });
  const { fetch: send } = createEgress({ proxy: undefined, noProxy: "" });
  const reply = await send(`http://127.0.0.1:${server.port}/token`, { method: "POST", body: "secret" });
  expect([reply.status, reply.headers.get("location")]).toEqual([307, "/elsewhere"]);
  expect(asked).toEqual(["/token"]);
});
