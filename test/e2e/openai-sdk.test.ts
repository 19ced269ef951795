import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { completed, created, delta, failed, fakeCodex, refuses, sse } from "../support/fake-codex.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { startTestRelay } from "../support/relay.ts";

const MODELS = ["gpt-5.5", "gpt-6-sol"];

let demo: DemoRelay;
let openai: OpenAI;

beforeAll(() => {
  demo = startDemoRelay();
  openai = new OpenAI({ baseURL: demo.v1, apiKey: "any" });
});
afterEach(() => {
  expect(demo.backend.refusals).toEqual([]);
});
afterAll(() => demo.stop());

const weather = {
  type: "function" as const,
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

describe.each(MODELS)("chat.completions with %s", (model) => {
  test("whole and streamed", async () => {
    const messages = [{ role: "user", content: "Say hello." }] as const;
    const whole = await openai.chat.completions.create({ model, messages: [...messages] });
    expect(whole.choices[0]?.message.content).toBeTruthy();
    expect(whole.choices[0]?.finish_reason).toBe("stop");
    expect(whole.usage?.total_tokens).toBeGreaterThan(0);
    expect(whole.model).toBe(model);

    const stream = await openai.chat.completions.create({
      model,
      messages: [...messages],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usageChunks = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.usage) usageChunks += 1;
    }
    expect(text).toBeTruthy();
    expect(usageChunks).toBe(1);
  });

  test("the stream helper and its final answer", async () => {
    const runner = openai.chat.completions.stream({ model, messages: [{ role: "user", content: "Say hello." }] });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBeTruthy();
  });

  test("runTools calls a function and answers with its result", async () => {
    const asked: string[] = [];
    const runner = openai.chat.completions.runTools({
      model,
      messages: [{ role: "user", content: "Use the get_weather tool for Rome." }],
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: JSON.parse,
            function: ({ city }: { city: string }) => {
              asked.push(city);
              return `SUNNY-${asked.length}`;
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toContain("SUNNY-1");
    expect(asked).toHaveLength(1);
  });

  test("runTools, streamed", async () => {
    let calls = 0;
    const runner = openai.chat.completions.runTools({
      model,
      stream: true,
      messages: [{ role: "user", content: "Use the get_weather tool for Rome." }],
      tools: [
        {
          type: "function",
          function: { ...weather.function, parse: JSON.parse, function: () => ((calls += 1), "RAINY") },
        },
      ],
    });
    expect(await runner.finalContent()).toContain("RAINY");
    expect(calls).toBe(1);
  });

  test("parse gives an object of the schema", async () => {
    const Person = z.object({ name: z.string(), age: z.number().int(), tags: z.array(z.enum(["a", "b"])) });
    const reply = await openai.chat.completions.parse({
      model,
      messages: [{ role: "user", content: "Who?" }],
      response_format: zodResponseFormat(Person, "person"),
    });
    expect(() => Person.parse(reply.choices[0]?.message.parsed)).not.toThrow();
  });

  test("a forced tool, a forbidden tool, a JSON object", async () => {
    const forced = await openai.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Hello" }],
      tools: [weather],
      tool_choice: { type: "function", function: { name: "get_weather" } },
    });
    const call = forced.choices[0]?.message.tool_calls?.[0];
    expect(forced.choices[0]?.finish_reason).toBe("tool_calls");
    expect(call?.type === "function" && typeof JSON.parse(call.function.arguments).city).toBe("string");

    const without = await openai.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Use the get_weather tool." }],
      tools: [weather],
      tool_choice: "none",
    });
    expect(without.choices[0]?.message.tool_calls).toBeUndefined();

    const json = await openai.chat.completions.create({
      model,
      messages: [
        { role: "system", content: "Answer in JSON." },
        { role: "user", content: "Hello" },
      ],
      response_format: { type: "json_object" },
    });
    expect(JSON.parse(json.choices[0]?.message.content ?? "")).toBeObject();
  });

  test("images, habits of other clients, long tool names", async () => {
    const name = `mcp.server/${"x".repeat(80)}`;
    const reply = await openai.chat.completions.create({
      model,
      temperature: 0.2,
      top_p: 1,
      max_tokens: 100,
      frequency_penalty: 0,
      user: "u",
      messages: [
        { role: "system", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
          ],
        },
      ],
      tools: [{ type: "function", function: { name, parameters: { type: "object", properties: {} } } }],
      tool_choice: "required",
    });
    const call = reply.choices[0]?.message.tool_calls?.[0];
    expect(call?.type === "function" && call.function.name).toBe(name);
  });
});

describe.each(MODELS)("responses with %s", (model) => {
  test("whole", async () => {
    const reply = await openai.responses.create({ model, input: "Say hello." });
    expect(reply.output_text).toBeTruthy();
    expect(reply.status).toBe("completed");
  });

  test("the stream helper ends with the whole response", async () => {
    const stream = openai.responses.stream({ model, input: "Say hello.", reasoning: { summary: "auto" } });
    let text = "";
    for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
    const final = await stream.finalResponse();
    expect(final.output_text).toBe(text);
    expect(text).toBeTruthy();
  });

  test("parse gives an object of the schema", async () => {
    const Answer = z.object({ ok: z.boolean(), items: z.array(z.string()) });
    const reply = await openai.responses.parse({
      model,
      input: "Go",
      text: { format: zodTextFormat(Answer, "answer") },
    });
    expect(() => Answer.parse(reply.output_parsed)).not.toThrow();
  });

  test("a tool loop with the whole history sent back", async () => {
    const tools = [
      {
        type: "function",
        name: "lookup",
        description: "Look up",
        strict: false,
        parameters: { type: "object", properties: { key: { type: "string" } }, required: ["key"] },
      },
    ] as const;
    const question = { role: "user", content: "Use the lookup tool." } as const;
    const first = await openai.responses.create({ model, input: [question], tools: [...tools] });
    const call = first.output.find((item) => item.type === "function_call");
    expect(call?.name).toBe("lookup");
    const second = await openai.responses.create({
      model,
      tools: [...tools],
      input: [
        question,
        ...(first.output as OpenAI.Responses.ResponseInputItem[]),
        { type: "function_call_output", call_id: call?.call_id ?? "", output: "FOUND-42" },
      ],
    });
    expect(second.output_text).toContain("FOUND-42");
  });
});

test("models.list and models.retrieve", async () => {
  const ids: string[] = [];
  for await (const model of openai.models.list()) ids.push(model.id);
  expect(ids).toContain("gpt-5.5");
  expect((await openai.models.retrieve("gpt-5.5")).id).toBe("gpt-5.5");
});

describe("errors as the SDK sees them", () => {
  const chat = (client: OpenAI) =>
    client.chat.completions.create({ model: "gpt-5.5", messages: [{ role: "user", content: "hi" }] });

  test("a usage limit is asked once, with its reset time", async () => {
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
    const error: unknown = await chat(new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "x" })).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    const limited = error as InstanceType<typeof OpenAI.RateLimitError>;
    expect([limited.code, limited.headers?.get("retry-after")]).toEqual(["usage_limit_reached", "120"]);
    expect(limited.message).toContain("plan plus");
    expect(limited.requestID).toBeTruthy();
    expect(backend.bodies).toHaveLength(1);
  });

  test.each([
    [refuses(401, { detail: "no" }), OpenAI.AuthenticationError],
    [refuses(403, { detail: "no" }), OpenAI.PermissionDeniedError],
    [refuses(400, { detail: "no" }), OpenAI.BadRequestError],
    [
      () => sse([created, failed("context_length_exceeded", "Your input exceeds the context window of this model.")]),
      OpenAI.BadRequestError,
    ],
    [() => sse([created, failed("server_is_overloaded", "busy")]), OpenAI.InternalServerError],
  ])("each cause is its class", async (answer, kind) => {
    await using backend = fakeCodex(answer);
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const error: unknown = await chat(new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "x", maxRetries: 0 })).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(kind);
  });

  test("an unknown model, and a wrong key", async () => {
    // The SDK's promise starts its work only when awaited, which `.rejects` does not do.
    const unknown: unknown = await openai.chat.completions
      .create({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }] })
      .catch((thrown: unknown) => thrown);
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
    await using relay = startTestRelay({ baseUrl: "http://127.0.0.1:9", relay: { apiKey: "right" } });
    const wrong: unknown = await chat(new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "wrong", maxRetries: 0 })).catch(
      (thrown: unknown) => thrown,
    );
    expect(wrong).toBeInstanceOf(OpenAI.AuthenticationError);
  });

  test("a cut stream throws and does not look finished", async () => {
    await using backend = fakeCodex(() => sse([created, delta("Hel")]));
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "x" });
    const stream = await client.chat.completions.create({
      model: "gpt-5.5",
      stream: true,
      messages: [{ role: "user", content: "hi" }],
    });
    const read = async () => {
      for await (const chunk of stream) expect(chunk.choices[0]?.finish_reason).toBeNull();
    };
    await expect(read()).rejects.toMatchObject({ code: "upstream_stream_truncated" });
    const responses = client.responses.stream({ model: "gpt-5.5", input: "hi" });
    await expect(responses.finalResponse()).rejects.toThrow();
  });

  test("unknown and private events disturb nobody", async () => {
    await using backend = fakeCodex(() =>
      sse([
        { type: "codex.rate_limits", rate_limits: {} },
        created,
        { type: "response.brand_new", x: 1 },
        delta("Hi"),
        { type: "keepalive" },
        completed,
      ]),
    );
    await using relay = startTestRelay({ baseUrl: backend.baseUrl });
    const client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: "x" });
    expect((await client.responses.stream({ model: "gpt-5.5", input: "hi" }).finalResponse()).output_text).toBe("Hi");
    expect((await chat(client)).choices[0]?.message.content).toBe("Hi");
  });
});
