import { z } from "zod";
import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { assertFits, messageList, type Loose } from "../gate.ts";
import { firstIssue } from "../issue.ts";
import { missing, tooManyStops } from "../refuse.ts";

const nullishString = z.string().nullish();
const nullishNumber = z.number().nullish();

/**
 * What the relay itself reads of a chat request. Clients send many keys of their own, which are ignored.
 * Messages and tools are looked at one by one in their own files, where the path of a fault is known.
 */
const Gate = z.object({
  model: z.string(),
  messages: messageList.nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  max_completion_tokens: z.number().int().min(1).nullish(),
  temperature: nullishNumber,
  top_p: nullishNumber,
  n: z.number().int().nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  modalities: z.array(z.string()).nullish(),
  tools: z.array(z.object({})).nullish(),
  functions: z.array(z.object({ name: z.string() })).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z.object({ type: z.string() }).nullish(),
  verbosity: nullishString,
  reasoning_effort: nullishString,
  reasoning: z.object({ effort: nullishString }).nullish(),
  service_tier: nullishString,
  prompt_cache_key: nullishString,
  web_search_options: z.object({}).nullish(),
});

export type ChatRequest = Loose<z.infer<typeof Gate>>;

/** One message of a request; only its role is known to be there. */
export type ChatMessage = NonNullable<ChatRequest["messages"]>[number];

/** Body from outside → request. Throws RelayError with the path of the first field at fault. */
export function parseChatRequest(body: unknown): ChatRequest {
  if (!isObject(body)) throw new RelayError("invalid_request", "The request body must be a JSON object.");
  if (body["model"] === undefined || body["model"] === null || body["model"] === "") throw missing("model");
  if (!hasInput(body) && (body["messages"] === undefined || body["messages"] === null)) throw missing("messages");
  assertFits(Gate, body, (issues) => firstIssue(issues, body));
  if (!hasInput(body) && body.messages?.length === 0) {
    throw new RelayError(
      "empty_array",
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      { param: "messages" },
    );
  }
  refuseOtherAnswers(body);
  return body;
}

/** True for clients that speak of Responses' `input` on the chat route. */
export function hasInput(body: JsonObject): boolean {
  return body["input"] !== undefined && body["input"] !== null;
}

/** Fields whose loss would make the answer another one than was asked for. */
function refuseOtherAnswers(request: ChatRequest): void {
  if (typeof request.n === "number" && request.n !== 1) {
    throw new RelayError("unsupported_value", "Only n=1 is supported.", { param: "n" });
  }
  if (request.modalities?.includes("audio")) {
    throw new RelayError("unsupported_value", "Audio output is not supported by the Codex backend.", {
      param: "modalities",
    });
  }
  if (request["audio"] !== undefined && request["audio"] !== null) {
    throw new RelayError("unsupported_value", "Audio output is not supported by the Codex backend.", {
      param: "audio",
    });
  }
  const stops = tooManyStops(request.stop);
  if (stops) throw stops;
}
