import { afterEach, describe, expect, test } from "bun:test";
import type { ServerWebSocket } from "bun";
import type { FinishedBody } from "../../../src/codex/continuation.ts";
import { RelayError } from "../../../src/lib/errors.ts";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import { SILENT_LOG } from "../../../src/lib/log.ts";
import type { EventBatches } from "../../../src/upstream/sse.ts";
import { SocketTransport, type SocketCall, type TransportChoice } from "../../../src/upstream/transport/websocket.ts";
import { openTunnel } from "../../../src/upstream/tunnel.ts";

type Peer = ServerWebSocket<unknown>;
type Answer = (frame: JsonObject, peer: Peer) => void;

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A backend whose sockets answer as `answer` says; `handshakes` counts them. */
function backend(answer: Answer, refuse?: () => Response | undefined) {
  const seen = { handshakes: [] as Headers[], frames: [] as JsonObject[], closed: 0 };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      seen.handshakes.push(request.headers);
      const refusal = refuse?.();
      if (refusal) return refusal;
      const headers = { "x-codex-turn-state": "state-1" };
      return server.upgrade(request, { headers, data: undefined })
        ? undefined
        : new Response("no socket", { status: 400 });
    },
    websocket: {
      perMessageDeflate: true,
      message(peer, text) {
        const frame: unknown = JSON.parse(String(text));
        if (!isObject(frame)) throw new Error("A frame is an object.");
        seen.frames.push(frame);
        answer(frame, peer);
      },
      close: () => void (seen.closed += 1),
    },
  });
  stops.push(() => void server.stop(true));
  return { seen, url: `http://127.0.0.1:${server.port}/responses` };
}

function transport(choice: TransportChoice = "websocket") {
  const clock = { nowMs: 1_000_000 };
  const made = new SocketTransport({
    connect: (url, signal) => openTunnel(url, undefined, signal),
    handshakeTimeoutMs: () => 5000,
    choice: () => choice,
    now: () => clock.nowMs,
    log: SILENT_LOG,
  });
  stops.push(() => made.close());
  return { made, clock };
}

const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const said = (text: string) => ({ type: "message", role: "assistant", content: [{ type: "output_text", text }] });

function call(url: string, input: FinishedBody["input"], over: Partial<SocketCall> = {}): SocketCall {
  return {
    url,
    headers: { authorization: "Bearer token", "openai-beta": "responses_websockets=2026-02-06" },
    body: { model: "gpt-5.5", input },
    frameHeaders: {},
    conversationId: "conversation-1",
    login: "acc-1",
    reply: { handsOnErrors: false, idleTimeoutMs: 5000 },
    ...over,
  };
}

const send = (peer: Peer, ...events: JsonObject[]) => {
  for (const event of events) peer.send(JSON.stringify(event));
};

/** A whole answer of one text, numbered by the frame. */
function answerText(text: string): Answer {
  let count = 0;
  return (_frame, peer) => {
    count += 1;
    const id = `resp_${count}`;
    send(
      peer,
      { type: "response.created", response: { id } },
      { type: "response.output_text.delta", output_index: 0, delta: text },
      { type: "response.output_item.done", output_index: 0, item: { ...said(text), id: `msg_${count}` } },
      { type: "response.completed", response: { id, status: "completed", output: [] } },
    );
  };
}

async function typesOf(events: EventBatches | undefined): Promise<string[]> {
  const types: string[] = [];
  for (let batch = await events?.next(); batch; batch = await events?.next())
    types.push(...batch.map(({ type }) => type));
  return types;
}

const never = new AbortController().signal;

test("the second turn of a conversation sends its new items alone, on the same socket", async () => {
  const { seen, url } = backend(answerText("Hello."));
  const { made } = transport();
  const first = await made.send(call(url, [user("hi")]), never);
  expect(first?.isContinued).toBe(false);
  expect(first?.headers.get("x-codex-turn-state")).toBe("state-1");
  expect(await typesOf(first?.events)).toEqual([
    "response.created",
    "response.output_text.delta",
    "response.output_item.done",
    "response.completed",
  ]);
  const second = await made.send(call(url, [user("hi"), said("Hello."), user("bye")]), never);
  expect(second?.isContinued).toBe(true);
  await typesOf(second?.events);
  expect(seen.handshakes.length).toBe(1);
  expect(seen.handshakes[0]?.get("openai-beta")).toBe("responses_websockets=2026-02-06");
  expect(seen.frames).toEqual([
    { type: "response.create", model: "gpt-5.5", input: [user("hi")] },
    { type: "response.create", model: "gpt-5.5", previous_response_id: "resp_1", input: [user("bye")] },
  ]);
});

test("headers of a single request travel in the frame, under the names that the backend reads there", async () => {
  const { seen, url } = backend(answerText("Hello."));
  const { made } = transport();
  const frameHeaders = { "x-openai-internal-codex-responses-lite": "true" };
  await typesOf((await made.send(call(url, [user("hi")], { frameHeaders }), never))?.events);
  expect(seen.frames[0]?.["client_metadata"]).toEqual({
    ws_request_header_x_openai_internal_codex_responses_lite: "true",
  });
});

describe("auto", () => {
  test("leaves a conversation's first request to HTTP and takes the second", async () => {
    const { seen, url } = backend(answerText("Hello."));
    const { made } = transport("auto");
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(await made.send(call(url, [user("ho")], { conversationId: "another" }), never)).toBeUndefined();
    expect(seen.handshakes.length).toBe(0);
    await typesOf((await made.send(call(url, [user("hi"), said("Hello."), user("bye")]), never))?.events);
    expect(seen.frames.length).toBe(1);
  });

  test("http opens no socket at all", async () => {
    const { seen, url } = backend(answerText("Hello."));
    const { made } = transport("http");
    for (let turn = 0; turn < 3; turn += 1) expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(seen.handshakes.length).toBe(0);
  });
});

test("a parallel turn of the same conversation goes over HTTP while the socket is busy", async () => {
  const { url } = backend((_frame, peer) => send(peer, { type: "response.created", response: { id: "resp_1" } }));
  const { made } = transport();
  const first = await made.send(call(url, [user("hi")]), never);
  expect(await first?.events.next()).toHaveLength(1);
  expect(await made.send(call(url, [user("hi"), user("again")]), never)).toBeUndefined();
  first?.events.cancel();
});

test("a cancelled answer ends its socket, and the next turn goes out whole on a new one", async () => {
  const { seen, url } = backend(answerText("Hello."));
  const { made } = transport();
  const first = await made.send(call(url, [user("hi")]), never);
  first?.events.cancel();
  expect(await first?.events.next()).toBeUndefined();
  const second = await made.send(call(url, [user("hi"), said("Hello."), user("bye")]), never);
  expect(second?.isContinued).toBe(false);
  await typesOf(second?.events);
  expect(seen.handshakes.length).toBe(2);
});

test("an answer that was not complete is never gone on from", async () => {
  const { seen, url } = backend((_frame, peer) => {
    const id = `resp_${seen.frames.length}`;
    const response = { id, status: "incomplete", output: [said("Hel")] };
    send(peer, { type: "response.created", response: { id } }, { type: "response.incomplete", response });
  });
  const { made } = transport();
  await typesOf((await made.send(call(url, [user("hi")]), never))?.events);
  await typesOf((await made.send(call(url, [user("hi"), said("Hel"), user("bye")]), never))?.events);
  expect(seen.frames[1]?.["previous_response_id"]).toBeUndefined();
  expect(seen.handshakes.length).toBe(1);
});

test("an error frame is the failure that it is over HTTP, with its wait and its headers", async () => {
  const { url } = backend((_frame, peer) =>
    send(peer, {
      type: "error",
      status: 429,
      error: { type: "usage_limit_reached", message: "The usage limit has been reached", resets_in_seconds: 90 },
      headers: { "x-codex-primary-used-percent": "100" },
    }),
  );
  const { made } = transport();
  const reply = await made.send(call(url, [user("hi")]), never);
  const error = await typesOf(reply?.events).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RelayError);
  expect((error as RelayError).wireCode).toBe("usage_limit_reached");
  expect((error as RelayError).retryAfterMs).toBe(90_000);
  expect((error as RelayError).headers).toMatchObject({ "x-codex-primary-used-percent": "100" });
});

test("a Codex client gets the error frame itself", async () => {
  const { url } = backend((_frame, peer) => send(peer, { type: "error", status: 400, error: { message: "no" } }));
  const { made } = transport();
  const reply = await made.send(call(url, [user("hi")], { reply: { handsOnErrors: true } }), never);
  expect(await typesOf(reply?.events)).toEqual(["error"]);
});

test("a socket that dies in the middle of an answer is a truncated answer, never an end", async () => {
  const { url } = backend((_frame, peer) => {
    send(peer, { type: "response.created", response: { id: "resp_1" } });
    peer.close(1011, "restart");
  });
  const { made } = transport();
  const reply = await made.send(call(url, [user("hi")]), never);
  const error = await typesOf(reply?.events).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "upstream_stream_truncated" });
});

describe("frames of an answer that is over", () => {
  const history = [user("hi"), said("Hello."), user("bye")];
  const lateEnd = { type: "response.completed", response: { id: "resp_1", status: "completed", output: [] } };
  const lateDelta = { type: "response.output_text.delta", output_index: 0, delta: "Hello." };

  test.each([lateEnd, lateDelta])("are not the next answer's: $type", async (late) => {
    const answer = answerText("Hello.");
    const { seen, url } = backend((frame, peer) => {
      if (frame["previous_response_id"] !== undefined) send(peer, late);
      answer(frame, peer);
    });
    const { made } = transport();
    await typesOf((await made.send(call(url, [user("hi")]), never))?.events);
    const second = await made.send(call(url, history), never);
    expect(second?.isContinued).toBe(true);
    expect(typesOf(second?.events)).rejects.toMatchObject({ code: "upstream_stream_truncated" });
    const third = await made.send(call(url, history), never);
    expect([third?.isNew, third?.isContinued]).toEqual([true, false]);
    expect((await typesOf(third?.events)).at(-1)).toBe("response.completed");
    expect(seen.handshakes.length).toBe(2);
  });

  test("a refusal that comes before its answer has begun is none of them", async () => {
    let count = 0;
    const { url } = backend((_frame, peer) => {
      count += 1;
      const id = `resp_${count}`;
      if (count === 1) send(peer, { type: "response.created", response: { id } });
      send(peer, { type: count === 1 ? "response.completed" : "response.failed", response: { id, output: [] } });
    });
    const { made } = transport();
    await typesOf((await made.send(call(url, [user("hi")]), never))?.events);
    expect(await typesOf((await made.send(call(url, [user("ho")]), never))?.events)).toEqual(["response.failed"]);
  });
});

test("a silent backend is a timeout", async () => {
  const { url } = backend(() => {});
  const { made } = transport();
  const reply = await made.send(call(url, [user("hi")], { reply: { handsOnErrors: false, idleTimeoutMs: 30 } }), never);
  const error = await typesOf(reply?.events).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "upstream_timeout" });
});

describe("where the backend serves no socket", () => {
  test("426 sends everything over HTTP at once, and asks again after ten minutes", async () => {
    const { seen, url } = backend(answerText("x"), () => new Response("no", { status: 426 }));
    const { made, clock } = transport();
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(seen.handshakes.length).toBe(1);
    clock.nowMs += 10 * 60_000 + 1;
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(seen.handshakes.length).toBe(2);
  });

  test("other refusals are tried twice, then HTTP for five minutes", async () => {
    const { seen, url } = backend(answerText("x"), () => new Response("busy", { status: 503 }));
    const { made, clock } = transport();
    for (let turn = 0; turn < 4; turn += 1) expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(seen.handshakes.length).toBe(2);
    clock.nowMs += 5 * 60_000 + 1;
    await made.send(call(url, [user("hi")]), never);
    expect(seen.handshakes.length).toBe(3);
  });

  test("a login that is refused is told, so that it can be renewed", async () => {
    const { url } = backend(answerText("x"), () =>
      Response.json({ error: { code: "token_expired" } }, { status: 401 }),
    );
    const { made } = transport();
    const error = await made.send(call(url, [user("hi")]), never).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "upstream_unauthorized" });
  });
});

test("a socket belongs to one login, and is not used after an hour", async () => {
  const { seen, url } = backend(answerText("Hello."));
  const { made, clock } = transport();
  const turn = async (login: string) => typesOf((await made.send(call(url, [user("hi")], { login }), never))?.events);
  await turn("acc-1");
  await turn("acc-1");
  expect(seen.handshakes.length).toBe(1);
  await turn("acc-2");
  expect(seen.handshakes.length).toBe(2);
  clock.nowMs += 55 * 60_000 + 1;
  await turn("acc-2");
  expect(seen.handshakes.length).toBe(3);
});

test("no more than 32 sockets are kept; the least recently used goes first", async () => {
  const { seen, url } = backend(answerText("Hello."));
  const { made } = transport();
  for (let index = 0; index < 40; index += 1) {
    const conversationId = `conversation-${index}`;
    await typesOf((await made.send(call(url, [user("hi")], { conversationId }), never))?.events);
  }
  expect(seen.handshakes.length).toBe(40);
  await typesOf((await made.send(call(url, [user("hi")], { conversationId: "conversation-39" }), never))?.events);
  expect(seen.handshakes.length).toBe(40);
  await typesOf((await made.send(call(url, [user("hi")], { conversationId: "conversation-0" }), never))?.events);
  expect(seen.handshakes.length).toBe(41);
});

test("more than 32 answers at a time go over HTTP", async () => {
  const { seen, url } = backend((_frame, peer) => send(peer, { type: "response.created", response: { id: "r" } }));
  const { made } = transport();
  const starts = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      made.send(call(url, [user("hi")], { conversationId: `conversation-${index}` }), never),
    ),
  );
  expect(starts.filter((started) => started !== undefined).length).toBe(32);
  expect(seen.handshakes.length).toBe(32);
});

describe("a socket that is opened ahead", () => {
  test("takes the next request, which waits for its handshake", async () => {
    const { seen, url } = backend(answerText("Hello."));
    const { made } = transport("auto");
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    made.warm(call(url, []));
    made.warm(call(url, []));
    const second = await made.send(call(url, [user("hi"), said("Hello."), user("bye")]), never);
    expect([second?.isNew, second?.isContinued]).toEqual([true, false]);
    await typesOf(second?.events);
    const third = await made.send(
      call(url, [user("hi"), said("Hello."), user("bye"), said("Hello."), user("x")]),
      never,
    );
    expect([third?.isNew, third?.isContinued]).toEqual([false, true]);
    await typesOf(third?.events);
    expect(seen.handshakes.length).toBe(1);
  });

  test("is none where the backend refuses it: the next request goes over HTTP", async () => {
    const { seen, url } = backend(answerText("Hello."), () => new Response("no", { status: 426 }));
    const { made } = transport();
    made.warm(call(url, []));
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    made.warm(call(url, []));
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(seen.handshakes.length).toBe(1);
  });

  test("is not used under another login", async () => {
    const { seen, url } = backend(answerText("Hello."));
    const { made } = transport();
    made.warm(call(url, []));
    await typesOf((await made.send(call(url, [user("hi")], { login: "acc-2" }), never))?.events);
    expect(seen.handshakes.length).toBe(2);
  });

  test("is closed when the relay stops meanwhile", async () => {
    const { seen, url } = backend(answerText("Hello."));
    const { made } = transport();
    made.warm(call(url, []));
    made.close();
    expect(await made.send(call(url, [user("hi")]), never)).toBeUndefined();
    expect(seen.frames).toEqual([]);
  });
});

test("the limit of a handshake holds for the connection below it", async () => {
  const made = new SocketTransport({
    connect: (_url, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    handshakeTimeoutMs: () => 1,
    choice: () => "websocket",
    now: () => 0,
    log: SILENT_LOG,
  });
  expect(await made.send(call("http://127.0.0.1:9/responses", [user("hi")]), never)).toBeUndefined();
});

test("a reader that stops holds the backend back", async () => {
  const chunk = "x".repeat(64 * 1024);
  const sent = { bytes: 0, blocked: false };
  const { url } = backend((_frame, peer) => {
    for (let count = 0; count < 2000 && !sent.blocked; count += 1) {
      const result = peer.send(
        JSON.stringify({ type: "response.output_text.delta", output_index: 0, delta: chunk + count }),
        false,
      );
      sent.bytes += chunk.length;
      sent.blocked = result === -1 || result === 0;
    }
  });
  const { made } = transport();
  const reply = await made.send(call(url, [user("hi")]), never);
  await reply?.events.next();
  expect(sent.blocked).toBe(true);
  expect(sent.bytes).toBeLessThan(64 * 1024 * 1024);
  reply?.events.cancel();
});

test.each([null, undefined, 7, "text"])(
  "an item that is none (%p) ends in no history, and harms nothing",
  async (item) => {
    const { seen, url } = backend((_frame, peer) =>
      send(
        peer,
        { type: "response.created", response: { id: "resp_1" } },
        { type: "response.output_item.done", output_index: 0, item },
        { type: "response.completed", response: { id: "resp_1", status: "completed", output: [] } },
      ),
    );
    const { made } = transport();
    const first = await made.send(call(url, [user("hi")]), never);
    expect((await typesOf(first?.events)).at(-1)).toBe("response.completed");
    const second = await made.send(call(url, [user("hi"), said("Hello."), user("bye")]), never);
    await typesOf(second?.events);
    expect(seen.frames.length).toBe(2);
  },
);
