import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { loadCases } from "../support/cases.ts";
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
  shapes = await documentedTypes(IMPORTS, Object.fromEntries(names));
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

describe.each(loadCases().map((one) => [one.name, one] as const))("%s", (_name, { protocol, path }) => {
  test("is as the SDK's types say", () => {
    const whole = path("response.json");
    const stream = path(protocol.streamFormat === "ndjson" ? "stream.ndjson" : "stream.sse");
    const faults = [
      ...(existsSync(whole)
        ? faultsOf(shapeOf(protocol.name, "Whole"), JSON.parse(readFileSync(whole, "utf8"))).map(
            (fault) => `whole: ${fault}`,
          )
        : []),
      ...(existsSync(stream)
        ? eventsIn(readFileSync(stream, "utf8")).flatMap((event) =>
            faultsOf(shapeOf(protocol.name, "Streamed"), event).map((fault) => `${nameOf(event)}: ${fault}`),
          )
        : []),
    ];
    expect(faults.filter((fault) => !ALLOWED.some((allowed) => allowed.test(fault)))).toEqual([]);
  });
});
