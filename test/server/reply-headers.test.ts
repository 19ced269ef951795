import { afterAll, beforeAll, expect, test } from "bun:test";
import { fixedCredentials, post, startTestRelay, type TestRelay } from "../support/relay.ts";

let publicApi: ReturnType<typeof Bun.serve>;
let relay: TestRelay;
beforeAll(() => {
  const page = "<!doctype html><script>alert(1)</script>";
  publicApi = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(page, { status: 502, headers: { "content-type": "text/html; charset=utf-8" } }),
  });
  const openaiBaseUrl = `${publicApi.url.origin}/v1`;
  const credentials = fixedCredentials({ kind: "api-key" });
  relay = startTestRelay({ baseUrl: publicApi.url.origin, credentials, upstream: { openaiBaseUrl } });
});
afterAll(async () => {
  await relay.stop();
  await publicApi.stop(true);
});

test.each([
  ["GET", "/health", 200],
  ["GET", "/metrics", 200],
  ["GET", "/nowhere", 404],
  ["OPTIONS", "/v1/models", 204],
  ["POST", "/api/chat", 501],
  ["POST", "/v1/chat/completions", 502],
])("%s %s tells browsers not to guess its content type, and has a request id", async (method, path, status) => {
  const reply = await fetch(relay.url + path, { method, ...(method === "POST" ? { body: "{}" } : {}) });
  expect(reply.status).toBe(status);
  expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
  expect(reply.headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
});

test("an HTML page that an API-key login brings back is served as text, never as a page of the relay's", async () => {
  const reply = await post(`${relay.url}/v1/chat/completions`, {});
  expect(reply.status).toBe(502);
  expect(reply.headers.get("content-type")).toBe("text/plain; charset=utf-8");
});
