import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { createParser } from "eventsource-parser";
import { isTerminal } from "../../src/codex/wire/event-types.ts";
import { type StandIn, type StandInLogin, startStandIn } from "./backend.ts";
import { type FaultName, FAULTS } from "./faults.ts";
import { type JsonObject, parseJson } from "../../src/lib/json.ts";

let backend: StandIn;
let login: StandInLogin;

beforeEach(() => {
  backend = startStandIn();
  login = backend.issueLogin();
});
afterEach(() => backend.stop());

const headersOf = (given: StandInLogin): Record<string, string> => ({
  authorization: `Bearer ${given.accessToken}`,
  "chatgpt-account-id": given.accountId,
  "content-type": "application/json",
});

const requestFor = (text: string): JsonObject => ({
  model: "gpt-5.5",
  instructions: "",
  input: [{ type: "message", role: "user", content: [{ type: "input_text", text }] }],
  include: ["reasoning.encrypted_content"],
  store: false,
  stream: true,
});

function ask(text: string, init: RequestInit = {}): Promise<Response> {
  const body = JSON.stringify(requestFor(text));
  return fetch(`${backend.baseUrl}/responses`, { method: "POST", headers: headersOf(login), body, ...init });
}

function eventsIn(text: string): JsonObject[] {
  const events: JsonObject[] = [];
  const parser = createParser({
    onEvent: ({ data }) => {
      const parsed = parseJson(data);
      if (parsed !== undefined) events.push(parsed as JsonObject);
    },
  });
  parser.feed(text);
  return events;
}

test("an answer has numbered events, named lines, an empty output and no [DONE]", async () => {
  const reply = await ask("say pong");
  expect(reply.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(reply.headers.get("x-codex-primary-used-percent")).toBe("12");
  const text = await reply.text();
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain("\r");
  expect(text.startsWith("event: response.created\ndata: {")).toBe(true);
  const events = eventsIn(text);
  expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, index) => index));
  const last = events.at(-1)?.["response"] as JsonObject;
  expect(last["output"]).toEqual([]);
  expect(last["usage"]).toMatchObject({ input_tokens: expect.any(Number), total_tokens: expect.any(Number) });
  expect(backend.refusals).toEqual([]);
});

test("a cache key seen before has cached tokens", async () => {
  const cached = async () => {
    const body = JSON.stringify({ ...requestFor("say pong"), prompt_cache_key: "key" });
    const events = eventsIn(await (await ask("", { body })).text());
    return JSON.stringify(events.at(-1)).match(/"cached_tokens":(\d+)/)?.[1];
  };
  expect(await cached()).toBe("0");
  expect(Number(await cached())).toBeGreaterThan(0);
});

test.each<[string, (text: string) => Uint8Array]>([
  ["zstd", (text) => Bun.zstdCompressSync(text)],
  ["gzip", (text) => gzipSync(text)],
  ["deflate", (text) => deflateSync(text)],
  ["br", (text) => brotliCompressSync(text)],
])("a body in %s is understood", async (coding, compress) => {
  const body = compress(JSON.stringify(requestFor("say pong")));
  const reply = await ask("", { headers: { ...headersOf(login), "content-encoding": coding }, body });
  expect(reply.status).toBe(200);
  await reply.text();
  expect(backend.requests.at(-1)?.body).toMatchObject({ model: "gpt-5.5" });
});

test("who is not known stays outside", async () => {
  expect((await ask("x", { headers: { authorization: "Bearer nobody" } })).status).toBe(401);
  const stranger = { ...headersOf(login), "chatgpt-account-id": "other" };
  expect((await ask("x", { headers: stranger })).status).toBe(403);
  backend.expireAccessTokens();
  const late = await ask("x");
  expect(await late.json()).toMatchObject({ status: 401, error: { code: "token_expired" } });
  expect(backend.refusals.map((refusal) => refusal.status)).toEqual([401, 403, 401]);
});

test("a broken rule is answered as the backend does and is remembered", async () => {
  const body = JSON.stringify({ ...requestFor("x"), temperature: 1 });
  const reply = await ask("", { body });
  expect([reply.status, await reply.json()]).toEqual([400, { detail: "Unsupported parameter: temperature" }]);
  expect(backend.refusals).toEqual([
    { path: "/backend-api/codex/responses", status: 400, detail: "Unsupported parameter: temperature" },
  ]);
});

/** What a plain client sees of a fault; streams that hang are left after the first bytes. */
async function outcomeOf(name: FaultName): Promise<string> {
  const leave = new AbortController();
  const asked = ask(`fault:${name}`, { signal: leave.signal }).catch(() => undefined);
  if (FAULTS[name].outcome === "hangs") {
    while (backend.openStreams() === 0) await Bun.sleep(1);
    leave.abort();
    await asked;
    while (backend.openStreams() > 0) await Bun.sleep(1);
    return backend.requests.at(-1)?.aborted() === true ? "hangs" : "not noticed";
  }
  const reply = await asked;
  if (!reply) return "dropped";
  if (reply.status !== 200) return "http";
  const text = await reply.text().catch(() => "");
  const events = eventsIn(text);
  const end = events.find((event) => isTerminal(String(event["type"])));
  if (!end) return "truncated";
  if (end["type"] === "response.incomplete") return "incomplete";
  if (end["type"] !== "response.completed") return "failed";
  return text.includes("response.refusal.done") ? "refusal" : "answer";
}

test.each(Object.keys(FAULTS) as FaultName[])("fault:%s does what it says", async (name) => {
  expect(await outcomeOf(name)).toBe(FAULTS[name].outcome);
});

test("scripted steps come in order, then the usual answer", async () => {
  backend.script(FAULTS.token_expired.script(), { ...FAULTS.server_error.script(), times: 2 });
  const statuses: number[] = [];
  for (let n = 0; n < 4; n += 1) {
    const reply = await ask("say pong");
    statuses.push(reply.status);
    await reply.text();
  }
  expect(statuses).toEqual([401, 500, 500, 200]);
  expect(backend.refusals).toEqual([]);
});

test("a fault that is wanted once is gone at the second try", async () => {
  expect((await ask("fault:server_error:once")).status).toBe(500);
  const again = await ask("fault:server_error:once");
  expect(again.status).toBe(200);
  await again.text();
});

test("a client that leaves stops the stream and is remembered", async () => {
  const leave = new AbortController();
  const reply = await ask("deltas:1000000", { signal: leave.signal });
  await reply.body?.getReader().read();
  expect(backend.openStreams()).toBe(1);
  leave.abort();
  while (backend.openStreams() > 0) await Bun.sleep(1);
  expect(backend.requests.at(-1)?.aborted()).toBe(true);
});

test("deltas:N sends that many deltas", async () => {
  const events = eventsIn(await (await ask("deltas:5000")).text());
  expect(events.filter((event) => event["type"] === "response.output_text.delta")).toHaveLength(5000);
});

test("models need a client version, and come with an ETag", async () => {
  const url = `${backend.baseUrl}/models`;
  expect((await fetch(url, { headers: headersOf(login) })).status).toBe(400);
  const reply = await fetch(`${url}?client_version=0.169.0`, { headers: headersOf(login) });
  const { models } = (await reply.json()) as { models: JsonObject[] };
  expect(models.map((model) => model["slug"])).toContain("gpt-6.1-sol");
  const etag = reply.headers.get("etag") ?? "";
  const again = { ...headersOf(login), "if-none-match": etag };
  expect((await fetch(`${url}?client_version=0.169.0`, { headers: again })).status).toBe(304);
  const old = (await (await fetch(`${url}?client_version=0.120.0`, { headers: headersOf(login) })).json()) as {
    models: JsonObject[];
  };
  expect(old.models.map((model) => model["slug"])).toEqual(["gpt-5.5"]);
});

test("usage, accounts, compaction, images, audio and the rest", async () => {
  const get = async (path: string) =>
    (await (await fetch(backend.origin + path, { headers: headersOf(login) })).json()) as JsonObject;
  expect(await get("/backend-api/wham/usage")).toMatchObject({ plan_type: "pro", account_id: login.accountId });
  expect(await get("/backend-api/wham/accounts/check")).toMatchObject({ default_account_id: login.accountId });
  expect(await get("/backend-api/nothing/here")).toEqual({ detail: "Not Found" });
  const post = async (path: string, body: object) =>
    (await (
      await fetch(backend.origin + path, { method: "POST", headers: headersOf(login), body: JSON.stringify(body) })
    ).json()) as JsonObject;
  expect(await post("/backend-api/codex/images/generations", { prompt: "a fox" })).toHaveProperty("data");
  expect(await post("/backend-api/codex/responses/compact", { model: "gpt-5.5", input: [] })).toMatchObject({
    output: [{ type: "compaction" }],
  });
  const form = new FormData();
  form.set("file", new Blob(["x"]), "a.wav");
  const { authorization, "chatgpt-account-id": account } = headersOf(login);
  const headers = { authorization: authorization ?? "", "chatgpt-account-id": account ?? "" };
  const audio = await fetch(`${backend.origin}/backend-api/transcribe`, { method: "POST", headers, body: form });
  expect(await audio.json()).toHaveProperty("text");
});

test("a compaction trigger gets exactly one compaction item", async () => {
  const body = requestFor("x");
  (body["input"] as object[]).push({ type: "compaction_trigger" });
  const events = eventsIn(await (await ask("", { body: JSON.stringify(body) })).text());
  const done = events.filter((event) => event["type"] === "response.output_item.done");
  expect(done.map((event) => (event["item"] as JsonObject)["type"])).toEqual(["compaction"]);
});

describe("a WebSocket", () => {
  const asking = requestFor("hello");

  /** Opens one, and returns the events of one frame after the other. */
  async function open(to: StandIn, signedIn: StandInLogin = login) {
    const headers = { ...headersOf(signedIn), "openai-beta": "responses_websockets=2026-02-06" };
    const socket = new WebSocket(`${to.baseUrl.replace("http", "ws")}/responses`, { headers } as unknown as string[]);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    const ask = (frame: JsonObject) =>
      new Promise<JsonObject[]>((resolve) => {
        const events: JsonObject[] = [];
        const onMessage = ({ data }: MessageEvent) => {
          const event = JSON.parse(String(data)) as JsonObject;
          events.push(event);
          if (!/^(error|response\.(completed|failed|incomplete))$/.test(String(event["type"]))) return;
          socket.removeEventListener("message", onMessage);
          resolve(events);
        };
        socket.addEventListener("message", onMessage);
        socket.send(JSON.stringify({ type: "response.create", ...frame }));
      });
    return { ask, close: () => socket.close() };
  }

  const idOf = (events: JsonObject[]) => ((events.at(-1)?.["response"] ?? {}) as JsonObject)["id"];
  const codeOf = (events: JsonObject[]) => ((events.at(-1)?.["error"] ?? {}) as JsonObject)["code"];

  test("answers what goes on from its newest response, and understands the whole conversation", async () => {
    const { ask, close } = await open(backend);
    const first = await ask(asking);
    expect(first.map(({ type }) => type)).toContain("codex.rate_limits");
    const second = await ask({ ...asking, previous_response_id: idOf(first) });
    expect(second.at(-1)?.["type"]).toBe("response.completed");
    const understood = backend.requests.at(-1)?.body as { input: JsonObject[] };
    expect(understood.input.map(({ role, type }) => role ?? type)).toEqual(["user", "reasoning", "assistant", "user"]);
    close();
  });

  test("knows no other response than its newest, and none after an error", async () => {
    const { ask, close } = await open(backend);
    const first = await ask(asking);
    const second = await ask({ ...asking, previous_response_id: idOf(first) });
    expect(codeOf(await ask({ ...asking, previous_response_id: idOf(first) }))).toBe("previous_response_not_found");
    const fresh = await ask(asking);
    expect((await ask({ ...asking, temperature: 1 })).at(-1)).toMatchObject({ type: "error", status: 400 });
    for (const id of [idOf(second), idOf(fresh)]) {
      expect(codeOf(await ask({ ...asking, previous_response_id: id }))).toBe("previous_response_not_found");
    }
    close();
  });

  test("that is too old is told so", async () => {
    let nowMs = Date.now();
    const old = startStandIn({ now: () => nowMs });
    const { ask, close } = await open(old, old.issueLogin());
    nowMs += 3_600_001;
    expect(codeOf(await ask(asking))).toBe("websocket_connection_limit_reached");
    close();
    await old.stop();
  });

  test("is declined with 426 where sockets are off", async () => {
    const plain = startStandIn({ sockets: false });
    const headers = { ...headersOf(plain.issueLogin()), upgrade: "websocket", connection: "Upgrade" };
    expect((await fetch(`${plain.baseUrl}/responses`, { headers })).status).toBe(426);
    await plain.stop();
  });
});

test("the public API takes every field of a key that it knows, and says which", async () => {
  const headers = { authorization: `Bearer ${backend.issueApiKey()}` };
  const post = (path: string, body: object) =>
    fetch(backend.openaiBaseUrl + path, { method: "POST", headers, body: JSON.stringify(body) });
  const chat = { model: "gpt-4.1", temperature: 0.3, messages: [{ role: "user", content: "hi" }] };
  const reply = (await (await post("/chat/completions", chat)).json()) as { choices: { message: JsonObject }[] };
  expect(reply.choices[0]?.message["content"]).toContain('"temperature":0.3');
  expect(await (await post("/chat/completions", { ...chat, stream: true })).text()).toEndWith("data: [DONE]\n\n");
  const made = await (await post("/responses", { model: "gpt-4.1", input: "hi", top_p: 0.5, store: true })).json();
  expect(made).toMatchObject({ status: "completed", store: true, top_p: 0.5, output: [{ type: "message" }] });
  const refused = await fetch(`${backend.openaiBaseUrl}/models`, { headers: { authorization: "Bearer sk-no" } });
  expect(await refused.json()).toMatchObject({ error: { code: "invalid_api_key" } });
});
