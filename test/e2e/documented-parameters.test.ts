import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { documentedTypes, type Shape } from "../support/documented-types.ts";
import { isNothing, probesOf, type Probe } from "../support/documented-probes.ts";
import { completed, created, delta, frames, MODELS } from "../support/fake-codex.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";

/*
 * Every parameter that the SDKs' own types document, with every value that they allow, inside messages, tools and items
 * as well. Each is sent on, maybe under another name, honoured in the reply, named to the client, or refused by its name;
 * none is gone without a word. With --strict what has no effect is refused.
 */

const IMPORTS = [
  'import type OpenAI from "openai";',
  'import type Anthropic from "@anthropic-ai/sdk";',
  'import type * as ollama from "ollama";',
];

interface Api {
  readonly type: string;
  readonly path: string;
  /** How deep its objects are looked through. */
  readonly depth: number;
  /** The least that is known. */
  readonly atLeast: number;
  /** What a request has beside the parameter at the top called `name`, so that it means something. */
  readonly base: (name: string) => JsonObject;
  /** A whole request: with the results that calls need, and the calls that results need. */
  readonly complete?: (body: JsonObject) => JsonObject;
  readonly samples?: JsonObject;
  /** Names of fields, and the values of them that ask for what happens anyway. */
  readonly usual: Readonly<Record<string, readonly unknown[] | "any">>;
  /** Honoured in the reply, or in what the relay does. */
  readonly kept?: readonly string[];
  readonly isForm?: true;
}

const PNG = "data:image/png;base64,iVBORw0KGgo=";
const schema = { type: "object", properties: { a: { type: "string" } } };
const user = (content: string) => ({ role: "user", content });
const chatTool = { type: "function", function: { name: "x", parameters: schema } };
const SAMPLES = {
  model: "gpt-5.5",
  parameters: schema,
  input_schema: schema,
  schema,
  arguments: "{}",
  file_data: "data:application/pdf;base64,AA==",
  file_url: "https://files.example/a.pdf",
  url: "https://files.example/a.png",
};

const TIERS = ["auto", "default", "scale"];

const RESPONSES: Pick<Api, "complete" | "samples" | "usual"> = {
  complete: (body) =>
    Array.isArray(body["input"])
      ? { ...body, input: [...objectsOf(body["input"]).flatMap(withCall), user("hi")] }
      : body,
  samples: { image_url: PNG, encrypted_content: "gAAAA" },
  usual: {
    detail: ["auto"],
    include: [["reasoning.encrypted_content"]],
    // The backend takes no ids that it did not give, and stores nothing that they could name.
    "input.id": "any",
    // What an earlier answer said of itself.
    "input.content.logprobs": "any",
    "input.type": ["message", "item_reference"],
    model: "any",
    service_tier: TIERS,
  },
};

const MESSAGES: Omit<Api, "type" | "atLeast"> = {
  path: "/v1/messages",
  depth: 4,
  base: (name) => ({
    max_tokens: 100,
    messages: [],
    ...(name === "tool_choice" ? { tools: [{ name: "x", input_schema: schema }] } : {}),
  }),
  complete: (body) => ({
    ...body,
    messages: [user("first"), ...objectsOf(body["messages"]).flatMap(withResults), user("hi")],
  }),
  samples: { data: "AA==", image_url: PNG },
  usual: {
    // What an earlier answer cited.
    citations: "any",
    "messages.content": [{ type: "compaction" }],
    "messages.content.caller": [{ type: "direct" }],
    clear_at: ["never"],
    display: ["summarized"],
    service_tier: ["auto", "standard_only"],
    speed: ["standard"],
    "tool_choice.disable_parallel_tool_use": [false],
    tool_choice: [{ type: "auto" }],
    "tools.eager_input_streaming": "any",
    "tools.type": ["custom"],
    // Their library says them in a header.
    betas: "any",
  },
};

const OLLAMA: Pick<Api, "usual" | "kept"> = {
  // Of messages, what messages of their kind do not have.
  usual: { think: [true], "messages.tool_name": "any" },
  // Nothing is ever unloaded.
  kept: ["stream", "keep_alive"],
};

const APIS: Readonly<Record<string, Api>> = {
  chat: {
    type: "OpenAI.Chat.ChatCompletionCreateParamsNonStreaming",
    path: "/v1/chat/completions",
    depth: 4,
    atLeast: 100,
    base: (name) => ({
      messages: [],
      ...(["tool_choice", "parallel_tool_calls"].includes(name) ? { tools: [chatTool] } : {}),
      ...(name === "function_call" ? { functions: [{ name: "x" }] } : {}),
    }),
    complete: (body) => ({
      ...body,
      messages: [user("first"), ...objectsOf(body["messages"]).flatMap(withToolMessages), user("hi")],
    }),
    usual: {
      detail: ["auto"],
      function_call: ["auto"],
      modalities: [["text"]],
      response_format: [{ type: "text" }],
      service_tier: TIERS,
      tool_choice: ["auto"],
    },
    // The last part of a stream has it, and other replies always.
    kept: ["include_usage"],
  },
  responses: {
    ...RESPONSES,
    type: "OpenAI.Responses.ResponseCreateParamsNonStreaming",
    path: "/v1/responses",
    depth: 3,
    atLeast: 500,
    base: (name) => ({
      input: [],
      ...(["tool_choice", "parallel_tool_calls"].includes(name)
        ? { tools: [{ type: "function", name: "x", parameters: schema, strict: false }] }
        : {}),
    }),
  },
  compaction: {
    ...RESPONSES,
    type: "OpenAI.Responses.ResponseCompactParams",
    path: "/v1/responses/compact",
    depth: 3,
    atLeast: 300,
    base: () => ({ input: [] }),
  },
  completions: {
    type: "OpenAI.CompletionCreateParamsNonStreaming",
    path: "/v1/completions",
    depth: 2,
    atLeast: 15,
    base: () => ({ prompt: "hi" }),
    usual: {},
    kept: ["include_usage"],
  },
  messages: { ...MESSAGES, type: "Anthropic.MessageCreateParamsNonStreaming", atLeast: 400 },
  "messages, beta": {
    ...MESSAGES,
    type: "Anthropic.Beta.MessageCreateParamsNonStreaming",
    path: "/v1/messages?beta=true",
    atLeast: 500,
  },
  "Ollama's chat, of the assistant": {
    ...OLLAMA,
    type: "ollama.ChatRequest",
    path: "/api/chat",
    depth: 3,
    atLeast: 40,
    base: () => ({ messages: [user("hi")], stream: false }),
    samples: { role: "assistant", name: "x", images: ["iVBORw0KGgo="] },
  },
  "Ollama's chat, of a tool": {
    ...OLLAMA,
    type: "Pick<ollama.ChatRequest, 'messages'>",
    path: "/api/chat",
    depth: 2,
    atLeast: 4,
    base: () => ({ stream: false }),
    samples: { role: "tool", images: ["iVBORw0KGgo="] },
    usual: { "messages.thinking": "any", "messages.tool_calls": "any" },
  },
  "Ollama's generate": {
    ...OLLAMA,
    type: "ollama.GenerateRequest",
    path: "/api/generate",
    depth: 2,
    atLeast: 40,
    base: () => ({ prompt: "hi", stream: false }),
    samples: { images: ["iVBORw0KGgo="] },
  },
  "image generations": {
    type: "OpenAI.ImageGenerateParamsNonStreaming",
    path: "/v1/images/generations",
    depth: 2,
    atLeast: 30,
    base: () => ({ prompt: "a kite" }),
    samples: { model: "gpt-image-2" },
    usual: { model: "any", response_format: ["b64_json"] },
  },
  "image edits": {
    type: "OpenAI.ImageEditParamsNonStreaming",
    path: "/v1/images/edits",
    depth: 2,
    atLeast: 30,
    base: () => ({ prompt: "a kite", image: PNG }),
    samples: { model: "gpt-image-2", image: PNG, mask: PNG },
    usual: { model: "any", response_format: ["b64_json"] },
  },
  transcriptions: {
    type: "Omit<OpenAI.Audio.TranscriptionCreateParamsNonStreaming, 'file'>",
    path: "/v1/audio/transcriptions",
    depth: 1,
    atLeast: 15,
    base: () => ({}),
    usual: { stream: [false] },
    kept: ["response_format"],
    isForm: true,
  },
};

/** Honoured by the relay in another way, and so taken with --strict. */
const EMULATED = new Set([
  "cache_control",
  "prompt_cache_breakpoint",
  "stop",
  "stop_sequences",
  "max_tokens",
  "max_completion_tokens",
  "max_output_tokens",
  "num_predict",
  "store",
  "previous_response_id",
  "response_format",
  "display",
  "budget_tokens",
  "effort",
  "reasoning_effort",
  "generate_summary",
  "think",
  "thinking",
  "model",
  "quality",
  "size",
]);

function objectsOf(list: unknown): JsonObject[] {
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** Chat: results behind calls, and calls before results. */
function withToolMessages(message: JsonObject): JsonObject[] {
  const { role, tool_call_id: id, tool_calls: calls, function_call: call, name } = message;
  const functionCall = { name: "x", arguments: "{}" };
  if (role === "tool")
    return [{ role: "assistant", tool_calls: [{ id, type: "function", function: functionCall }] }, message];
  if (role === "function") return [{ role: "assistant", function_call: { ...functionCall, name } }, message];
  const results = objectsOf(calls).map(({ id: tool_call_id }) => ({ role: "tool", tool_call_id, content: "r" }));
  const result = isObject(call) ? [{ role: "function", name: call["name"], content: "r" }] : [];
  return [message, ...results, ...result];
}

/** Responses: calls before their outputs. */
function withCall(item: JsonObject): JsonObject[] {
  const { type, call_id } = item;
  if (type === "function_call_output") return [{ type: "function_call", call_id, name: "x", arguments: "{}" }, item];
  if (type === "custom_tool_call_output") return [{ type: "custom_tool_call", call_id, name: "x", input: "" }, item];
  return [item];
}

/** Messages: results behind tool uses, and tool uses before results. */
function withResults(message: JsonObject): JsonObject[] {
  const blocks = objectsOf(message["content"]);
  const uses = blocks.filter(({ type }) => type === "tool_use");
  const results = blocks.filter(({ type }) => type === "tool_result");
  if (results.length > 0) {
    const content = results.map(({ tool_use_id: id }) => ({ type: "tool_use", id, name: "x", input: {} }));
    return [
      { role: "assistant", content },
      { ...message, role: "user" },
    ];
  }
  if (uses.length === 0) return [message];
  const content = uses.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "r" }));
  return [
    { ...message, role: "assistant" },
    { role: "user", content },
  ];
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly adjusted: readonly string[];
  /** What the backend was asked. */
  readonly wire: string;
}

let asked: unknown[] = [];
let backend: Bun.Server<undefined>;
let relay: TestRelay;
let strict: TestRelay;
let shapes: ReadonlyMap<string, Shape>;

beforeAll(async () => {
  backend = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answered });
  const baseUrl = `http://127.0.0.1:${backend.port}/backend-api/codex`;
  relay = startTestRelay({ baseUrl, upstream: { transport: "http" } });
  strict = startTestRelay({ baseUrl, upstream: { transport: "http" }, relay: { strict: true } });
  const types = Object.values(APIS).map(({ type }, index) => [`Api${index}`, type] as const);
  const read = await documentedTypes(IMPORTS, Object.fromEntries(types));
  shapes = new Map(Object.keys(APIS).map((name, index) => [name, read.get(`Api${index}`) ?? { kind: "unknown" }]));
});
afterAll(async () => {
  await Promise.all([relay.stop(), strict.stop(), backend.stop(true)]);
});

/** Takes everything, and says the least. */
async function answered(request: Request): Promise<Response> {
  const { pathname: path } = new URL(request.url);
  if (path.endsWith("/models")) return Response.json({ models: MODELS });
  const isForm = !request.headers.get("content-type")?.includes("json");
  const body: unknown = isForm
    ? [...(await request.formData())].map(([name, part]) => [name, typeof part === "string" ? part : part.size])
    : await request.json();
  asked.push({ path, body });
  if (path.endsWith("/responses")) {
    const headers = { "content-type": "text/event-stream" };
    return new Response(frames([created, delta("Hi"), completed]), { headers });
  }
  if (path.endsWith("/compact")) {
    return Response.json({ id: "resp_1", output: [{ id: "cmp_1", type: "compaction", encrypted_content: "x" }] });
  }
  return Response.json(path.includes("images") ? { created: 1, data: [{ b64_json: "AA==" }] } : { text: "hi" });
}

function formOf(body: JsonObject): FormData {
  const form = new FormData();
  form.append("file", new File([new Uint8Array(64)], "a.wav", { type: "audio/wav" }));
  for (const [name, value] of Object.entries(body)) {
    const entries: unknown[] = Array.isArray(value) ? value : [value];
    const field = Array.isArray(value) ? `${name}[]` : name;
    for (const entry of entries) form.append(field, typeof entry === "string" ? entry : JSON.stringify(entry));
  }
  return form;
}

async function ask({ url }: TestRelay, { path, isForm }: Api, body: JsonObject): Promise<Answer> {
  asked = [];
  const headers = path.startsWith("/v1/messages") ? { "anthropic-version": "2023-06-01" } : {};
  const response = await fetch(url + path, {
    method: "POST",
    headers: isForm ? headers : { ...headers, "content-type": "application/json" },
    body: isForm ? formOf(body) : JSON.stringify(body),
  });
  const text = await response.text();
  const adjusted = (response.headers.get("x-plansocket-adjusted") ?? "").split(", ").filter((name) => name !== "");
  return { status: response.status, text, adjusted, wire: JSON.stringify(asked) };
}

function bodyOf(api: Api, value: unknown, name: string): JsonObject {
  const body: JsonObject = { ...api.base(name), ...(isObject(value) ? value : {}) };
  // The least of a type is not what a request with another parameter needs.
  for (const [key, usual] of Object.entries(api.base(name))) if (key !== name) body[key] = usual;
  const whole = api.complete?.(body) ?? body;
  return { model: api.samples?.["model"] ?? "gpt-5.5", ...whole, ...(name === "model" ? {} : modelOf(api)) };
}

function modelOf(api: Api): JsonObject {
  return api.isForm ? {} : { model: api.samples?.["model"] ?? "gpt-5.5" };
}

const withoutPlaces = (name: string) => name.split(/[.[\]]+/).filter((part) => part !== "" && !/^\d+$/.test(part));

/** True where the header names the parameter, what it stands in (maybe once for all places), or the tool that has it. */
function isNamed({ adjusted }: Answer, probe: Probe): boolean {
  const { path } = probe;
  return adjusted.some((name) => {
    const parts = withoutPlaces(name);
    if (parts.at(-1) === path.at(-1)) return true;
    if (parts.every((part, index) => part === path[index])) return true;
    if (parts.length === 1 && path.includes(parts[0] ?? "")) return true;
    return parts[0] === "tools" && path[0] === "tools" && JSON.stringify(probe.with).includes(`"${parts[1]}`);
  });
}

/** True where the refusal says what it is about: the parameter, what it stands in, or the kind of thing that it is. */
function saysWhy({ text }: Answer, { path, kinds, value }: Probe): boolean {
  const own = isObject(value) && typeof value["type"] === "string" ? [value["type"]] : [];
  return [...path.slice(-2), ...kinds, ...own].some((name) => text.includes(name));
}

/** True for a part of an earlier answer, which its client only sends back. */
function isReplayed({ kinds, value }: Probe): boolean {
  return kinds.some((kind) => ANSWERS.has(kind)) || JSON.stringify(value).includes('"type":"reasoning"');
}

const ANSWERS = new Set(["assistant", "tool_use", "reasoning"]);

function isUsual(api: Api, { path, value }: Probe): boolean {
  if (isNothing(value)) return true;
  const values = [path.join("."), path.at(-1) ?? ""]
    .map((name) => api.usual[name])
    .filter((found) => found !== undefined);
  return values.some((found) => found === "any" || found.some((usual) => Bun.deepEquals(usual, value)));
}

/** What a parameter comes to; undefined where all is well. */
async function fateOf(api: Api, probe: Probe, bases: Map<string, Answer>): Promise<string | undefined> {
  const name = probe.path[0] ?? "";
  const without = bodyOf(api, probe.without, name);
  const body = bodyOf(api, probe.with, name);
  const key = JSON.stringify(without);
  const base = bases.get(key) ?? (await ask(relay, api, without));
  bases.set(key, base);
  // What it belongs to is refused already.
  if (base.status >= 400) {
    const isTold = saysWhy(base, probe) || probe.path.some((part) => base.text.includes(part));
    return isTold ? undefined : `what has it is refused: ${base.text.slice(0, 200)}`;
  }
  const got = await ask(relay, api, body);
  if (got.status >= 400) return saysWhy(got, probe) ? undefined : `refused, but not by name: ${got.text.slice(0, 200)}`;
  if (got.wire !== base.wire || isUsual(api, probe) || api.kept?.includes(probe.path.at(-1) ?? "")) return undefined;
  if (!isNamed(got, probe)) return "gone without a word";
  const refused = await ask(strict, api, body);
  if (refused.status < 400 && !isReplayed(probe) && !probe.path.some((part) => EMULATED.has(part)))
    return "taken with --strict";
  return undefined;
}

describe("every documented parameter is sent on, honoured, named or refused", () => {
  test.each(Object.entries(APIS))(
    "%s",
    async (name, api) => {
      const bases = new Map<string, Answer>();
      const wrong: string[] = [];
      let count = 0;
      for (const probe of probesOf(
        shapes.get(name) ?? { kind: "unknown" },
        { ...SAMPLES, ...api.samples },
        api.depth,
      )) {
        count += 1;
        const fate = await fateOf(api, probe, bases);
        if (fate !== undefined) {
          wrong.push(
            `${probe.path.join(".")} (${probe.kinds.join(" ")}) = ${JSON.stringify(probe.value).slice(0, 120)}: ${fate}`,
          );
        }
      }
      expect(wrong).toEqual([]);
      expect(count).toBeGreaterThan(api.atLeast);
    },
    60_000,
  );
});
