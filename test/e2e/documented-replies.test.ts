import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { loadCases } from "../support/cases.ts";
import { startDemoRelay } from "../support/demo.ts";
import { loadExchangeCases } from "../support/exchanges.ts";
import { faultsOf } from "../support/documented-faults.ts";
import { documentedTypes, type Shape } from "../support/documented-types.ts";

/*
 * Every reply of the golden cases, whole and event by event, has every field that the SDKs' own types require, of the kind
 * that they say: clients in strict languages refuse a reply without.
 */

const IMPORTS = [
  'import type OpenAI from "openai";',
  'import type Anthropic from "@anthropic-ai/sdk";',
  'import type * as ollama from "ollama";',
];

/** For each dialect, the types of its whole reply and of what it streams. */
const TYPES: Readonly<Record<string, { readonly whole: string; readonly streamed: string }>> = {
  chat: { whole: "OpenAI.Chat.ChatCompletion", streamed: "OpenAI.Chat.ChatCompletionChunk" },
  responses: {
    whole: "Omit<OpenAI.Responses.Response, 'output_text'>",
    streamed: "OpenAI.Responses.ResponseStreamEvent",
  },
  completions: { whole: "OpenAI.Completion", streamed: "OpenAI.Completion" },
  messages: { whole: "Anthropic.Message", streamed: "Anthropic.RawMessageStreamEvent" },
  ollama: { whole: "ollama.ChatResponse", streamed: "ollama.ChatResponse" },
  "ollama-generate": { whole: "ollama.GenerateResponse", streamed: "ollama.GenerateResponse" },
  "image-generations": { whole: "OpenAI.ImagesResponse", streamed: "OpenAI.ImageGenStreamEvent" },
  "image-edits": { whole: "OpenAI.ImagesResponse", streamed: "OpenAI.ImageEditStreamEvent" },
  transcriptions: {
    whole: "OpenAI.Audio.TranscriptionCreateResponse",
    streamed: "OpenAI.Audio.TranscriptionStreamEvent",
  },
  compact: { whole: "OpenAI.Responses.CompactedResponse", streamed: "OpenAI.Responses.CompactedResponse" },
};

/** What the relay says of models, and how it is asked. */
const MODELS: Readonly<Record<string, { readonly type: string; readonly path: string; readonly init?: RequestInit }>> =
  {
    "OpenAI's list": { type: "{ object: 'list'; data: OpenAI.Model[] }", path: "/v1/models" },
    "OpenAI's model": { type: "OpenAI.Model", path: "/v1/models/gpt-5.5" },
    "Anthropic's list": {
      type: "{ data: Anthropic.ModelInfo[]; has_more: boolean; first_id: string | null; last_id: string | null }",
      path: "/v1/models",
      init: { headers: { "anthropic-version": "2023-06-01" } },
    },
    "Anthropic's model": {
      type: "Anthropic.ModelInfo",
      path: "/v1/models/gpt-5.5",
      init: { headers: { "anthropic-version": "2023-06-01" } },
    },
    "Ollama's list": { type: "ollama.ListResponse", path: "/api/tags" },
    "Ollama's model": {
      type: "ollama.ShowResponse",
      path: "/api/show",
      init: { method: "POST", body: '{"model":"gpt-5.5"}' },
    },
    "Ollama's version": { type: "{ version: string }", path: "/api/version" },
    "what a pull comes to": {
      type: "{ status: string }",
      path: "/api/pull",
      init: { method: "POST", body: '{"model":"gpt-5.5","stream":false}' },
    },
  };

/** What the API itself does and the types do not say, or what is upstream's own and passes as it is. */
const ALLOWED: readonly RegExp[] = [
  // The SDK adds the joined text itself.
  /\boutput_text is missing$/,
  // Null in the API's own examples.
  /\b(user|usage) is null$/,
  // New codes come with every release.
  /\berror\.code: /,
  // Upstream's pieces pass byte for byte, and its announcements of tools that it runs say little.
  /^response\.output_text\.(delta|done): logprobs is missing$/,
  /^response\.output_item\.added: item\.(action|result) is missing$/,
  // Parts of a stream that is not over.
  /^text_completion: choices\[\d+\]\.finish_reason is null$/,
  /^unfinished: (done_reason|context|\w+_(duration|count)) is missing$/,
];

let shapes: ReadonlyMap<string, Shape>;

beforeAll(async () => {
  const names = Object.values(TYPES).flatMap(({ whole, streamed }, index) => [
    [`Whole${index}`, whole] as const,
    [`Streamed${index}`, streamed] as const,
  ]);
  const models = Object.values(MODELS).map(({ type }, index) => [`Models${index}`, type] as const);
  shapes = await documentedTypes(IMPORTS, Object.fromEntries([...names, ...models]));
});

function shapeOf(dialect: string, form: "Whole" | "Streamed"): Shape {
  const shape = shapes.get(`${form}${Object.keys(TYPES).indexOf(dialect)}`);
  if (!shape || shape.kind === "unknown") throw new Error(`the types of ${dialect} could not be read`);
  return shape;
}

function nameOf({ type, object, done }: JsonObject): string {
  return typeof type === "string" ? type : done === false ? "unfinished" : typeof object === "string" ? object : "last";
}

/** What a stream's file holds, without its end mark and the error that ends some. */
function eventsIn(text: string): JsonObject[] {
  const data = text.split("\n").map((line) => line.replace(/^data: /, ""));
  return data
    .filter((line) => line.startsWith("{"))
    .map((line): unknown => JSON.parse(line))
    .filter(isObject)
    .filter((event) => !("error" in event));
}

/** Its output keeps what the user said, which the SDK's types of an output do not foresee. */
const UNFORESEEN = "compaction (compact)";

const ALL = [...loadCases(), ...loadExchangeCases()].filter(({ name }) => name !== UNFORESEEN);

const CASES = ALL.map(({ name, protocol, path }) => ({
  name,
  dialect: protocol.name,
  whole: path("response.json"),
  stream: path("streamFormat" in protocol && protocol.streamFormat === "ndjson" ? "stream.ndjson" : "stream.sse"),
}));

describe.each(CASES.map((one) => [one.name, one] as const))("%s", (_name, { dialect, whole, stream }) => {
  test("is as the SDK's types say", () => {
    const events = existsSync(stream) ? eventsIn(readFileSync(stream, "utf8")) : [];
    const reply: unknown = existsSync(whole) ? JSON.parse(readFileSync(whole, "utf8")) : undefined;
    // Replies of other endpoints are JSON or a text, which may be a stream.
    const isText = isObject(reply) && typeof reply["contentType"] === "string";
    if (isText) events.push(...eventsIn(String(reply["text"])));
    const body = isObject(reply) && "json" in reply ? reply["json"] : reply;
    const faults = [
      ...(body === undefined || isText
        ? []
        : faultsOf(shapeOf(dialect, "Whole"), body).map((fault) => `whole: ${fault}`)),
      ...events.flatMap((event) =>
        faultsOf(shapeOf(dialect, "Streamed"), event).map((fault) => `${nameOf(event)}: ${fault}`),
      ),
    ];
    expect(faults.filter((fault) => !ALLOWED.some((allowed) => allowed.test(fault)))).toEqual([]);
  });
});

test.each(Object.keys(MODELS))("%s of models is as the types say", async (name) => {
  const demo = startDemoRelay();
  const { path = "", init } = MODELS[name] ?? {};
  const reply: unknown = await (await fetch(demo.relay.url + path, init)).json();
  await demo.stop();
  const shape = shapes.get(`Models${Object.keys(MODELS).indexOf(name)}`);
  const faults = shape && faultsOf(shape, reply);
  // Of loaded models alone, and of models that bring such a text.
  expect(faults?.filter((fault) => !/(size_vram|expires_at|^system|^messages) is missing$/.test(fault))).toEqual([]);
});
