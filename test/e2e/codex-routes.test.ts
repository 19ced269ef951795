import { afterAll, beforeAll, expect, test } from "bun:test";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { fixedCredentials, post, startTestRelay } from "../support/relay.ts";

let demo: DemoRelay;
beforeAll(() => {
  demo = startDemoRelay();
});
afterAll(() => demo.stop());

/** As a CLI with a login of its own asks, which the relay's backend does not know. */
const cli = {
  originator: "codex_cli_rs",
  authorization: "Bearer the-callers-own-token",
  "chatgpt-account-id": "the-callers-account",
  cookie: "session=the-callers",
  "session-id": "01a21d69-4bbc-71e0-81e2-5881d75510eb",
};

test.each([
  ["/v1/alpha/search", "/codex/alpha/search"],
  ["/alpha/search", "/codex/alpha/search"],
  ["/backend-api/codex/alpha/search", "/codex/alpha/search"],
  ["/v1/alpha/notes/v2/list_files_by_prefix", "/codex/alpha/notes/v2/list_files_by_prefix"],
  ["/backend-api/codex/alpha/history/v2/list_windows", "/codex/alpha/history/v2/list_windows"],
])("a Codex client's POST %s passes as it is, with the relay's credentials (contract 0.15)", async (path, route) => {
  const reply = await post(`${demo.relay.url}${path}?a=1`, { query: "bun" }, cli);
  expect(reply.status).toBe(200);
  const session = cli["session-id"];
  // The stand-in refuses every token and account but the relay's.
  expect(await reply.json()).toMatchObject({
    path: `/backend-api${route}`,
    query: "?a=1",
    session,
    received: { query: "bun" },
  });
  expect(reply.headers.get("x-request-id")).not.toBe("");
});

test.each(["/backend-api/wham", "/api/codex"])(
  "a Codex client finds limits and account below %s (contract 0.15)",
  async (root) => {
    const usage = await fetch(`${demo.relay.url}${root}/usage`, { headers: cli });
    expect(usage.status).toBe(200);
    expect(await usage.json()).toHaveProperty("rate_limit.primary_window");
    const accounts = await fetch(`${demo.relay.url}${root}/accounts/check`, { headers: cli });
    expect(await accounts.json()).toHaveProperty("default_account_id");
    for (const path of ["profiles/me", "settings/user", "rate-limit-reset-credits"]) {
      const reply = await fetch(`${demo.relay.url}${root}/${path}`, { headers: cli });
      expect(await reply.json()).toMatchObject({ path: `/backend-api/wham/${path}` });
    }
  },
);

test.each([
  ["POST", "/backend-api/wham/rate-limit-reset-credits/consume"],
  ["POST", "/api/codex/rate-limit-reset-credits"],
  ["GET", "/backend-api/wham/tasks/list"],
  ["GET", "/backend-api/me"],
  ["POST", "/backend-api/codex/alpha/other"],
  ["POST", "/v1/alpha/notes/v2/..%2f..%2fsearch"],
])("%s %s is not on the list and never reaches the backend", async (method, path) => {
  const reply = await fetch(demo.relay.url + path, {
    method,
    headers: cli,
    ...(method === "POST" ? { body: "{}" } : {}),
  });
  expect([404, 405]).toContain(reply.status);
});

test("responses, models and images are found where the backend has them", async () => {
  const models = await fetch(`${demo.relay.url}/backend-api/codex/models?client_version=0.171.0`, { headers: cli });
  expect(await models.json()).toHaveProperty("models");
  const answer = await post(`${demo.relay.url}/backend-api/codex/responses`, { model: "gpt-5.5", input: "hello" });
  expect(await answer.json()).toMatchObject({ object: "response", status: "completed" });
  const image = await post(`${demo.relay.url}/backend-api/codex/images/generations`, { prompt: "a cat" });
  expect(await image.json()).toHaveProperty("data");
});

test("telemetry of a Codex client is taken and sent nowhere", async () => {
  const before = demo.backend.refusals.length;
  const reply = await post(`${demo.relay.url}/backend-api/codex/analytics-events/events`, { events: [] }, cli);
  expect(reply.status).toBe(204);
  expect(demo.backend.refusals.length).toBe(before);
});

test("compaction falls back to a response for Codex clients too when the endpoint is gone (openai/codex#38323)", async () => {
  demo.backend.scriptEndpoints({ kind: "http", status: 404, body: { detail: "Not Found" } });
  const body = {
    model: "gpt-5.5",
    instructions: "You help.",
    input: [{ type: "message", role: "user", content: "hello" }],
  };
  const reply = await post(`${demo.v1}/responses/compact`, body, { originator: "codex_cli_rs" });
  expect(reply.status).toBe(200);
  expect(await reply.json()).toMatchObject({ output: [{ type: "compaction" }] });
});

test("an API-key login has no such endpoints and says what to do", async () => {
  const relay = startTestRelay({ baseUrl: demo.backend.baseUrl, credentials: fixedCredentials({ kind: "api-key" }) });
  const reply = await fetch(`${relay.url}/api/codex/usage`, { headers: cli });
  expect(reply.status).toBe(501);
  expect(await reply.text()).toContain("plansocket login");
  await relay.stop();
});
