import { describe, expect, test } from "bun:test";
import { created, delta, fakeCodex, says, sse, sseThenSilence } from "../support/fake-codex.ts";
import { chatBody, dataOf, eventually, post, startTestRelay } from "../support/relay.ts";

const REQUESTS = {
  "chat, streamed": ["/v1/chat/completions", chatBody({ stream: true })],
  "chat, whole": ["/v1/chat/completions", chatBody()],
  "responses, streamed": ["/v1/responses", { model: "gpt-5.5", input: "hi", stream: true }],
  "responses, whole": ["/v1/responses", { model: "gpt-5.5", input: "hi" }],
} as const;

describe.each(Object.entries(REQUESTS))("a client that leaves (%s)", (_name, [path, body]) => {
  test.each([
    ["before upstream has answered", () => new Promise<Response>(() => {})],
    ["while only preamble has come", () => sseThenSilence([created])],
    ["in the middle of the answer", () => sseThenSilence([created, delta("Hel")])],
  ])("%s cancels upstream within a second", async (_when, answer) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const client = new AbortController();
    const reply = post(relay.url + path, body, {}, client.signal).then((response) => response.text());
    reply.catch(() => {});
    await eventually(() => backend.bodies.length === 1);
    client.abort();
    await eventually(() => backend.aborted() === 1, 1000);
    await eventually(() => relay.activeRequests() === 0, 1000);
  });
});

test("a client that stops reading in the middle cancels upstream", async () => {
  await using backend = fakeCodex(() => sseThenSilence([created, delta("Hel")]));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }));
  const reader = reply.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await eventually(() => backend.aborted() === 1, 1000);
});

test("a stop sequence lets go of upstream at once", async () => {
  let isCancelled = false;
  await using backend = fakeCodex(() =>
    sseThenSilence([created, delta("one EN"), delta("D two")], () => (isCancelled = true)),
  );
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true, stop: "END" }));
  const text = await reply.text();
  expect(text).toContain('"content":"one "');
  expect(text).not.toContain("two");
  expect(text).toContain('"finish_reason":"stop"');
  expect(reply.headers.get("x-plansocket-adjusted")).toBe("stop");
  await eventually(() => isCancelled || backend.aborted() === 1, 1000);
});

test("silence gets keep-alive comments that no client sees", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using backend = fakeCodex(() => {
    const encoder = new TextEncoder();
    const frame = (event: object) => encoder.encode(`data: ${JSON.stringify(event)}\n\n`);
    return new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(frame(delta("a")));
          await promise;
          controller.enqueue(frame(delta("b")));
          controller.enqueue(frame({ type: "response.completed", response: { output: [] } }));
          controller.close();
        },
      }),
      { headers: { "content-type": "text/event-stream" } },
    );
  });
  await using relay = startTestRelay({ baseUrl: backend.baseUrl, relay: { keepAliveMs: 10 } });
  const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }));
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of reply.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split(": keepalive\n\n").length > 3) resolve();
  }
  expect(text).toContain(": keepalive\n\n");
  expect(dataOf(text).at(-1)).toBe("[DONE]");
  expect(text.match(/"content":"(a|b)"/g)).toHaveLength(2);
});

test("the status line goes out after a while even if the model only thinks", async () => {
  await using backend = fakeCodex(() => sseThenSilence([created]));
  await using relay = startTestRelay({
    baseUrl: backend.baseUrl,
    upstream: { holdMs: 20 },
    relay: { keepAliveMs: 10 },
  });
  const client = new AbortController();
  const reply = await post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }), {}, client.signal);
  expect(reply.status).toBe(200);
  const chunk = await reply.body?.getReader().read();
  expect(new TextDecoder().decode(chunk?.value as Uint8Array)).toContain(": keepalive");
  client.abort();
});

test("one request too many is told so at once", async () => {
  await using backend = fakeCodex(() => sseThenSilence([created, delta("x")]));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl, relay: { maxRequests: 2 } });
  const open = () => post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }));
  const streams = [await open(), await open()];
  expect(streams.map((stream) => stream.status)).toEqual([200, 200]);
  const third = await open();
  expect([third.status, third.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await third.json()).toMatchObject({ error: { code: "relay_busy", type: "server_error" } });
  expect((await fetch(`${relay.url}/health`)).status).toBe(200);
  await Promise.all(streams.map((stream) => stream.body?.cancel()));
  await eventually(() => relay.activeRequests() === 0);
  expect((await open()).status).toBe(200);
});

test("draining waits for what runs and lets nothing new in", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using backend = fakeCodex(async () => {
    await promise;
    return says("done")();
  });
  const relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = post(`${relay.url}/v1/chat/completions`, chatBody());
  await eventually(() => backend.bodies.length === 1);
  expect(await relay.drain(20)).toBe(false);
  const refused = await post(`${relay.url}/v1/chat/completions`, chatBody()).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Error);
  resolve();
  expect((await reply).status).toBe(200);
  expect(await relay.drain(1000)).toBe(true);
});

test("a relay that stops at once tells those who wait", async () => {
  let asked = 0;
  await using backend = fakeCodex(() => ((asked += 1), sseThenSilence([created, delta("Hel")])));
  const relay = startTestRelay({ baseUrl: backend.baseUrl });
  const streamed = post(`${relay.url}/v1/chat/completions`, chatBody({ stream: true }));
  const whole = post(`${relay.url}/v1/chat/completions`, chatBody());
  const text = (await streamed).text();
  await eventually(() => asked === 2);
  await relay.stop();
  expect(dataOf(await text).slice(-2)).toMatchObject([{ error: { code: "relay_stopping" } }, "[DONE]"]);
  const refused = await whole;
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await refused.json()).toMatchObject({ error: { code: "relay_stopping" } });
});

test("many events in one read and one event in many reads are the same answer", async () => {
  const events = [created, delta("a"), delta("b"), { type: "response.completed", response: { output: [] } }];
  await using backend = fakeCodex(() => sse(events));
  await using relay = startTestRelay({ baseUrl: backend.baseUrl });
  const reply = await post(`${relay.url}/v1/chat/completions`, chatBody());
  expect(await reply.json()).toMatchObject({ choices: [{ message: { content: "ab" }, finish_reason: "stop" }] });
});
