import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import { startStandIn } from "../stand-in/backend.ts";
import { TINY_PNG } from "../../src/demo/tools.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { eventually, fixedCredentials, post, startTestRelay } from "../support/relay.ts";

let demo: DemoRelay;
let openai: OpenAI;

beforeAll(() => {
  demo = startDemoRelay();
  openai = new OpenAI({ baseURL: demo.v1, apiKey: "any", maxRetries: 0 });
});
afterAll(() => demo.stop());

const png = () => toFile(Buffer.from(TINY_PNG, "base64"), "fox.png", { type: "image/png" });
const lastTo = (path: string) => demo.backend.requests.findLast((request) => request.path === path);
const NOT_THERE = { kind: "http", status: 404, body: { detail: "Not Found" } } as const;
const thrownBy = (call: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(call).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

const obeysTheRules = () => expect(demo.backend.refusals).toEqual([]);

describe("images.generate", () => {
  afterEach(obeysTheRules);

  test("draws at the backend's image endpoint", async () => {
    const { data: image, response } = await openai.images
      .generate({ model: "gpt-image-2", prompt: "a red fox", n: 2, size: "1536x1024", quality: "high", user: "u" })
      .withResponse();
    expect(image.data?.map(({ b64_json: base64 }) => base64)).toEqual([TINY_PNG, TINY_PNG]);
    expect([image.size, image.quality, image.usage?.total_tokens]).toEqual(["1536x1024", "high", 210]);
    expect(image.usage?.input_tokens_details).toEqual({
      image_tokens: 0,
      text_tokens: image.usage?.input_tokens ?? -1,
    });
    expect(response.headers.get("x-plansocket-adjusted")).toBe("user");
    expect(response.headers.get("x-request-id")).toBeTruthy();
    const asked = lastTo("/backend-api/codex/images/generations");
    expect(asked?.body).toEqual({
      prompt: "a red fox",
      model: "gpt-image-2",
      n: 2,
      size: "1536x1024",
      quality: "high",
    });
    expect(asked?.headers["x-codex-image-turn-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(asked?.headers["chatgpt-account-id"]).toBeTruthy();
  });

  test("draws with the hosted tool where that endpoint is not there", async () => {
    demo.backend.scriptEndpoints(NOT_THERE);
    const image = await openai.images.generate({ prompt: "a red fox", n: 2, size: "1024x1536" });
    expect(image.data?.map(({ b64_json: base64 }) => base64)).toEqual([TINY_PNG, TINY_PNG]);
    expect(image.size).toBe("1024x1536");
  });

  test("leaves out what the backend refuses, and says so", async () => {
    demo.backend.scriptEndpoints({ kind: "http", status: 400, body: { detail: "Unsupported parameter: moderation" } });
    const { response } = await openai.images.generate({ prompt: "a red fox", moderation: "low" }).withResponse();
    expect(response.headers.get("x-plansocket-adjusted")).toBe("moderation");
    expect(lastTo("/backend-api/codex/images/generations")?.body).toEqual({
      prompt: "a red fox",
      model: "gpt-image-2",
    });
  });

  test("asks again after an overload, not after a limit", async () => {
    const before = demo.backend.requests.length;
    const overloaded = { error: { code: "server_is_overloaded", message: "busy" } };
    demo.backend.scriptEndpoints({ kind: "http", status: 503, body: overloaded });
    expect((await openai.images.generate({ prompt: "a red fox" })).data).toHaveLength(1);
    expect(demo.backend.requests.length - before).toBe(2);
    const limited = await thrownBy(openai.images.generate({ prompt: "a fox, fault:usage_limit" }));
    expect(limited).toBeInstanceOf(OpenAI.RateLimitError);
    expect((limited as InstanceType<typeof OpenAI.RateLimitError>).code).toBe("usage_limit_reached");
    expect((limited as InstanceType<typeof OpenAI.RateLimitError>).headers?.get("retry-after")).toBeTruthy();
    expect(demo.backend.requests.length - before).toBe(3);
  });

  test("streams what it has so far", async () => {
    const stream = await openai.images.generate({ prompt: "a red fox", stream: true, partial_images: 2 });
    const events: string[] = [];
    for await (const event of stream) {
      events.push(event.type);
      expect(event.b64_json).toBe(TINY_PNG);
      if (event.type === "image_generation.completed") expect(event.usage.total_tokens).toBeGreaterThan(0);
    }
    expect(events).toEqual([
      "image_generation.partial_image",
      "image_generation.partial_image",
      "image_generation.completed",
    ]);
  });

  test("a stream that fails throws, before its first image with the true status", async () => {
    const failing = await thrownBy(openai.images.generate({ prompt: "fault:http_overload", stream: true }));
    expect(failing).toBeInstanceOf(OpenAI.InternalServerError);
    const stream = await openai.images.generate({ prompt: "fault:truncated", stream: true, partial_images: 1 });
    const read = async () => {
      for await (const event of stream) expect(event.type).toBe("image_generation.partial_image");
    };
    expect(await thrownBy(read())).toMatchObject({ code: "upstream_stream_truncated" });
  });

  test.each([
    [{ prompt: "x", n: 11 }, "n"],
    [{ prompt: "" }, "prompt"],
    [{ prompt: "x", partial_images: 9, stream: true as const }, "partial_images"],
  ])("refuses %j", async (body, param) => {
    const thrown = await thrownBy(openai.images.generate(body));
    expect(thrown).toBeInstanceOf(OpenAI.BadRequestError);
    expect((thrown as InstanceType<typeof OpenAI.BadRequestError>).param).toBe(param);
  });
});

describe("images.edit", () => {
  afterEach(obeysTheRules);

  test("sends files as the backend wants them", async () => {
    const image = await openai.images.edit({ image: [await png(), await png()], prompt: "in winter", quality: "low" });
    expect(image.data?.[0]?.b64_json).toBe(TINY_PNG);
    const url = { image_url: `data:image/png;base64,${TINY_PNG}` };
    expect(lastTo("/backend-api/codex/images/edits")?.body).toEqual({
      images: [url, url],
      prompt: "in winter",
      model: "gpt-image-2",
      quality: "low",
    });
  });

  test("with a mask, through the hosted tool", async () => {
    demo.backend.scriptEndpoints(NOT_THERE);
    const image = await openai.images.edit({ image: await png(), mask: await png(), prompt: "in winter" });
    expect(image.data?.[0]?.b64_json).toBe(TINY_PNG);
    expect(lastTo("/backend-api/codex/responses")?.body).toMatchObject({
      tools: [{ type: "image_generation", input_image_mask: { image_url: `data:image/png;base64,${TINY_PNG}` } }],
      tool_choice: "auto",
    });
  });

  test("streams", async () => {
    const stream = await openai.images.edit({
      image: await png(),
      prompt: "in winter",
      stream: true,
      partial_images: 1,
    });
    const events: string[] = [];
    for await (const event of stream) events.push(event.type);
    expect(events).toEqual(["image_edit.partial_image", "image_edit.completed"]);
  });

  test("takes JSON too", async () => {
    const body = { prompt: "in winter", images: [{ image_url: "https://example.com/fox.png" }] };
    const reply = await post(`${demo.v1}/images/edits`, body);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ data: [{ b64_json: TINY_PNG }] });
  });

  test("a picture to go by that the backend has no place for is not left out in silence", async () => {
    const image = await toFile(Buffer.from(TINY_PNG, "base64"), "fox.png", { type: "image/png" });
    const error = await openai.images.edit({ prompt: "in winter", image, markup: image }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect((error as InstanceType<typeof OpenAI.BadRequestError>).param).toBe("markup");
  });

  test("what is no form, or no image, is told so", async () => {
    const form = (text: string, type = "multipart/form-data; boundary=x") =>
      fetch(`${demo.v1}/images/edits`, { method: "POST", headers: { "content-type": type }, body: text });
    for (const reply of [await form("nonsense"), await form("--x--", "multipart/form-data"), await form("--x--\r\n")]) {
      expect(reply.status).toBe(400);
      expect(await reply.json()).toMatchObject({ error: { type: "invalid_request_error" } });
    }
    const text = await toFile(Buffer.from("hello"), "fox.png", { type: "image/png" });
    expect(await thrownBy(openai.images.edit({ image: text, prompt: "x" }))).toMatchObject({ param: "image" });
  });
});

test("a token that has ended is renewed once and the request sent again", async () => {
  const backend = startStandIn();
  const { accessToken, accountId } = backend.issueLogin();
  const stale = fixedCredentials({ accessToken: "stale", accountId });
  await using relay = startTestRelay({
    baseUrl: backend.baseUrl,
    credentials: {
      current: () => stale.current(),
      recover: (rejected) => Promise.resolve({ ...rejected, accessToken }),
    },
  });
  const reply = await post(`${relay.url}/v1/images/generations`, { prompt: "a red fox" });
  expect(reply.status).toBe(200);
  const drawings = backend.requests.filter(({ path }) => path.endsWith("/images/generations"));
  expect(drawings.map((request) => request.status())).toEqual([401, 200]);
  await backend.stop();
});

describe.each(["gpt-5.5", "gpt-6-sol"])("chat with %s", (model) => {
  afterEach(obeysTheRules);
  const url = `data:image/png;base64,${TINY_PNG}`;

  test("images and files go in", async () => {
    const reply = await openai.chat.completions.create({
      model,
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "What are these?" },
            { type: "image_url", image_url: { url } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } },
          ],
        },
      ],
    });
    expect(reply.choices[0]?.message.content).toMatch(/1 image, 1 file/);
  });

  test("images come out, whole and streamed", async () => {
    const body = {
      model,
      messages: [{ role: "user" as const, content: "Draw an image of a fox." }],
      tools: [{ type: "image_generation" }] as unknown as OpenAI.ChatCompletionTool[],
    };
    const image = { index: 0, type: "image_url", image_url: { url } };
    const whole = await openai.chat.completions.create(body);
    expect(whole.choices[0]?.message).toMatchObject({ images: [image] });
    const images: unknown[] = [];
    for await (const chunk of await openai.chat.completions.create({ ...body, stream: true })) {
      images.push(...((chunk.choices[0]?.delta as { images?: unknown[] } | undefined)?.images ?? []));
    }
    expect(images).toEqual([image]);
  });
});

test("with an API-key login files go to the public API byte for byte", async () => {
  const seen: { path: string; key: string | null; type: string; body: string }[] = [];
  const publicApi = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { headers, url } = request;
      const [key, type] = [headers.get("authorization"), headers.get("content-type") ?? ""];
      seen.push({ path: new URL(url).pathname, key, type, body: await request.text() });
      return Response.json({ created: 1, data: [] });
    },
  });
  await using relay = startTestRelay({
    baseUrl: "http://127.0.0.1:9",
    upstream: { openaiBaseUrl: `http://127.0.0.1:${publicApi.port}/v1` },
    credentials: fixedCredentials({ kind: "api-key", accessToken: "sk-1", accountId: undefined }),
  });
  const type = "multipart/form-data; boundary=mine";
  const body = '--mine\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n--mine--\r\n';
  for (const path of ["/images/edits", "/v1/audio/transcriptions", "/v1/responses/input_tokens"]) {
    const reply = await fetch(relay.url + path, { method: "POST", headers: { "content-type": type }, body });
    expect([reply.status, await reply.json()]).toEqual([200, { created: 1, data: [] }]);
  }
  const same = { key: "Bearer sk-1", type, body };
  expect(seen).toEqual([
    { path: "/v1/images/edits", ...same },
    { path: "/v1/audio/transcriptions", ...same },
    { path: "/v1/responses/input_tokens", ...same },
  ]);
  await publicApi.stop(true);
});

/** A backend that says only what the test wants, byte for byte. */
function saying(answer: (request: Request) => Response | Promise<Response>) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer });
  return {
    baseUrl: `http://127.0.0.1:${server.port}/backend-api/codex`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

const isDrawing = (request: Request) => new URL(request.url).pathname.includes("/images/");

describe("hard times", () => {
  test("a client that leaves ends the drawing", async () => {
    let hasLeft = false;
    let asked = 0;
    await using backend = saying((request) => {
      if (!isDrawing(request)) return Response.json({ models: [] });
      asked += 1;
      request.signal.addEventListener("abort", () => (hasLeft = true));
      return new Promise(() => {});
    });
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const leaving = new AbortController();
    const reply = thrownBy(post(`${relay.url}/v1/images/generations`, { prompt: "x" }, {}, leaving.signal));
    await eventually(() => asked === 1);
    leaving.abort();
    expect(await reply).toBeDefined();
    await eventually(() => hasLeft && relay.activeRequests() === 0);
    expect(asked).toBe(1);
  });

  test.each([
    ["no JSON", () => new Response("<html>", { headers: { "content-type": "text/html" } }), 502, "upstream_error"],
    ["a list", () => Response.json([]), 502, "upstream_error"],
    ["no images", () => Response.json({ data: "none" }), 502, "upstream_error"],
    ["nothing", () => new Response(null), 502, "upstream_error"],
    ["a page that wants a browser", () => challenge(), 502, "access_denied"],
  ])("%s is an error once", async (_what, answer, status, code) => {
    let asked = 0;
    await using backend = saying((request) => {
      if (!isDrawing(request)) return Response.json({ models: [] });
      asked += 1;
      return answer();
    });
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const reply = await post(`${relay.url}/v1/images/generations`, { prompt: "x" });
    expect([reply.status, asked]).toEqual([status, 1]);
    expect(await reply.json()).toMatchObject({ error: { code } });
  });

  test.each([
    ["stops", false, 504, "upstream_timeout"],
    ["breaks off", true, 502, "upstream_stream_truncated"],
  ])("an answer that %s in the middle is an error once", async (_how, isTorn, status, code) => {
    let asked = 0;
    const backend = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, bytes) {
          if (!bytes.toString().includes("/images/")) {
            socket.end("HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n");
            return;
          }
          asked += 1;
          socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"data":[');
          if (isTorn) socket.end();
        },
      },
    });
    await using relay = startTestRelay({
      baseUrl: `http://127.0.0.1:${backend.port}/backend-api/codex`,
      upstream: { idleTimeoutMs: 300 },
    });
    const reply = await post(`${relay.url}/v1/images/generations`, { prompt: "x" });
    expect([reply.status, asked]).toEqual([status, 1]);
    expect(await reply.json()).toMatchObject({ error: { code } });
    backend.stop(true);
  });

  test("--strict, the body's limit and the gate hold here too", async () => {
    await using relay = startTestRelay({
      baseUrl: demo.backend.baseUrl,
      relay: { strict: true, maxBodyBytes: 2000, apiKey: "k" },
    });
    const url = `${relay.url}/v1/images/generations`;
    const key = { authorization: "Bearer k" };
    expect((await post(url, { prompt: "x" })).status).toBe(401);
    expect((await post(url, { prompt: "x", style: "vivid" }, key)).status).toBe(400);
    expect((await post(url, { prompt: "x".repeat(3000) }, key)).status).toBe(413);
    expect((await post(url, { prompt: "x" }, { ...key, origin: "https://evil.example" })).status).toBe(403);
    expect((await post(url, { prompt: "x" }, { ...key, host: "evil.example" })).status).toBe(403);
    expect((await fetch(url, { headers: key })).status).toBe(405);
  });
});

function challenge(): Response {
  return new Response("<!DOCTYPE html>", {
    status: 403,
    headers: { "content-type": "text/html", "cf-mitigated": "x" },
  });
}
