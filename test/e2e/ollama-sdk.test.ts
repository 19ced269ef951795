import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Ollama } from "ollama";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";
import { post } from "../support/relay.ts";

let demo: DemoRelay;
let ollama: Ollama;
beforeEach(() => {
  demo = startDemoRelay();
  ollama = new Ollama({ host: demo.relay.url });
});
afterEach(async () => {
  expect(demo.backend.refusals).toEqual([]);
  await demo.stop();
});

const model = "gpt-5.5";
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: { type: "object", required: ["city"], properties: { city: { type: "string", description: "where" } } },
  },
};

const lastBody = () =>
  demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).at(-1)?.body as Record<string, unknown>;

async function refused(promise: Promise<unknown>) {
  return promise.then(
    () => ({ status_code: 0, message: "" }),
    (error: unknown) => error as { status_code: number; message: string },
  );
}

describe("the official library", () => {
  test("chats, streamed and whole", async () => {
    const whole = await ollama.chat({ model, messages: [{ role: "user", content: "hello" }] });
    expect(whole).toMatchObject({ model, done: true, done_reason: "stop", message: { role: "assistant" } });
    expect(whole.message.content).toContain("Hello!");
    expect(whole.prompt_eval_count).toBeGreaterThan(0);
    let text = "";
    let last;
    for await (const part of await ollama.chat({
      model,
      stream: true,
      messages: [{ role: "user", content: "hello" }],
    })) {
      text += part.message.content;
      last = part;
    }
    expect(text).toBe(whole.message.content);
    expect(last).toMatchObject({ done: true, done_reason: "stop", eval_count: whole.eval_count });
    expect(last?.total_duration).toBeGreaterThanOrEqual(0);
  });

  test("runs a tool loop, results found by name", async () => {
    const messages: Parameters<typeof ollama.chat>[0]["messages"] = [{ role: "user", content: "call get_weather" }];
    const first = await ollama.chat({ model, messages, tools: [weather] });
    const [call] = first.message.tool_calls ?? [];
    expect(call?.function as unknown).toMatchObject({ name: "get_weather", arguments: { city: expect.any(String) } });
    messages?.push(first.message, { role: "tool", content: "rain", tool_name: "get_weather" });
    const second = await ollama.chat({ model, messages: messages ?? [], tools: [weather] });
    expect(second.message.content).not.toBe("");
    const input = lastBody()["input"] as { type: string }[];
    expect(input.map(({ type }) => type).slice(-2)).toEqual(["function_call", "function_call_output"]);
  });

  test("gives a tool's images back with its result", async () => {
    const png = Buffer.from("89504e470d0a1a0a", "hex").toString("base64");
    const call = { function: { name: "get_weather", arguments: { city: "Rome" } } };
    await ollama.chat({
      model,
      messages: [
        { role: "user", content: "call get_weather" },
        { role: "assistant", content: "", tool_calls: [call] },
        { role: "tool", content: "rain", tool_name: "get_weather", images: [png] },
      ],
      tools: [weather],
    });
    expect((lastBody()["input"] as object[]).at(-1)).toMatchObject({
      type: "function_call_output",
      output: [
        { type: "input_text", text: "rain" },
        { type: "input_image", image_url: `data:image/png;base64,${png}`, detail: "auto" },
      ],
    });
  });

  test("thinks, or hides it", async () => {
    const messages = [{ role: "user", content: "hello" }];
    const shown = await ollama.chat({ model, messages, think: "high" });
    expect(shown.message.thinking).not.toBe("");
    expect(lastBody()["reasoning"]).toEqual({ effort: "high", summary: "auto" });
    const hidden = await ollama.chat({ model: "gpt-6-sol", messages, think: false });
    expect(hidden.message.thinking).toBeUndefined();
  });

  test("answers in a form", async () => {
    const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    const shaped = await ollama.chat({ model, messages: [{ role: "user", content: "who?" }], format: schema });
    expect(JSON.parse(shaped.message.content)).toMatchObject({ name: expect.any(String) });
    const json = await ollama.generate({ model, prompt: "who?", format: "json" });
    expect(JSON.parse(String(json.response))).toBeObject();
  });

  test("generates, with images, a system text and options that have no effect here", async () => {
    const png = Buffer.from("89504e470d0a1a0a", "hex").toString("base64");
    const reply = await ollama.generate({
      model: `${model}:latest`,
      prompt: "what is it?",
      system: "be brief",
      images: [png],
      options: { temperature: 0, num_ctx: 8192, stop: ["\n\n\n"] },
      keep_alive: "5m",
    });
    expect(reply.response).toContain("what is it?");
    expect(reply.model).toBe(`${model}:latest`);
    const body = lastBody();
    expect(body).toMatchObject({ model, instructions: "be brief" });
    expect(JSON.stringify(body["input"])).toContain("data:image/png;base64,");
  });

  test("generates with a context that can be sent back (xrip/ollama-api-proxy#8)", async () => {
    const whole = await ollama.generate({ model, prompt: "Name a knot." });
    expect(whole.context).toEqual([]);
    const lines = await Array.fromAsync(await ollama.generate({ model, prompt: "Name a knot.", stream: true }));
    expect(lines.map((line) => "context" in line)).toEqual([...lines.slice(1).map(() => false), true]);
    const body = { model, prompt: "Another.", stream: false, context: [7, 8] };
    const again = await post(`${demo.relay.url}/api/generate`, body);
    expect([again.status, again.headers.get("x-plansocket-adjusted")]).toEqual([200, "context"]);
  });

  test("lists, shows and knows its version", async () => {
    const { models } = await ollama.list();
    expect(models.map(({ name }) => name)).toContain("gpt-5.5:latest");
    const shown = await ollama.show({ model: "gpt-5.5:latest" });
    expect(shown.capabilities).toEqual(["completion", "tools", "vision", "thinking"]);
    expect(shown.model_info).toMatchObject({ "gpt.context_length": 272_000 });
    expect((await ollama.ps()).models).toEqual([]);
    const { version } = (await (await fetch(`${demo.relay.url}/api/version`)).json()) as { version: string };
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test("is told what went wrong", async () => {
    const messages = [{ role: "user", content: "hi" }];
    expect(await refused(ollama.chat({ model: "nobody", messages }))).toMatchObject({
      status_code: 404,
      message: expect.stringContaining("nobody"),
    });
    expect(await refused(ollama.show({ model: "nobody" }))).toMatchObject({ status_code: 404 });
    const limit = await refused(ollama.chat({ model, messages: [{ role: "user", content: "fault:usage_limit" }] }));
    expect(limit.status_code).toBe(429);
    const cut = ollama.chat({ model, stream: true, messages: [{ role: "user", content: "fault:cut" }] });
    const reading = (async () => {
      for await (const _ of await cut);
    })();
    expect((await refused(reading)).message).toContain("ended before the response was complete");
    expect(await refused(ollama.embed({ model, input: "x" }))).toMatchObject({
      status_code: 501,
      message: "/api/embed is not offered by this relay.",
    });
    expect(await refused(ollama.delete({ model }))).toMatchObject({
      status_code: 501,
      message: "/api/delete is not offered by this relay.",
    });
    expect(await (await fetch(`${demo.relay.url}/api/nothing`)).json()).toEqual({ error: expect.any(String) });
  });
});

describe("a request that only loads or unloads a model", () => {
  const asked = () => demo.backend.requests.filter(({ path }) => path.endsWith("/responses")).length;

  test("costs the plan nothing", async () => {
    expect(await ollama.generate({ model, prompt: "" })).toMatchObject({
      model,
      response: "",
      done: true,
      done_reason: "load",
    });
    expect(await ollama.chat({ model })).toMatchObject({
      message: { role: "assistant", content: "" },
      done: true,
      done_reason: "load",
    });
    expect(await ollama.generate({ model, prompt: "", keep_alive: 0 })).toMatchObject({ done_reason: "unload" });
    expect(await ollama.chat({ model, keep_alive: "0s", messages: [] })).toMatchObject({ done_reason: "unload" });
    for await (const part of await ollama.chat({ model, stream: true })) expect(part.done_reason).toBe("load");
    expect(asked()).toBe(0);
  });

  test("names a model that there is", async () => {
    expect(await refused(ollama.generate({ model: "nobody", prompt: "" }))).toMatchObject({ status_code: 404 });
  });
});

test("what was left out is named", async () => {
  const reply = await fetch(`${demo.relay.url}/api/chat`, {
    method: "POST",
    body: JSON.stringify({
      model,
      messages: [{ role: "user", content: "hi" }],
      options: { temperature: 1 },
      raw: true,
    }),
  });
  expect(reply.headers.get("x-plansocket-adjusted")).toBe("options.temperature, raw");
  expect(reply.headers.get("content-type")).toBe("application/x-ndjson");
  await reply.text();
});
