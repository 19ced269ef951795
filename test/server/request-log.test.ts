import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { keepLines } from "../support/log-lines.ts";
import {
  completed,
  created,
  delta,
  failed,
  fakeCodex,
  refuses,
  says,
  sse,
  sseThenSilence,
} from "../support/fake-codex.ts";
import {
  chatBody,
  eventually,
  fixedCredentials,
  post,
  startTestRelay,
  type TestRelayOptions,
} from "../support/relay.ts";

type Answers = Parameters<typeof fakeCodex>;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop();
});

/** An HTTP server whose every answer is written byte by byte. */
function listening(answer: (socket: Socket) => void) {
  const server = createServer((socket) => socket.once("data", () => answer(socket)).on("error", () => {}));
  server.listen(0, "127.0.0.1");
  const stop = () => void server.close();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    [Symbol.asyncDispose]: () => Promise.resolve(stop()),
  };
}

/** A relay with a log that is kept, in front of scripted answers. */
function setUp(answers: Answers, over: Partial<TestRelayOptions> = {}, isDebug = false) {
  const codex = fakeCodex(...answers);
  const log = keepLines(isDebug);
  const relay = startTestRelay({ baseUrl: codex.baseUrl, log, ...over });
  open.push(codex, relay);
  return { codex, relay, log, v1: `${relay.url}/v1` };
}

const USAGE = {
  input_tokens: 1200,
  input_tokens_details: { cached_tokens: 1024 },
  output_tokens: 56,
  output_tokens_details: { reasoning_tokens: 12 },
  total_tokens: 1256,
};
const withUsage = { ...completed, response: { ...completed.response, usage: USAGE } };
const answer = () => sse([created, delta("Hello"), withUsage], { "x-request-id": "req_up" });

describe("a request's line", () => {
  test.each([true, false])("holds everything about it (stream: %s)", async (stream) => {
    let clock = 0;
    const { v1, log } = setUp([answer], { elapsed: () => (clock += 50) });
    await (await post(`${v1}/chat/completions`, chatBody({ model: "gpt-5.5-high", stream, temperature: 1 }))).text();
    await eventually(() => log.requests().length === 1);
    const [line] = log.lines;
    expect(line?.level).toBe("info");
    expect(line?.fields).toEqual({
      method: "POST",
      route: "/v1/chat/completions",
      status: 200,
      code: undefined,
      dialect: "chat",
      model_asked: "gpt-5.5-high",
      model: "gpt-5.5",
      effort: "high",
      stream,
      // The clock moves by 50 with each look: start, first token, end.
      ttft_ms: 50,
      total_ms: 100,
      tokens_in: 1200,
      tokens_cached: 1024,
      tokens_out: 56,
      tokens_reasoning: 12,
      adjusted: "temperature",
      finish: "stop",
      client_gone: undefined,
      request_id: "req_up",
    });
  });

  test("names the part at which a turn leaves what the last one put into the prompt cache", async () => {
    const turn = (role: string, content: string) => ({ role, content });
    const [ask, reply, more] = [turn("user", "a"), turn("assistant", "b"), turn("user", "c")];
    const tool = { type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } };
    const turns = [
      { messages: [ask] },
      { messages: [ask, reply, more] },
      { messages: [ask, turn("assistant", "edited"), more] },
      { messages: [ask, turn("assistant", "edited"), more], tools: [tool] },
      { messages: [turn("system", "s"), ask, turn("assistant", "edited"), more], tools: [tool] },
      { messages: [turn("system", "s"), ask], tools: [tool] },
    ];
    const { v1, log } = setUp(turns.map(() => answer));
    for (const over of turns) {
      const body = chatBody({ prompt_cache_key: "conversation", ...over });
      await (await post(`${v1}/chat/completions`, body)).text();
    }
    await eventually(() => log.requests().length === turns.length);
    expect(log.requests().map((fields) => fields["prefix_changed"])).toEqual([
      undefined,
      undefined,
      "input[1]",
      "tools",
      "instructions",
      undefined,
    ]);
  });

  test("names the route by its pattern, with the prefix that was left out", async () => {
    const { relay, log } = setUp([says("hi")]);
    await fetch(`${relay.url}/responses/resp_nobody`);
    await fetch(`${relay.url}/chat/completions`);
    await fetch(`${relay.url}/v1/nothing/here`);
    expect(log.requests()).toMatchObject([
      { method: "GET", route: "/v1/responses/:id", status: 404, dialect: undefined },
      { method: "GET", route: "/v1/chat/completions", status: 405, code: "method_not_allowed", dialect: "chat" },
      { method: "GET", route: "/v1/nothing/here", status: 404 },
    ]);
  });

  test("tells tool calls and answers that were cut short", async () => {
    const call = { type: "function_call", id: "fc", call_id: "c1", name: "f", arguments: "{}" };
    const calls = { type: "response.output_item.done", output_index: 0, item: call };
    const cut = {
      type: "response.incomplete",
      response: { ...completed.response, status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
    };
    const { v1, log } = setUp([() => sse([created, calls, completed]), () => sse([created, delta("a"), cut])]);
    for (let round = 0; round < 2; round += 1) await (await post(`${v1}/chat/completions`, chatBody())).text();
    expect(log.requests().map(({ finish }) => finish)).toEqual(["tool_calls", "length"]);
  });

  test("an end that the relay made itself is an end", async () => {
    const { v1, log } = setUp([() => sseThenSilence([created, delta("one STOP two")])]);
    await (await post(`${v1}/chat/completions`, chatBody({ stop: "STOP", stream: true }))).text();
    await eventually(() => log.requests().length === 1);
    expect(log.requests()[0]).toMatchObject({
      finish: "stop",
      status: 200,
      tokens_in: undefined,
      client_gone: undefined,
    });
  });

  test("a failure before the status line has its own status", async () => {
    const { v1, log } = setUp([
      refuses(429, { error: { type: "usage_limit_reached", message: "full", resets_in_seconds: 60 } }),
    ]);
    await post(`${v1}/chat/completions`, chatBody());
    expect(log.lines).toMatchObject([
      { level: "info", fields: { status: 429, code: "usage_limit_reached", finish: undefined, model: "gpt-5.5" } },
    ]);
  });

  test("a failure after it shows beside the good status, as a warning", async () => {
    const { v1, log } = setUp([
      () => sse([created, delta("Hel"), failed("server_error", "broke")]),
      () => sse([created, delta("Hel")]),
    ]);
    for (let round = 0; round < 2; round += 1) {
      await (await post(`${v1}/chat/completions`, chatBody({ stream: true }))).text();
    }
    await eventually(() => log.requests().length === 2);
    expect(log.lines).toMatchObject([
      { level: "warn", fields: { status: 200, code: "server_error", finish: undefined } },
      { level: "warn", fields: { status: 200, code: "upstream_stream_truncated" } },
    ]);
  });

  test("an attempt that failed and was repeated leaves no trace in it", async () => {
    const { v1, log } = setUp([() => sse([created, failed("server_is_overloaded", "busy")]), answer]);
    await (await post(`${v1}/chat/completions`, chatBody())).text();
    expect(log.requests()).toMatchObject([{ status: 200, code: undefined, finish: "stop", tokens_out: 56 }]);
  });

  test.each(["before", "after"])("a client that leaves %s the first output is told", async (moment) => {
    const { codex, v1, log } = setUp([() => sseThenSilence(moment === "before" ? [created] : [created, delta("Hel")])]);
    const leaving = new AbortController();
    const reply = post(`${v1}/chat/completions`, chatBody({ stream: true }), {}, leaving.signal);
    if (moment === "after") await (await reply).body?.getReader().read();
    else await eventually(() => codex.bodies.length === 1);
    leaving.abort();
    await reply.catch(() => {});
    await eventually(() => log.requests().length === 1, 3000);
    expect(log.requests()[0]).toMatchObject({
      status: moment === "after" ? 200 : 499,
      code: "client_closed",
      client_gone: true,
      finish: undefined,
    });
  });

  test("requests of a socket have one each", async () => {
    const { relay, log } = setUp([answer]);
    const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/responses`);
    const said: string[] = [];
    socket.addEventListener("message", ({ data }) => said.push(String(data)));
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.send(JSON.stringify({ type: "response.create", model: "gpt-5.5", input: "hi" }));
    await eventually(() => log.requests().length === 1);
    socket.send(JSON.stringify({ type: "response.create", model: "gpt-nobody-knows", input: "hi" }));
    await eventually(() => log.requests().length === 2);
    socket.close();
    expect(log.requests()).toMatchObject([
      { method: "WS", route: "/v1/responses", dialect: "responses", status: 200, tokens_in: 1200, finish: "stop" },
      { method: "WS", route: "/v1/responses", status: 404, code: "model_not_found" },
    ]);
  });

  test("a stream that is cut because the relay stops is no success", async () => {
    const { v1, relay, log } = setUp([() => sseThenSilence([created, delta("Hel")])]);
    const reply = await post(`${v1}/chat/completions`, chatBody({ stream: true }));
    await Promise.all([reply.text(), eventually(() => relay.activeRequests() === 1).then(() => relay.stop())]);
    expect(log.lines).toMatchObject([
      { level: "warn", fields: { status: 200, code: "relay_stopping", finish: undefined } },
    ]);
  });

  test.each([
    ["stops", undefined],
    ["breaks off", "upstream_stream_truncated"],
  ])("what is passed on from the public API and %s", async (how, code) => {
    let end = () => {};
    await using api = listening((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n");
      end = () => void socket.end(how === "stops" ? "0\r\n\r\n" : "");
    });
    const { v1, log, relay } = setUp([says("")], {
      credentials: fixedCredentials({ kind: "api-key" }),
      upstream: { openaiBaseUrl: api.url },
    });
    const reply = await fetch(`${v1}/files`);
    end();
    expect(await reply.text().catch(() => "cut")).toBe(how === "stops" ? "hi" : "cut");
    await eventually(() => relay.activeRequests() === 0);
    expect(log.requests()).toMatchObject([{ status: 200, code, dialect: "public-api" }]);
  });

  test("probes and preflights stay out of it", async () => {
    const { relay, log } = setUp([answer]);
    for (const path of ["/", "/health", "/healthz", "/ready", "/metrics", "/metrics/prometheus"]) {
      await fetch(`${relay.url}${path}`);
    }
    await fetch(`${relay.url}/v1/chat/completions`, { method: "OPTIONS" });
    expect(log.lines).toEqual([]);
  });

  test("but not at debug", async () => {
    const { relay, log } = setUp([answer], {}, true);
    await fetch(`${relay.url}/health`);
    expect(log.requests()).toMatchObject([{ route: "/health", status: 200 }]);
  });
});

describe("what was asked and answered", () => {
  const SECRETS = chatBody({
    messages: [
      { role: "system", content: "be kind" },
      {
        role: "user",
        content: [
          { type: "text", text: "my question" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(5000)}` } },
        ],
      },
    ],
  });

  test.each([true, false])("is told at debug (stream: %s), without pictures", async (stream) => {
    const { v1, log } = setUp([answer], {}, true);
    await (await post(`${v1}/chat/completions`, { ...SECRETS, stream })).text();
    await eventually(() => log.lines.some(({ message }) => message === "completion"));
    const text = (message: string) => String(log.lines.find((line) => line.message === message)?.fields["text"]);
    expect(text("prompt")).toContain("be kind");
    expect(text("prompt")).toContain("my question");
    expect(text("prompt")).not.toContain("A".repeat(100));
    expect(text("completion")).toContain("Hello");
  });

  test("as far as it came when the answer broke off", async () => {
    const { v1, log } = setUp([() => sse([created, delta("Hel")])], {}, true);
    await (await post(`${v1}/chat/completions`, chatBody({ stream: true }))).text();
    await eventually(() => log.lines.some(({ message }) => message === "completion"));
    expect(String(log.lines.at(-1)?.fields["text"])).toContain("Hel");
  });

  test("and at no other level", async () => {
    const { v1, log } = setUp([answer, refuses(400, { detail: "my question is odd" })]);
    for (let round = 0; round < 2; round += 1) await (await post(`${v1}/chat/completions`, SECRETS)).text();
    expect(log.requests()).toHaveLength(2);
    const all = JSON.stringify(log.lines);
    for (const text of ["be kind", "my question", "Hello"]) expect(all).not.toContain(text);
  });
});

test("a client's words are cut before they are shown", async () => {
  const { v1, log } = setUp([answer]);
  await post(`${v1}/chat/completions`, chatBody({ model: "m".repeat(10_000) }));
  await fetch(`${v1}/${"p".repeat(9000)}`);
  const [model, path] = log.requests();
  expect(String(model?.["model_asked"] ?? "").length).toBeLessThanOrEqual(100);
  expect(String(path?.["route"]).length).toBe(200);
});

test("nothing that a client sends becomes a header of its own", async () => {
  const { v1 } = setUp([() => sse([created, delta("x"), completed], { "x-request-id": "req\tid" })]);
  const evil = "gpt-5.5\r\nx-evil: 1\u001b[31m";
  const replies = [
    await post(`${v1}/chat/completions`, chatBody({ model: evil })),
    await post(`${v1}/chat/completions`, chatBody({ [evil]: 1 }), { "x-request-id": "a b" }),
    await fetch(`${v1}/models/${encodeURIComponent(evil)}`),
  ];
  for (const reply of replies) {
    expect(reply.headers.has("x-evil")).toBe(false);
    expect(reply.headers.get("x-request-id")).toMatch(/^[\x20-\x7e\t]+$/);
  }
});
