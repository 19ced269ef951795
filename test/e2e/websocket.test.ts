import { afterEach, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { created, delta, fakeCodex, sseThenSilence } from "../support/fake-codex.ts";
import { keepLines } from "../support/log-lines.ts";
import { eventually, fixedCredentials, post, type TestRelayOptions } from "../support/relay.ts";

type Frame = Record<string, unknown> & { type: string; response?: { id: string; output: { type: string }[] } };

let demo: DemoRelay;
afterEach(() => demo.stop());

interface Connection {
  readonly opened: Promise<void>;
  readonly closed: Promise<number>;
  send(frame: unknown): void;
  /** The next frame. */
  next(): Promise<Frame>;
  /** Frames up to and with the one that ends a reply. */
  reply(): Promise<Frame[]>;
  close(): void;
}

function open(headers: Record<string, string> = {}): Connection {
  const socket = new WebSocket(`${demo.v1.replace("http", "ws")}/responses`, { headers } as unknown as string[]);
  const frames: Frame[] = [];
  let wake = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  const opened = Promise.withResolvers<void>();
  opened.promise.catch(() => {});
  socket.addEventListener("open", () => opened.resolve());
  socket.addEventListener("error", () => opened.reject(new Error("it did not open")));
  socket.addEventListener("message", ({ data }) => {
    frames.push(JSON.parse(String(data)) as Frame);
    wake.resolve();
  });
  socket.addEventListener("close", ({ code }) => (closed.resolve(code), wake.resolve()));
  const next = async (): Promise<Frame> => {
    while (frames.length === 0) {
      if (socket.readyState === WebSocket.CLOSED) throw new Error("it was closed");
      wake = Promise.withResolvers();
      await wake.promise;
    }
    return frames.shift() as Frame;
  };
  return {
    opened: opened.promise,
    closed: closed.promise,
    next,
    send: (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
    close: () => socket.close(),
    async reply() {
      const all: Frame[] = [];
      for (;;) {
        const frame = await next();
        all.push(frame);
        if (/^(error|response\.(completed|incomplete|failed))$/.test(frame.type)) return all;
      }
    },
  };
}

async function opened(headers: Record<string, string> = {}, over: Partial<TestRelayOptions> = {}): Promise<Connection> {
  demo = startDemoRelay(over);
  const connection = open(headers);
  await connection.opened;
  return connection;
}

const create = (input: unknown, more: object = {}) => ({ type: "response.create", model: "gpt-5.5", input, ...more });
const codex = { originator: "codex_exec", "user-agent": "codex_exec/0.169.0", version: "0.169.0" };
/** As the CLI has it in every frame. */
const cli = (input: unknown[], more: object = {}) =>
  create(input, { instructions: "i", stream: true, store: false, include: ["reasoning.encrypted_content"], ...more });
const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });

const bodies = () =>
  demo.backend.requests
    .filter(({ path }) => path.endsWith("/responses"))
    .map((request) => ({ headers: request.headers, body: request.body as Record<string, unknown> }));
const inputTypes = (index: number) =>
  ((bodies()[index]?.body["input"] ?? []) as { type: string }[]).map(({ type }) => type);
/** What the user said in a request, in order. */
const inputTexts = (index: number) =>
  ((bodies()[index]?.body["input"] ?? []) as { role?: string; content: { text: string }[] }[])
    .filter(({ role }) => role === "user")
    .map(({ content }) => content[0]?.text);

describe("one socket", () => {
  test("carries a reply as single events, and the next one after it", async () => {
    const connection = await opened();
    connection.send(create("hello"));
    const first = await connection.reply();
    expect(first[0]?.type).toBe("response.created");
    expect(first.at(-1)?.response?.output.map(({ type }) => type)).toEqual(["reasoning", "message"]);
    connection.send(create("again", { previous_response_id: first.at(-1)?.response?.id }));
    expect((await connection.reply()).at(-1)?.type).toBe("response.completed");
    expect(inputTypes(1)).toEqual(["message", "reasoning", "message", "message"]);
    expect(demo.backend.refusals).toEqual([]);
    connection.close();
  });

  test("carries texts with the separators of lines and paragraphs whole", async () => {
    const connection = await opened();
    connection.send(create("one\u2028two\u2029three"));
    const reply = await connection.reply();
    expect(JSON.stringify(reply.at(-1))).toContain("one\u2028two\u2029three");
    connection.close();
  });

  test("goes on from what store: false keeps from everybody else", async () => {
    const connection = await opened();
    connection.send(create("hello", { store: false }));
    const id = (await connection.reply()).at(-1)?.response?.id;
    connection.send(create("again", { previous_response_id: id }));
    const again = await connection.reply();
    expect(again.at(-1)?.type).toBe("response.completed");
    connection.send(create("ahead", { previous_response_id: id, generate: false }));
    const told = [...again, ...(await connection.reply())].flatMap(({ response }) => (response ? [response] : []));
    expect(told.map((response) => Reflect.get(response, "previous_response_id"))).toEqual(told.map(() => id));
    const other = open();
    await other.opened;
    other.send(create("mine?", { previous_response_id: id, store: false }));
    expect(await other.next()).toMatchObject({
      type: "error",
      status: 400,
      error: { code: "previous_response_not_found", param: "previous_response_id" },
    });
    connection.close();
    other.close();
  });

  test("goes on from another connection's response, and further from there", async () => {
    const connection = await opened();
    connection.send(create("one"));
    const first = (await connection.reply()).at(-1)?.response?.id;
    connection.close();
    const later = open();
    await later.opened;
    later.send(create("two", { previous_response_id: first }));
    const second = (await later.reply()).at(-1)?.response;
    expect(second).toMatchObject({ previous_response_id: first });
    later.send(create("three", { previous_response_id: second?.id }));
    await later.reply();
    expect(inputTexts(2)).toEqual(["one", "two", "three"]);
    later.close();
  });

  test("takes one item that is in no list", async () => {
    const connection = await opened();
    connection.send(create(user("one")));
    const id = (await connection.reply()).at(-1)?.response?.id;
    connection.send(create(user("two"), { previous_response_id: id }));
    await connection.reply();
    expect([inputTexts(0), inputTexts(1)]).toEqual([["one"], ["one", "two"]]);
    connection.close();
  });

  test("sends ahead what goes on from another connection's response", async () => {
    const connection = await opened();
    connection.send(create("one"));
    const first = (await connection.reply()).at(-1)?.response?.id;
    const later = open();
    await later.opened;
    later.send(create("two", { previous_response_id: first, generate: false }));
    const warm = (await later.reply()).at(-1)?.response?.id;
    later.send(create("three", { previous_response_id: warm }));
    await later.reply();
    expect(inputTexts(1)).toEqual(["one", "two", "three"]);
    later.send(create("four", { previous_response_id: "resp_x", generate: false }));
    expect(await later.next()).toMatchObject({ type: "error", error: { code: "previous_response_not_found" } });
    connection.close();
    later.close();
  });

  test("remembers only so much of what is sent ahead, the newest of it", async () => {
    const connection = await opened();
    const ids: (string | undefined)[] = [];
    for (const letter of ["a", "b", "c"]) {
      connection.send(create(letter.repeat(30 * 1024 * 1024), { generate: false }));
      ids.push((await connection.reply()).at(-1)?.response?.id);
    }
    connection.send(create("go on", { generate: false, previous_response_id: ids[0] }));
    expect(await connection.next()).toMatchObject({ error: { code: "previous_response_not_found" } });
    connection.send(create("go on", { generate: false, previous_response_id: ids[2] }));
    expect((await connection.reply()).at(-1)?.type).toBe("response.completed");
    connection.close();
  });

  test("refuses ahead what it could not answer, and lives on (router-for-me/CLIProxyAPI#6006)", async () => {
    const connection = await opened();
    connection.send(create([], { generate: false, model: "gpt-0-none" }));
    const refusal = await connection.next();
    expect(refusal).toMatchObject({ type: "error", status: 404, error: { code: "model_not_found" } });
    expect(refusal["message"]).toContain("gpt-0-none");
    connection.send(create([], { generate: false, reasoning: { effort: "enormous" } }));
    expect(await connection.next()).toMatchObject({ status: 400, error: { param: "reasoning.effort" } });
    connection.send(create([], { generate: false, model: "gpt-5.5-low", instructions: "Be brief." }));
    const warm = await connection.reply();
    connection.send(create("ready?", { previous_response_id: warm.at(-1)?.response?.id }));
    const reply = await connection.reply();
    expect(reply.at(-1)?.type).toBe("response.completed");
    // What is answered here is as complete as what the backend answers.
    const fields = (frame?: Frame) =>
      Object.keys(frame?.response ?? {})
        .filter((name) => name !== "end_turn")
        .toSorted();
    expect(warm.map(fields)).toEqual([fields(reply[0]), fields(reply.at(-1))]);
    expect(warm.map(({ response }) => response)).toMatchObject([
      { status: "in_progress", model: "gpt-5.5-low", instructions: "Be brief.", output: [] },
      { status: "completed", model: "gpt-5.5-low", instructions: "Be brief.", output: [] },
    ]);
    expect(bodies()).toHaveLength(1);
    connection.close();
  });

  test("refuses ahead what --strict would not let through", async () => {
    const connection = await opened({}, { relay: { strict: true } });
    connection.send(create([], { generate: false, top_k: 4 }));
    expect(await connection.next()).toMatchObject({ status: 400, error: { param: "top_k" } });
    connection.send(create([], { generate: false }));
    expect((await connection.reply()).at(-1)?.type).toBe("response.completed");
    connection.close();
  });

  test("answers one request at a time", async () => {
    const connection = await opened();
    connection.send(create("deltas:2000"));
    connection.send(create("me too"));
    const frames = await connection.reply();
    const error = frames.find(({ type }) => type === "error");
    expect(error).toMatchObject({ status: 400, error: { message: expect.stringContaining("already being created") } });
    connection.close();
  });

  test.each([
    ["{", "A frame must be a JSON object."],
    ["[]", "A frame must be a JSON object."],
    [{ type: "session.update" }, "Unknown frame type 'session.update'"],
    [{ type: "response.create", input: "x" }, "Missing required parameter: 'model'."],
    [create(5), "Invalid type for 'input'"],
    [create(null), "Missing required parameter: 'input'."],
    [create("x", { previous_response_id: 5 }), "Invalid type for 'previous_response_id'"],
    [create("x", { model: "gpt-nobody-knows" }), "gpt-nobody-knows"],
    [create("x", { previous_response_id: "resp_x" }), "Previous response with id 'resp_x' not found."],
  ])("says what is wrong with %j and stays open", async (frame, message) => {
    const connection = await opened();
    connection.send(frame);
    const error = await connection.next();
    expect(error).toMatchObject({ type: "error", error: { message: expect.stringContaining(message) } });
    expect(Number(error["status"])).toBeGreaterThanOrEqual(400);
    connection.send(create("hello"));
    expect((await connection.reply()).at(-1)?.type).toBe("response.completed");
    connection.close();
  });

  test("tells limits and overload with their status, code and wait", async () => {
    const connection = await opened();
    connection.send(create("fault:usage_limit"));
    expect(await connection.next()).toMatchObject({
      type: "error",
      status: 429,
      error: { code: "usage_limit_reached" },
      headers: { "x-codex-primary-used-percent": "100", "retry-after": expect.stringMatching(/^\d+$/) },
    });
    connection.close();
  });

  test("ends when upstream breaks off, as nothing else would tell", async () => {
    const connection = await opened();
    connection.send(create("fault:cut"));
    const frames = await connection.reply();
    const code = "upstream_stream_truncated";
    const error = { type: "error", status: 502, code, message: expect.any(String), param: null, error: { code } };
    expect(frames.at(-1)).toMatchObject(error);
    const numbers = frames.map((frame) => Number(frame["sequence_number"]));
    expect(numbers.toSorted((one, other) => one - other)).toEqual(numbers);
    connection.close();
  });

  test("forgets an unstored response once going on from it has failed", async () => {
    const connection = await opened();
    connection.send(create("hello", { store: false }));
    const id = (await connection.reply()).at(-1)?.response?.id;
    connection.send(create("fault:cut", { previous_response_id: id, store: false }));
    expect((await connection.reply()).at(-1)?.type).toBe("error");
    connection.send(create("again", { previous_response_id: id, store: false }));
    expect(await connection.next()).toMatchObject({ type: "error", error: { code: "previous_response_not_found" } });
    connection.close();
  });

  test("lets go of upstream when its client leaves", async () => {
    const connection = await opened();
    connection.send(create("deltas:1000000"));
    await connection.next();
    expect(demo.backend.openStreams()).toBe(1);
    connection.close();
    await connection.closed;
    for (let tries = 0; demo.backend.openStreams() > 0 && tries < 100; tries += 1) await Bun.sleep(10);
    expect(demo.backend.openStreams()).toBe(0);
    expect(demo.relay.activeRequests()).toBe(0);
  });

  test("forgets a response whose continuation failed, where its client wants nothing stored", async () => {
    const connection = await opened();
    connection.send(create("hello", { store: false }));
    const id = (await connection.reply()).at(-1)?.response?.id;
    demo.backend.script({ kind: "http", status: 400, body: { detail: "Bad Request" } });
    connection.send(create("again", { previous_response_id: id, store: false }));
    expect(await connection.next()).toMatchObject({ type: "error", status: 400 });
    connection.send(create("again", { previous_response_id: id, store: false }));
    expect(await connection.next()).toMatchObject({ type: "error", error: { code: "previous_response_not_found" } });
    // The socket itself goes on.
    connection.send(create("hello", { store: false }));
    expect((await connection.reply()).at(-1)?.type).toBe("response.completed");
    connection.close();
  });

  test("goes on from a response without any new input", async () => {
    const connection = await opened();
    connection.send(create("hello", { store: false }));
    const id = (await connection.reply()).at(-1)?.response?.id;
    connection.send({ type: "response.create", model: "gpt-5.5", previous_response_id: id, store: false });
    expect((await connection.reply()).at(-1)?.type).toBe("response.completed");
    connection.close();
  });

  test("counts among the requests in flight, also while it is idle", async () => {
    const connection = await opened({}, { relay: { maxRequests: 1 } });
    await expect(open().opened).rejects.toThrow("did not open");
    const refused = await post(`${demo.v1}/responses`, { model: "gpt-5.5", input: "hello" });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    connection.send(create("hello"));
    expect(await connection.next()).toMatchObject({ type: "response.created" });
    connection.close();
  });

  test("lasts an hour", async () => {
    const clock = { ms: Date.now() };
    const connection = await opened({}, { now: () => clock.ms });
    clock.ms += 60 * 60_000;
    connection.send(create("hello"));
    expect(await connection.next()).toMatchObject({
      type: "error",
      status: 400,
      error: { code: "websocket_connection_limit_reached" },
    });
    expect(await connection.closed).toBe(1013);
  });

  test("is closed when the relay stops: at once when idle, after its reply when not", async () => {
    const idle = await opened();
    const busy = open();
    await busy.opened;
    busy.send(create("deltas:3000"));
    await busy.next();
    const drained = demo.relay.drain(20_000);
    expect(await idle.closed).toBe(1001);
    expect((await busy.reply()).at(-1)?.type).toBe("response.completed");
    expect(await busy.closed).toBe(1001);
    expect(await drained).toBe(true);
  });

  test("is told that the relay stops, also before its reply has begun", async () => {
    await using silent = fakeCodex(() => new Promise(() => {}));
    const log = keepLines();
    const waiting = await opened({}, { log, baseUrl: silent.baseUrl });
    waiting.send(create("hello"));
    await eventually(() => silent.bodies.length === 1);
    const stopping = demo.relay.stop();
    expect(await waiting.next()).toMatchObject({ type: "error", status: 503, error: { code: "relay_stopping" } });
    expect(await waiting.closed).toBe(1001);
    await stopping;
    expect(log.requests().at(-1)).toMatchObject({ method: "WS", status: 503, code: "relay_stopping" });
  });
});

describe("who may open one", () => {
  const refused = async (headers: Record<string, string>, over: Partial<TestRelayOptions> = {}) => {
    demo = startDemoRelay(over);
    return open(headers).opened.then(
      () => false,
      () => true,
    );
  };

  test.each([
    ["another site", { origin: "https://page.example" }],
    ["another site that says so", { origin: "http://page.example", "sec-fetch-site": "cross-site" }],
  ])("not a page of %s", async (_who, headers) => {
    expect(await refused(headers as Record<string, string>)).toBe(true);
  });

  test("not without the key", async () => {
    expect(await refused({}, { relay: { apiKey: "k3y" } })).toBe(true);
    const connection = open({ authorization: "Bearer k3y" });
    await connection.opened;
    connection.close();
  });

  test("nor an API-key login: its clients fall back to HTTP", async () => {
    demo = startDemoRelay({ credentials: fixedCredentials({ kind: "api-key" }) });
    const reply = await fetch(`${demo.v1}/responses`, {
      headers: { upgrade: "websocket", connection: "upgrade", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" },
    });
    expect(reply.status).toBe(426);
    expect((await fetch(`${demo.v1}/responses`)).status).toBe(405);
  });
});

describe("a Codex client", () => {
  test("sends its tools ahead, and goes on from them", async () => {
    const connection = await opened(codex);
    connection.send(cli([user("context")], { generate: false }));
    const warm = await connection.reply();
    expect(warm.map(({ type }) => type)).toEqual(["response.created", "response.completed"]);
    expect(bodies()).toEqual([]);
    connection.send(cli([user("hello")], { previous_response_id: warm.at(-1)?.response?.id }));
    const first = await connection.reply();
    connection.send(cli([user("more")], { previous_response_id: first.at(-1)?.response?.id }));
    await connection.reply();
    expect(inputTypes(0)).toEqual(["message", "message"]);
    expect(inputTypes(1)).toEqual(["message", "message", "reasoning", "message", "message"]);
    expect(bodies().every(({ body }) => !("previous_response_id" in body) && !("generate" in body))).toBe(true);
    expect(demo.backend.refusals).toEqual([]);
    connection.close();
  });

  test("has its frame's headers put where HTTP has them, and no others", async () => {
    const headers = { ...codex, "openai-beta": "responses_websockets=2026-02-06", "session-id": "s1" };
    const connection = await opened(headers, { upstream: { transport: "http" } });
    const metadata = {
      turn_id: "t1",
      ws_request_header_x_codex_note: "yes",
      ws_request_header_: "no name",
      "ws_request_header_x codex": "no name either",
      "x-codex-ws-stream-request-start-ms": "1",
      session_id: "s1",
    };
    connection.send(cli([user("hello")], { client_metadata: metadata }));
    await connection.reply();
    const [sent] = bodies();
    expect(sent?.headers["x-codex-note"]).toBe("yes");
    expect(sent?.headers["session-id"]).toBe("s1");
    expect(sent?.headers["openai-beta"]).toBeUndefined();
    expect(sent?.headers["upgrade"]).toBeUndefined();
    expect(sent?.body["client_metadata"]).toEqual({ turn_id: "t1", session_id: "s1" });
    connection.close();
  });

  test("reads refusals in the backend's own words", async () => {
    const connection = await opened(codex);
    connection.send(cli([user("fault:usage_limit")]));
    expect(await connection.next()).toMatchObject({
      type: "error",
      status: 429,
      error: { type: "usage_limit_reached", resets_in_seconds: expect.any(Number) },
    });
    connection.send(cli([user("x")], { previous_response_id: "resp_of_another_socket" }));
    expect(await connection.next()).toMatchObject({ status: 400, error: { code: "previous_response_not_found" } });
    connection.close();
  });
});

test("the official SDK's socket", async () => {
  demo = startDemoRelay();
  const client = new OpenAI({ baseURL: demo.v1, apiKey: "any" });
  const socket = new ResponsesWS(client);
  const text = Promise.withResolvers<string>();
  socket.on("event", (event) => {
    if (event.type === "response.completed") text.resolve(event.response.output.map(({ type }) => type).join());
  });
  socket.on("error", (error) => text.reject(error));
  socket.send({ type: "response.create", model: "gpt-5.5", input: "hello" });
  expect(await text.promise).toBe("reasoning,message");
  socket.close();
});

test.each([{}, codex])("a reply that falls silent in its middle has the status of a timeout (%p)", async (headers) => {
  await using silent = fakeCodex(() => sseThenSilence([created, delta("Hel")]));
  const over = { baseUrl: silent.baseUrl, upstream: { idleTimeoutMs: 50 } };
  const connection = await opened(headers, over);
  connection.send(create("hi"));
  expect((await connection.reply()).at(-1)).toMatchObject({
    type: "error",
    status: 504,
    error: { code: "upstream_timeout" },
  });
  connection.close();
});
