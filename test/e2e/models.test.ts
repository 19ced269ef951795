import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { startDemoRelay, type DemoRelay } from "../support/demo.ts";

let demo: DemoRelay;
beforeAll(() => {
  demo = startDemoRelay();
});
afterAll(() => demo.stop());

async function get(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: JsonObject }> {
  const response = await fetch(demo.relay.url + path, { headers });
  const body: unknown = await response.json();
  return { status: response.status, body: isObject(body) ? body : {} };
}

async function post(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(demo.relay.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

const ANTHROPIC = { "anthropic-version": "2023-06-01" };
const messages = [{ role: "user", content: "Hi." }];

/** Every route that takes a model's name, with a request that needs nothing else. */
const ROUTES: readonly (readonly [path: string, body: JsonObject, headers?: Record<string, string>])[] = [
  ["/v1/chat/completions", { messages }],
  ["/v1/responses", { input: "Hi." }],
  ["/v1/responses/input_tokens", { input: "Hi." }],
  ["/v1/completions", { prompt: "Hi." }],
  ["/v1/messages", { max_tokens: 800, messages }, ANTHROPIC],
  ["/v1/messages/count_tokens", { messages }, ANTHROPIC],
  ["/api/chat", { stream: false, messages }],
  ["/api/generate", { stream: false, prompt: "Hi." }],
  ["/api/show", {}],
  ["/api/pull", { stream: false }],
];

describe("one name means one model on every route (mudler/LocalAI#11728, github/copilot-cli#2637)", () => {
  const names = [
    "gpt-6-luna:latest",
    "openai/gpt-6-luna-low",
    "claude-haiku-4-5",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  ];

  test.each(ROUTES.flatMap((route) => names.map((name) => [route[0], name, route] as const)))(
    "%s takes %s",
    async (_path, model, [path, body, headers]) => {
      const response = await post(path, { ...body, model }, headers);
      expect([response.status, response.headers.get("content-type")?.includes("json")]).toEqual([200, true]);
      const sent = demo.backend.requests.findLast(({ path: asked }) => asked.endsWith("/responses"))?.body;
      const asksModel = !/count_tokens|input_tokens|show|pull/.test(path);
      if (asksModel) expect(isObject(sent) ? sent["model"] : undefined).toBe("gpt-6-luna");
      // Clients compare it with what they asked for.
      const reply: unknown = await response.json();
      if (asksModel) expect(isObject(reply) ? reply["model"] : undefined).toBe(model);
    },
  );

  test.each(ROUTES.map((route) => [route[0], route] as const))(
    "%s refuses one that nobody has, in its own words",
    async (_path, [path, body, headers]) => {
      const response = await post(path, { ...body, model: "gpt-0-none:latest" }, headers);
      expect(response.status).toBe(404);
      const reply: unknown = await response.json();
      const error = isObject(reply) ? reply["error"] : undefined;
      expect(JSON.stringify(error)).toContain("gpt-0-none");
      expect(typeof error).toBe(path.startsWith("/api/") ? "string" : "object");
    },
  );

  test.each([
    "gpt-6-sol-high",
    "gpt-6-luna-fast",
    "gpt-6-astra-max-fast",
    "openai%2Fgpt-5.6-terra-low",
    "openai/gpt-5.6-terra-low",
    "gpt-6-luna%3Alatest",
    "claude-opus-4-8",
  ])("GET /v1/models/%s knows it (decolua/9router#1512)", async (id) => {
    const { status, body } = await get(`/v1/models/${id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: decodeURIComponent(id), object: "model", created: 0, owned_by: "openai" });
  });

  test.each(["gpt-6-sol-turbo", "openai%2Fgpt-0-none-high", "gpt-0-none:latest"])(
    "GET /v1/models/%s knows no such model",
    async (id) => {
      const { status, body } = await get(`/v1/models/${id}`);
      expect([status, isObject(body["error"]) ? body["error"]["code"] : undefined]).toEqual([404, "model_not_found"]);
    },
  );
});

describe("a Codex client's request passes untouched but for what its model's name means (openai/codex#12100)", () => {
  const codex = { "user-agent": "codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm", originator: "codex_exec" };
  const body = {
    stream: true,
    store: false,
    instructions: "You are Codex.",
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "Say hello." }] }],
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "0199aa10-4c1e-7d20-8b77-5e0c5a0f9b21",
    client_metadata: { a: "b" },
  };

  test.each<[string, JsonObject, JsonObject]>([
    ["gpt-5.5:latest", {}, { model: "gpt-5.5" }],
    ["gpt-5.5-xhigh-fast", {}, { model: "gpt-5.5", reasoning: { effort: "xhigh" }, service_tier: "priority" }],
    [
      "openai/gpt-5.5-low",
      { reasoning: { effort: "high", summary: "concise" } },
      { model: "gpt-5.5", reasoning: { effort: "high", summary: "concise" } },
    ],
    ["gpt-5.5", {}, { model: "gpt-5.5" }],
  ])("%s (openai/codex#22294)", async (model, over, expected) => {
    const response = await post("/v1/responses", { ...body, ...over, model }, codex);
    expect(await response.text()).toContain("response.completed");
    const sent = demo.backend.requests.findLast(({ path }) => path.endsWith("/responses"))?.body;
    expect(sent).toEqual({ ...body, ...over, ...expected });
  });
});

describe("models tell clients what they need", () => {
  test("OpenAI's form has the fields of OpenRouter's, LiteLLM's and VS Code's readers beside its own", async () => {
    const { body } = await get("/v1/models/gpt-5.5");
    expect(body).toMatchObject({
      id: "gpt-5.5",
      object: "model",
      owned_by: "openai",
      context_length: 272_000,
      context_window: 272_000,
      max_input_tokens: 272_000,
      architecture: { input_modalities: ["text", "image"], output_modalities: ["text"] },
      supported_parameters: expect.arrayContaining(["tools", "tool_choice", "reasoning_effort", "structured_outputs"]),
      supported_reasoning_efforts: ["low", "medium", "high", "xhigh"],
      supports_function_calling: true,
      supports_vision: true,
      supports_reasoning: true,
      capabilities: {
        supports: { tool_calls: true, streaming: true, vision: true },
        limits: { max_context_window_tokens: 272_000 },
      },
    });
    const list = await new OpenAI({ baseURL: demo.v1, apiKey: "any" }).models.list();
    expect(list.data.find(({ id }) => id === "gpt-5.5")).toEqual(body as unknown as OpenAI.Model);
  });

  test("Anthropic's form tells the window and what the model can do", async () => {
    const client = new Anthropic({ baseURL: demo.relay.url, apiKey: "any" });
    const model = await client.models.retrieve("gpt-5.5");
    expect(model).toMatchObject({ id: "gpt-5.5", type: "model", max_input_tokens: 272_000 });
    expect(model.capabilities?.effort).toMatchObject({
      supported: true,
      high: { supported: true },
      max: { supported: false },
    });
    expect(model.capabilities?.image_input.supported).toBe(true);
  });

  test("Claude Code finds names that it keeps, each of which works (raine/claude-code-proxy#60)", async () => {
    const path = "/v1/models?limit=1000";
    const ids = async (agent: string) => {
      const { body } = await get(path, { ...ANTHROPIC, "user-agent": agent });
      return (body["data"] as { id: string }[]).map(({ id }) => id);
    };
    const found = await ids("claude-cli/2.1.310 (external, cli)");
    expect(found.length).toBeGreaterThan(3);
    for (const id of found) {
      expect(id).toMatch(/^claude/);
      expect((await get(`/v1/models/${id}`, ANTHROPIC)).status).toBe(200);
      expect((await post("/v1/messages", { model: id, max_tokens: 800, messages }, ANTHROPIC)).status).toBe(200);
    }
    expect(await ids("Anthropic/Python 0.84.0")).toContain("gpt-5.5");
  });

  test("Ollama's form tells the window, and what is listed can be pulled (kooshi/llama-swappo#8)", async () => {
    const client = new Ollama({ host: demo.relay.url });
    const [model] = (await client.list()).models;
    const shown = await client.show({ model: "gpt-5.5:latest" });
    expect(shown.capabilities).toEqual(["completion", "tools", "vision", "thinking"]);
    expect(Object.values(shown.model_info)).toContain(272_000);
    const states: string[] = [];
    for await (const { status } of await client.pull({ model: model?.name ?? "", stream: true })) states.push(status);
    expect(states.at(-1)).toBe("success");
    expect((await client.pull({ model: model?.name ?? "" })).status).toBe("success");
    const refused = await client.pull({ model: "phi-none:3b", stream: true }).catch((error: unknown) => error);
    expect(String(refused)).toContain("phi-none:3b");
  });

  test("the version is one that the Codex CLI's Ollama mode takes, and the root says that Ollama runs", async () => {
    const { body } = await get("/api/version");
    const [major = 0, minor = 0, patch = 0] = String(body["version"]).split(".").map(Number);
    expect(String(body["version"])).toMatch(/^\d+\.\d+\.\d+$/);
    expect(major * 1e6 + minor * 1e3 + patch).toBeGreaterThanOrEqual(13_004);
    const root = await fetch(demo.relay.url, { headers: { "user-agent": "ollama-python/0.6.1" } });
    expect(await root.text()).toBe("Ollama is running");
  });
});
