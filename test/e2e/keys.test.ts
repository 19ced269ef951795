import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { bearer, TestKeys } from "../support/keys.ts";
import { created, delta, fakeCodex, sseThenSilence, type FakeCodex } from "../support/fake-codex.ts";
import { eventually, post, startTestRelay } from "../support/relay.ts";

const model = "gpt-5.5";

let keys: TestKeys;
let demo: DemoRelay;
beforeEach(() => {
  keys = new TestKeys();
});
afterEach(async () => {
  await demo.stop();
  keys.remove();
});

describe("what one key stored, another does not see", () => {
  let mine: OpenAI;
  let theirs: OpenAI;
  let other: string;
  beforeEach(async () => {
    demo = startDemoRelay({ keys: keys.ring });
    const options = { baseURL: demo.v1, maxRetries: 0 };
    mine = new OpenAI({ ...options, apiKey: await keys.add("mine") });
    theirs = new OpenAI({ ...options, apiKey: (other = await keys.add("theirs")) });
  });

  /** Status of every way to reach a stored response, or "in". */
  async function waysIn(id: string, itemId: string): Promise<unknown[]> {
    const ways = [
      () => theirs.responses.retrieve(id),
      () => theirs.responses.inputItems.list(id),
      () => theirs.responses.delete(id),
      () => theirs.responses.cancel(id),
      () => theirs.responses.create({ model, input: "go on", previous_response_id: id }),
      () => theirs.responses.create({ model, input: [{ type: "item_reference", id: itemId }] }),
      () => theirs.responses.create({ model, input: "go on", previous_response_id: `\n${id}` }),
    ];
    const tried = [];
    for (const way of ways) {
      tried.push(
        await way().then(
          () => "in",
          (error: unknown) => (error instanceof OpenAI.APIError ? error.status : error),
        ),
      );
    }
    return tried;
  }

  test("over HTTP", async () => {
    const first = await mine.responses.create({ model, input: "my secret" });
    const [item] = first.output;
    expect(await waysIn(first.id, item?.id ?? "")).toEqual([404, 404, 404, 404, 400, 400, 400]);
    // All of it is still there for its owner.
    expect((await mine.responses.retrieve(first.id)).id).toBe(first.id);
    const again = await mine.responses.create({ model, input: "go on", previous_response_id: first.id });
    expect(again.previous_response_id).toBe(first.id);
    expect((await mine.responses.inputItems.list(again.id)).data.length).toBeGreaterThan(1);
    expect(await mine.responses.delete(first.id)).toMatchObject({ deleted: true });
    expect(demo.backend.refusals).toEqual([]);
  });

  test("over a WebSocket", async () => {
    const first = await mine.responses.create({ model, input: "my secret" });
    const socket = new WebSocket(`${demo.v1.replace("http", "ws")}/responses`, {
      headers: bearer(other),
    } as unknown as string[]);
    const answered = Promise.withResolvers<string>();
    socket.addEventListener("open", () =>
      socket.send(JSON.stringify({ type: "response.create", model, input: "go on", previous_response_id: first.id })),
    );
    socket.addEventListener("message", ({ data }) => answered.resolve(String(data)));
    socket.addEventListener("error", () => answered.reject(new Error("it did not open")));
    expect(JSON.parse(await answered.promise)).toMatchObject({
      type: "error",
      status: 400,
      error: { code: "previous_response_not_found" },
    });
    socket.close();
  });

  test("and conversations of the same name stay apart on their way", async () => {
    const ask = (client: OpenAI, input: string) =>
      client.responses.create({ model, input, prompt_cache_key: "the same", store: false });
    await ask(mine, "one");
    await ask(theirs, "two");
    await ask(mine, "one");
    expect(demo.backend.refusals).toEqual([]);
  });
});

test("reasoning behind a tool call comes back to the key that it was for", async () => {
  demo = startDemoRelay({ keys: keys.ring });
  const [mine, theirs] = [await keys.add("mine"), await keys.add("theirs")];
  const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
  const question = { role: "user", content: "call get_weather" };
  const ask = (key: string, messages: object[]) =>
    post(`${demo.v1}/chat/completions`, { model, messages, tools }, bearer(key)).then((reply) => reply.json());
  const answer = (await ask(mine, [question])) as { choices: { message: { tool_calls: { id: string }[] } }[] };
  const message = answer.choices[0]?.message;
  const loop = [question, message ?? {}, { role: "tool", tool_call_id: message?.tool_calls[0]?.id, content: "rain" }];
  const sent = async (key: string) => {
    await ask(key, loop);
    const { body } = demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).at(-1) ?? {};
    return (body as { input: { type: string }[] }).input.map(({ type }) => type);
  };
  expect(await sent(theirs)).not.toContain("reasoning");
  expect(await sent(mine)).toContain("reasoning");
});

describe("a key that is revoked", () => {
  let backend: FakeCodex;
  let cancelled = 0;
  const start = (answer: () => Response) => {
    cancelled = 0;
    backend = fakeCodex(answer);
    const relay = startTestRelay({ baseUrl: backend.baseUrl, keys: keys.ring });
    demo = {
      relay,
      v1: `${relay.url}/v1`,
      stop: () => relay.stop().then(() => backend.stop()),
    } as unknown as DemoRelay;
    return relay;
  };
  const goesOn = () => sseThenSilence([created, delta("Hel")], () => (cancelled += 1));
  const messages = [{ role: "user", content: "hi" }];

  test.each([
    [
      "/v1/chat/completions",
      { messages },
      /"error":\{"message":"The API key 'laptop' was revoked\..*"code":"invalid_api_key"/,
    ],
    ["/v1/responses", { input: "hi" }, /"type":"error".*'laptop' was revoked/],
    [
      "/v1/messages",
      { messages, max_tokens: 100 },
      /event: error\ndata: .*"authentication_error".*'laptop' was revoked/,
    ],
    ["/api/chat", { messages }, /\{"error":"The API key 'laptop' was revoked/],
    ["/v1/completions", { prompt: "hi" }, /'laptop' was revoked/],
  ])("ends its streams in the form of %s", async (path, body, form) => {
    const relay = start(goesOn);
    const key = await keys.add("laptop");
    const reply = await post(`${relay.url}${path}`, { model, stream: true, ...body }, bearer(key));
    expect(reply.status).toBe(200);
    const text = reply.text();
    await keys.file.revoke("laptop");
    expect(await text).toMatch(form);
    await eventually(() => cancelled === 1 && relay.activeRequests() === 0);
  });

  test("or has expired, likewise", async () => {
    let nowMs = Date.now();
    keys.remove();
    keys = new TestKeys({ now: () => nowMs });
    const relay = start(goesOn);
    const key = await keys.add("laptop", {}, nowMs + 60_000);
    const reply = await post(`${relay.url}/v1/responses`, { model, input: "hi", stream: true }, bearer(key));
    nowMs += 60_000;
    expect(await reply.text()).toMatch(/"type":"error".*'laptop' has expired/);
  });

  test("refuses a request that was waiting for its first output", async () => {
    const asked = Promise.withResolvers<void>();
    const relay = start(() => (asked.resolve(), sseThenSilence([])));
    const key = await keys.add("laptop");
    const reply = post(`${relay.url}/v1/chat/completions`, { model, messages }, bearer(key));
    await asked.promise;
    await keys.file.revoke("laptop");
    expect((await reply).status).toBe(401);
    expect(await (await reply).json()).toMatchObject({ error: { code: "invalid_api_key" } });
  });

  test("and others' streams go on", async () => {
    const relay = start(goesOn);
    const [key, other] = [await keys.add("laptop"), await keys.add("other")];
    const ask = (text: string) => post(`${relay.url}/v1/responses`, { model, input: "hi", stream: true }, bearer(text));
    const [ends, stays] = [await ask(key), await ask(other)];
    await keys.file.revoke("laptop");
    await ends.text();
    expect(relay.activeRequests()).toBe(1);
    await stays.body?.cancel();
  });

  test.each(["while it answers", "while it waits"])("closes its sockets %s", async (when) => {
    const relay = start(goesOn);
    const key = await keys.add("laptop");
    const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/responses`, {
      headers: bearer(key),
    } as unknown as string[]);
    const said: string[] = [];
    const closed = Promise.withResolvers<number>();
    const opened = Promise.withResolvers<void>();
    socket.addEventListener("open", () => opened.resolve());
    socket.addEventListener("message", ({ data }) => said.push(String(data)));
    socket.addEventListener("close", ({ code }) => closed.resolve(code));
    await opened.promise;
    if (when === "while it answers") {
      socket.send(JSON.stringify({ type: "response.create", model, input: "hi" }));
      await eventually(() => said.some((text) => text.includes("Hel")));
    }
    await keys.file.revoke("laptop");
    expect(await closed.promise).toBe(1008);
    expect(said.at(-1)).toMatch(/"type":"error".*'laptop' was revoked/);
    expect(JSON.parse(said.at(-1) ?? "")).toMatchObject({ status: 401 });
  });
});

test("a socket that was opened before there were keys is asked for one with its next request", async () => {
  demo = startDemoRelay(keys.forRelay);
  const socket = new WebSocket(`${demo.v1.replace("http", "ws")}/responses`);
  const said: { type: string; status?: number }[] = [];
  const closed = Promise.withResolvers<number>();
  const opened = Promise.withResolvers<void>();
  socket.addEventListener("open", () => opened.resolve());
  socket.addEventListener("message", ({ data }) => said.push(JSON.parse(String(data)) as (typeof said)[number]));
  socket.addEventListener("close", ({ code }) => closed.resolve(code));
  await opened.promise;
  const ask = () => socket.send(JSON.stringify({ type: "response.create", model, input: "hi" }));
  ask();
  await eventually(() => said.at(-1)?.type === "response.completed");
  await keys.add("laptop");
  ask();
  expect(await closed.promise).toBe(1008);
  expect(said.at(-1)).toMatchObject({ type: "error", status: 401, error: { code: "invalid_api_key" } });
});
