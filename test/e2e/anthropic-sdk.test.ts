import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { created, delta, failed, fakeCodex, refuses, sse } from "../support/fake-codex.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { dataOf, post, startTestRelay } from "../support/relay.ts";

const MODELS = ["gpt-5.5", "gpt-6-sol", "claude-sonnet-5"];

let demo: DemoRelay;
let anthropic: Anthropic;

beforeAll(() => {
  demo = startDemoRelay();
  anthropic = new Anthropic({ baseURL: demo.relay.url, apiKey: "any" });
});
afterEach(() => {
  expect(demo.backend.refusals).toEqual([]);
});
afterAll(() => demo.stop());

const hello = [{ role: "user" as const, content: "Say hello." }];
const weather = {
  name: "get_weather",
  description: "Weather of a city",
  input_schema: { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] },
};

const lastBody = () =>
  demo.backend.requests.findLast(({ path }) => path.endsWith("/responses"))?.body as {
    model: string;
    input: Record<string, unknown>[];
  };

describe.each(MODELS)("messages with %s", (model) => {
  test("whole", async () => {
    const { data, response, request_id } = await anthropic.messages
      .create({ model, max_tokens: 100, messages: hello, system: "Be brief." })
      .withResponse();
    expect(data).toMatchObject({ type: "message", role: "assistant", model, stop_reason: "end_turn" });
    expect(data.content.map(({ type }) => type)).toEqual(["text"]);
    expect(data.usage.output_tokens).toBeGreaterThan(0);
    expect(request_id).toBe(response.headers.get("x-request-id"));
    expect(response.headers.get("x-plansocket-model")).toBe(lastBody().model);
    expect(response.headers.get("x-plansocket-adjusted")).toBe("max_tokens");
  });

  test("streamed, event by event and through the helper", async () => {
    const types: string[] = [];
    for await (const event of await anthropic.messages.create({
      model,
      max_tokens: 100,
      messages: hello,
      stream: true,
    }))
      if (types.at(-1) !== event.type) types.push(event.type);
    expect(types).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    const helper = anthropic.messages.stream({ model, max_tokens: 100, messages: hello });
    let heard = "";
    helper.on("text", (text) => (heard += text));
    const final = await helper.finalMessage();
    expect(final.content).toMatchObject([{ type: "text", text: heard }]);
    expect(final.usage.input_tokens + (final.usage.cache_read_input_tokens ?? 0)).toBeGreaterThan(0);
  });

  test("the tool runner calls a tool and answers with its result, streamed and not", async () => {
    for (const stream of [false, true]) {
      const asked: string[] = [];
      const runner = anthropic.beta.messages.toolRunner({
        model,
        max_tokens: 100,
        stream,
        messages: [{ role: "user", content: "Use the get_weather tool for Rome." }],
        tools: [
          betaZodTool({
            name: "get_weather",
            description: "Weather of a city",
            inputSchema: z.object({ city: z.string() }),
            run: ({ city }) => {
              asked.push(city);
              return `SUNNY-${asked.length}`;
            },
          }),
        ],
      });
      const final = await runner.runUntilDone();
      expect(asked).toHaveLength(1);
      expect(JSON.stringify(final.content)).toContain("SUNNY-1");
    }
  });

  test("parse gives an object of the schema", async () => {
    const Person = z.object({ name: z.string(), age: z.number().int(), tags: z.array(z.enum(["a", "b"])) });
    const reply = await anthropic.messages.parse({
      model,
      max_tokens: 100,
      messages: [{ role: "user", content: "Who?" }],
      output_config: { format: zodOutputFormat(Person) },
    });
    expect(() => Person.parse(reply.parsed_output)).not.toThrow();
  });

  test("thinking comes back with the next turn, in its own place", async () => {
    const thinking = { type: "enabled", budget_tokens: 4096 } as const;
    const messages: Anthropic.MessageParam[] = [{ role: "user", content: "Use the get_weather tool for Rome." }];
    const first = await anthropic.messages
      .stream({ model, max_tokens: 8000, thinking, messages, tools: [weather] })
      .finalMessage();
    expect(first.stop_reason).toBe("tool_use");
    expect(first.content.map(({ type }) => type)).toEqual(["thinking", "tool_use"]);
    const [, call] = first.content;
    if (call?.type !== "tool_use") throw new Error("no tool use");
    expect(call.id).toStartWith("toolu_");
    const second = await anthropic.messages.create({
      model,
      max_tokens: 8000,
      thinking,
      tools: [weather],
      messages: [
        ...messages,
        { role: "assistant", content: first.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "SUNNY" }] },
      ],
    });
    expect(JSON.stringify(second.content)).toContain("SUNNY");
    const types = lastBody().input.map((item) => item["type"]);
    expect(types.slice(-3)).toEqual(["reasoning", "function_call", "function_call_output"]);
    expect(lastBody().input.at(-3)?.["encrypted_content"]).toBeTruthy();
    expect(lastBody().input.at(-2)?.["call_id"]).toBe(lastBody().input.at(-1)?.["call_id"]);
  });

  test("clients that leave thinking out lose none of it between the turns of a tool loop", async () => {
    const messages: Anthropic.MessageParam[] = [{ role: "user", content: "Use the get_weather tool for Oslo." }];
    const first = await anthropic.messages.create({ model, max_tokens: 100, messages, tools: [weather] });
    expect(first.content.map(({ type }) => type)).toEqual(["tool_use"]);
    const [call] = first.content;
    await anthropic.messages.create({
      model,
      max_tokens: 100,
      tools: [weather],
      messages: [
        ...messages,
        { role: "assistant", content: first.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: (call as { id: string }).id, content: "COLD" }] },
      ],
    });
    expect(lastBody().input.map((item) => item["type"])).toContain("reasoning");
  });
});

test("two tools at once, in one message each with its input", async () => {
  const reply = await anthropic.messages
    .stream({
      model: "gpt-5.5",
      max_tokens: 100,
      messages: [{ role: "user", content: "Use get_weather and get_time for Rome at the same time." }],
      tools: [weather, { ...weather, name: "get_time" }],
    })
    .finalMessage();
  expect(reply.content.flatMap((block) => (block.type === "tool_use" ? [block.name] : []))).toEqual([
    "get_weather",
    "get_time",
  ]);
});

test("images and documents", async () => {
  const reply = await anthropic.messages.create({
    model: "gpt-5.5",
    max_tokens: 100,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
          { type: "image", source: { type: "url", url: "https://e.x/a.png" } },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } },
          { type: "document", title: "T", source: { type: "text", media_type: "text/plain", data: "green" } },
          { type: "text", text: "What is this?" },
        ],
      },
    ],
  });
  expect(reply.stop_reason).toBe("end_turn");
  const content = lastBody().input.findLast((item) => item["role"] === "user")?.["content"] as { type: string }[];
  expect(content.map(({ type }) => type)).toEqual([
    "input_image",
    "input_image",
    "input_file",
    "input_text",
    "input_text",
    "input_text",
  ]);
});

test("web search comes with its query, its links and its count", async () => {
  const reply = await anthropic.messages
    .stream({
      model: "claude-haiku-5",
      max_tokens: 100,
      messages: [{ role: "user", content: "Search the web for Bun." }],
      tools: [{ type: "web_search_20250305", name: "web_search" }],
    })
    .finalMessage();
  expect(reply.content.slice(0, 2).map(({ type }) => type)).toEqual(["server_tool_use", "web_search_tool_result"]);
  const text = reply.content.find((block) => block.type === "text");
  expect(text?.citations?.[0]).toMatchObject({ type: "web_search_result_location" });
  expect(reply.usage.server_tool_use?.web_search_requests).toBe(1);
});

test("a stop sequence ends the message before it and is named", async () => {
  const reply = await anthropic.messages
    .stream({ model: "gpt-5.5", max_tokens: 100, messages: hello, stop_sequences: ["never", "stand-in"] })
    .finalMessage();
  expect([reply.stop_reason, reply.stop_sequence]).toEqual(["stop_sequence", "stand-in"]);
  expect(JSON.stringify(reply.content)).not.toContain("stand-in");
});

test("an owner's own choice of models, by name and by family", async () => {
  await using relay = startTestRelay({
    baseUrl: demo.backend.baseUrl,
    credentials: { current: () => demo.relay.upstream.credentials(), recover: () => demo.relay.upstream.credentials() },
    relay: { modelAliases: { opus: "gpt-5.5-high", "claude-x": "gpt-6-sol" } },
  });
  const client = new Anthropic({ baseURL: relay.url, apiKey: "any" });
  const modelFor = async (model: string) => {
    const { response } = await client.messages.create({ model, max_tokens: 1, messages: hello }).withResponse();
    return response.headers.get("x-plansocket-model");
  };
  expect(await modelFor("claude-opus-4-8[1m]")).toBe("gpt-5.5");
  expect(await modelFor("claude-x")).toBe("gpt-6-sol");
  expect(await modelFor("haiku")).toBe("gpt-6-luna");
});

test("tokens are counted without asking the backend", async () => {
  const before = demo.backend.requests.length;
  const count = (text: string) =>
    anthropic.messages.countTokens({
      model: "claude-sonnet-5",
      system: "Be brief.",
      tools: [weather],
      messages: [{ role: "user", content: text }],
    });
  const [short, long] = [await count("hello"), await count("hello world ".repeat(500))];
  expect(short.input_tokens).toBeGreaterThan(20);
  expect(long.input_tokens - short.input_tokens).toBe(1000);
  const withImage = await anthropic.beta.messages.countTokens({
    model: "claude-sonnet-5",
    messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "https://e.x/a.png" } }] }],
  });
  expect(withImage.input_tokens).toBeGreaterThan(500);
  expect(demo.backend.requests.length).toBe(before);
});

test("the account's models, page by page and one by one", async () => {
  const ids: string[] = [];
  for await (const model of anthropic.models.list({ limit: 2 })) ids.push(model.id);
  const { data } = (await (await fetch(`${demo.v1}/models`)).json()) as { data: { id: string }[] };
  expect(ids).toEqual(data.map(({ id }) => id));
  const last = await anthropic.models.list({ before_id: ids.at(-1) ?? "", limit: 2 });
  expect(last.data.map(({ id }) => id)).toEqual(ids.slice(-3, -1));
  expect(await anthropic.models.retrieve("gpt-5.5")).toMatchObject({ type: "model", display_name: "GPT-5.5" });
  const unknown: unknown = await anthropic.models.retrieve("nope").catch((thrown: unknown) => thrown);
  expect(unknown).toBeInstanceOf(Anthropic.NotFoundError);
});

describe("errors in the SDK", () => {
  const ask = (client: Anthropic) => client.messages.create({ model: "gpt-5.5", max_tokens: 1, messages: hello });
  const caught = (promise: PromiseLike<unknown>) =>
    Promise.resolve(promise).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

  test.each([
    ["a lost login", refuses(401, { detail: "no" }), Anthropic.AuthenticationError, 401, "authentication_error"],
    ["403", refuses(403, { detail: "no" }), Anthropic.PermissionDeniedError, 403, "permission_error"],
    ["400", refuses(400, { detail: "no" }), Anthropic.BadRequestError, 400, "invalid_request_error"],
    [
      "a model of another plan",
      refuses(400, { detail: "The 'x' model is not supported when using Codex with a ChatGPT account." }),
      Anthropic.NotFoundError,
      404,
      "not_found_error",
    ],
    [
      "a rate limit",
      () => sse([created, failed("rate_limit_exceeded", "Please try again in 2s.")]),
      Anthropic.RateLimitError,
      429,
      "rate_limit_error",
    ],
    [
      "overload",
      () => sse([created, failed("server_is_overloaded", "busy")]),
      Anthropic.InternalServerError,
      529,
      "overloaded_error",
    ],
    ["a broken backend", refuses(500, { detail: "oops" }), Anthropic.InternalServerError, 502, "api_error"],
    ["a cut before output", () => sse([created]), Anthropic.InternalServerError, 502, "api_error"],
  ])("%s is its class", async (_name, answer, kind, status, type) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const error = await caught(ask(new Anthropic({ baseURL: relay.url, apiKey: "x", maxRetries: 0 })));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, type });
    const { requestID, error: body } = error as InstanceType<typeof Anthropic.APIError>;
    expect(body).toMatchObject({ type: "error", request_id: requestID });
    expect(requestID).toBeTruthy();
  });

  test("a usage limit is told once, with its reset time", async () => {
    const limit = {
      error: {
        type: "usage_limit_reached",
        message: "The usage limit has been reached",
        plan_type: "plus",
        resets_in_seconds: 120,
      },
    };
    await using backend = fakeCodex(refuses(429, limit));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const error = await caught(ask(new Anthropic({ baseURL: relay.url, apiKey: "x" })));
    expect(error).toBeInstanceOf(Anthropic.RateLimitError);
    const limited = error as InstanceType<typeof Anthropic.RateLimitError>;
    expect(limited.headers.get("retry-after")).toBe("120");
    expect(limited.message).toContain("plan plus");
    expect(limited.errorCode).toBe("usage_limit_reached");
    expect(backend.bodies).toHaveLength(1);
  });

  test("a full context in the words that make clients shorten it", async () => {
    const full = failed("context_length_exceeded", "Your input exceeds the context window of this model.");
    await using backend = fakeCodex(() => sse([created, full]));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const error = await caught(ask(new Anthropic({ baseURL: relay.url, apiKey: "x", maxRetries: 0 })));
    expect(error).toBeInstanceOf(Anthropic.BadRequestError);
    expect((error as Error).message).toContain("prompt is too long: Your input exceeds the context window");
  });

  test("what to do next as a sentence of its own", async () => {
    const region = {
      error: { code: "unsupported_country_region_territory", message: "Country, region, or territory not supported" },
    };
    await using backend = fakeCodex(refuses(403, region));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const error = await caught(ask(new Anthropic({ baseURL: relay.url, apiKey: "x", maxRetries: 0 })));
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError);
    expect((error as Error).message).toContain("territory not supported. Set --proxy");
  });

  test("a cut or failed stream throws and does not look finished", async () => {
    for (const end of [[], [failed("server_error", "oops")]]) {
      await using backend = fakeCodex(() => sse([created, delta("Hel"), ...end]));
      await using relay = startTestRelay({ baseUrl: backend.baseUrl });
      const client = new Anthropic({ baseURL: relay.url, apiKey: "x" });
      const stream = client.messages.stream({ model: "gpt-5.5", max_tokens: 1, messages: hello });
      const error = await caught(stream.finalMessage());
      expect(error).toBeInstanceOf(Anthropic.APIError);
      expect(error).toMatchObject({ type: "api_error" });
    }
  });

  test("a failed stream names the request as its header does", async () => {
    const events = [created, delta("Hel"), failed("server_error", "oops")];
    await using backend = fakeCodex(() => sse(events, { "x-request-id": "req_upstream" }));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const reply = await post(`${relay.url}/v1/messages`, {
      model: "gpt-5.5",
      max_tokens: 1,
      messages: hello,
      stream: true,
    });
    expect(reply.headers.get("request-id")).toBe("req_upstream");
    expect(dataOf(await reply.text()).at(-1)).toMatchObject({ type: "error", request_id: "req_upstream" });
  });
});
