import { EventSourceParserStream } from "eventsource-parser/stream";
import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, parseJson, type JsonObject } from "../../lib/json.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { callRelay } from "../call-relay.ts";
import type { Question } from "./question.ts";

/** A relay to ask, and its key. */
export interface Endpoint {
  /** As in `http://127.0.0.1:8787`, or `unix:/run/relay.sock`. */
  readonly url: string;
  readonly apiKey: string | undefined;
  /** Of fetch, for a relay that speaks TLS. */
  readonly tls?: object;
}

export interface Wish {
  readonly model: string;
  readonly effort: string | undefined;
}

/** A whole answer. */
export interface Answer {
  readonly model: string;
  readonly text: string;
  /** As the Responses API counts it; null when the backend says nothing. */
  readonly usage: unknown;
}

/** Asks over the Responses API and hands each piece of text to `write`. Throws what the relay or the model refuses. */
export async function answerTo(
  endpoint: Endpoint,
  question: Question,
  wish: Wish,
  write: (text: string) => void,
): Promise<Answer> {
  const response = await call(endpoint, "/v1/responses", requestOf(question, wish));
  if (!response.ok || !response.body) throw await refusalOf(response);
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  let text = "";
  for await (const { data } of events) {
    const event = parseJson(data);
    if (!isObject(event)) continue;
    const { type, delta } = event;
    if ((type === "response.output_text.delta" || type === "response.refusal.delta") && typeof delta === "string") {
      text += delta;
      write(delta);
    } else if (type === "response.completed" || type === "response.incomplete") {
      return ended(event, text, wish);
    } else if (type === "response.failed" || type === "error") throw failureIn(event);
  }
  throw new RelayError("upstream_stream_truncated", "The answer ended before its end.", { hint: "Ask again." });
}

function requestOf({ text, image }: Question, { model, effort }: Wish): object {
  const content = [
    { type: "input_text", text },
    ...(image === undefined ? [] : [{ type: "input_image", image_url: image }]),
  ];
  return {
    model,
    input: [{ role: "user", content }],
    stream: true,
    ...(effort === undefined ? {} : { reasoning: { effort } }),
  };
}

function ended(event: JsonObject, text: string, { model }: Wish): Answer {
  const response = isObject(event["response"]) ? event["response"] : {};
  if (event["type"] === "response.incomplete") {
    const details = isObject(response["incomplete_details"]) ? response["incomplete_details"] : {};
    const reason = nonEmptyString(details["reason"]) ?? "no reason given";
    throw new RelayError("upstream_error", `The answer is not complete (${reason}).`, {
      hint: "Ask for less at once, or ask again.",
    });
  }
  return { model: nonEmptyString(response["model"]) ?? model, text, usage: response["usage"] ?? null };
}

/** The error inside a stream that had begun well. */
function failureIn(event: JsonObject): RelayError {
  const response = isObject(event["response"]) ? event["response"] : event;
  const error = isObject(response["error"]) ? response["error"] : event;
  return new RelayError("upstream_error", nonEmptyString(error["message"]) ?? "The model failed without a reason.", {
    hint: "Ask again; `plansocket doctor` looks further.",
  });
}

/** A refusal of the relay says itself what to do next, behind its first sentence. */
async function refusalOf(response: Response): Promise<RelayError> {
  const body = parseJson(await response.text());
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const message = nonEmptyString(error["message"]) ?? `The relay answers with status ${response.status}.`;
  return new RelayError("upstream_error", message, { hint: "`plansocket doctor` looks further." });
}

/** The first model that the relay lists. Throws what the relay refuses. */
export async function firstModel(endpoint: Endpoint): Promise<string> {
  const response = await call(endpoint, "/v1/models", undefined);
  if (!response.ok) throw await refusalOf(response);
  const body = parseJson(await response.text());
  const [first] = isObject(body) && Array.isArray(body["data"]) ? (body["data"] as unknown[]) : [];
  const id = isObject(first) ? nonEmptyString(first["id"]) : undefined;
  if (id !== undefined) return id;
  throw new RelayError("model_not_found", "The relay lists no models.", { hint: "Name one with --model." });
}

async function call({ url, apiKey, tls }: Endpoint, path: string, body: object | undefined): Promise<Response> {
  const options = {
    method: body ? "POST" : "GET",
    headers: {
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(body ? { "content-type": "application/json", accept: "text/event-stream" } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    redirect: "manual" as const,
    // The relay has limits of its own; Bun's would cut a model that thinks for five minutes.
    timeout: false,
    ...(tls ? { tls } : {}),
  };
  try {
    return await callRelay(url, path, options);
  } catch (error) {
    throw unreachable(error, new URL(url).host || url, undefined);
  }
}
