import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { answer } from "../../src/demo/answers.ts";
import { asList, asText } from "../../src/demo/json.ts";
import { type NextId, pieces } from "../../src/demo/output.ts";
import { countTokens, replyEvents } from "../../src/demo/reply.ts";

/** Sends events as a stream; the backend keeps count of it. */
type SendEvents = (events: Iterable<JsonObject>, isChat: boolean) => Promise<Response>;

export interface PublicFacts {
  readonly nowMs: number;
  readonly nextId: NextId;
  readonly send: SendEvents;
}

const MODELS = ["gpt-5.5", "gpt-4.1", "text-embedding-3-small"];

/** Plays api.openai.com for API keys. Takes every field, and says in its answer which ones have arrived. */
export async function answerPublic(method: string, path: string, body: unknown, facts: PublicFacts): Promise<Response> {
  const createdAt = Math.floor(facts.nowMs / 1000);
  if (method === "GET" && path === "/v1/models") {
    const data = MODELS.map((id) => ({ id, object: "model", created: createdAt, owned_by: "stand-in" }));
    return Response.json({ object: "list", data });
  }
  if (method !== "POST") return publicError(404, `Invalid URL (${method} ${path})`, null);
  if (!isObject(body)) return publicError(400, "We could not parse the JSON body of your request.", null);
  switch (path) {
    case "/v1/responses":
      return responses(body, createdAt, facts);
    case "/v1/chat/completions":
      return chat(body, createdAt, facts);
    case "/v1/embeddings":
      return embeddings(body);
    default:
      return publicError(404, `Invalid URL (${method} ${path})`, null);
  }
}

export function publicError(status: number, message: string, code: string | null): Response {
  const error = { message, type: "invalid_request_error", param: null, code };
  return Response.json({ error }, { status, headers: PUBLIC_HEADERS });
}

const PUBLIC_HEADERS = {
  "x-request-id": "req_public_stand_in",
  "openai-processing-ms": "1",
  "x-ratelimit-limit-requests": "500",
  "x-ratelimit-remaining-requests": "499",
  "x-ratelimit-reset-requests": "120ms",
};

/** All fields but the conversation itself, as they came. */
function received(body: JsonObject): string {
  const { input: _input, messages: _messages, tools: _tools, ...settings } = body;
  return `The stand-in for the public API received ${JSON.stringify(settings)}`;
}

async function responses(body: JsonObject, createdAt: number, facts: PublicFacts): Promise<Response> {
  const { input } = body;
  const items = typeof input === "string" ? [{ type: "message", role: "user", content: input }] : asList(input);
  const planned = answer({ ...body, input: items });
  // Calls and structured answers stay what they are; plain text is replaced by the list of what arrived.
  const outputs = planned.map((output) =>
    output.kind === "message" && body["text"] === undefined
      ? { kind: "message" as const, pieces: pieces(received(body)) }
      : output,
  );
  const events = replyEvents({
    body,
    outputs,
    inputTokens: countTokens(body),
    cachedTokens: 0,
    createdAt,
    nextId: facts.nextId,
    fillsOutput: true,
  });
  if (body["stream"] === true) return facts.send(events, false);
  return Response.json([...events].at(-1)?.["response"], { headers: PUBLIC_HEADERS });
}

async function chat(body: JsonObject, createdAt: number, facts: PublicFacts): Promise<Response> {
  const text = received(body);
  const base = { id: facts.nextId("chatcmpl"), created: createdAt, model: body["model"] };
  const promptTokens = countTokens(body);
  const completionTokens = Math.ceil(text.length / 4);
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
  if (body["stream"] !== true) {
    const message = { role: "assistant", content: text, refusal: null };
    const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }];
    return Response.json({ ...base, object: "chat.completion", choices, usage }, { headers: PUBLIC_HEADERS });
  }
  const wantsUsage = isObject(body["stream_options"]) && body["stream_options"]["include_usage"] === true;
  return facts.send(chatChunks(base, text, wantsUsage ? usage : undefined), true);
}

function* chatChunks(base: JsonObject, text: string, usage: JsonObject | undefined): Generator<JsonObject> {
  const chunk = (delta: JsonObject, finishReason: string | null) => ({
    ...base,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  });
  yield chunk({ role: "assistant", content: "" }, null);
  for (const content of pieces(text)) yield chunk({ content }, null);
  yield chunk({}, "stop");
  if (usage) yield { ...base, object: "chat.completion.chunk", choices: [], usage };
}

function embeddings(body: JsonObject): Response {
  const inputs = Array.isArray(body["input"]) ? body["input"] : [body["input"]];
  const data = inputs.map((text, index) => {
    const embedding = [asText(text).length / 1000, 0.5, -0.25];
    return { object: "embedding", index, embedding };
  });
  const tokens = countTokens({ input: inputs });
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return Response.json({ object: "list", data, model: body["model"], usage }, { headers: PUBLIC_HEADERS });
}
