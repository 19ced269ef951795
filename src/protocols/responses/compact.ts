import { conversationKey } from "../../codex/request/cache-key.ts";
import { isEndpointRefused, objectsIn } from "../../codex/wire/endpoint-call.ts";
import type { CodexRequest } from "../../codex/wire/request.ts";
import type { ResponseObject } from "../../codex/wire/schema.ts";
import { objectsOf } from "../../codex/wire/lenient.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { openaiError } from "../../lib/openai-error.ts";
import type { Dialogue, Exchange, ExchangeProtocol } from "../exchange.ts";
import type { Context, Translation } from "../protocol.ts";
import { namedModel, toCodex } from "./request.ts";
import { wholeUsage } from "../../codex/output/usage.ts";
import { parseResponsesRequest, type ResponsesRequest } from "./schema.ts";

/** POST /v1/responses/compact: a conversation made short enough to go on with. */
export const compact: ExchangeProtocol = {
  name: "compact",
  takesForms: "never",
  read(body, context) {
    // What is remembered of the conversation may be all there is to make shorter.
    const whole = isObject(body) && body["previous_response_id"] ? { input: [], ...body } : body;
    const request = parseResponsesRequest(whole);
    return context.isCodexClient ? verbatim(request, context) : translated(request, context);
  },
  toError: openaiError,
};

/** Codex clients know the endpoint, and read its answer themselves. */
function verbatim(request: ResponsesRequest, context: Context): Exchange {
  const { model } = { ...request, ...namedModel(request, context) };
  return { dropped: [], changed: [], model, way: { dialogue: ask(request, context) } };
}

function* ask(request: ResponsesRequest, context: Context): Dialogue {
  const { chatFields: _notSent, ...written } = request;
  const body = { ...written, ...namedModel(request, context) };
  try {
    return { json: yield { endpointCall: { endpoint: "/responses/compact", body, required: Object.keys(body) } } };
  } catch (thrown) {
    refuseOther(thrown);
  }
  return yield* askForItem(toCodex(request, context), context);
}

/** They shape an answer, and there is none. */
const SHAPES = ["include", "parallel_tool_calls", "reasoning", "stream", "text", "tool_choice", "tools"] as const;

function translated(request: ResponsesRequest, context: Context): Exchange {
  const given = SHAPES.filter((name) => request[name] !== undefined && request[name] !== null);
  const plain = { ...request };
  for (const name of SHAPES) delete plain[name];
  const { body, dropped, changed } = toCodex(plain, context);
  if (body.input.length === 0) {
    throw new RelayError("empty_array", "Invalid 'input': there is no conversation to compact.", { param: "input" });
  }
  return {
    dropped: [...dropped, ...given],
    changed,
    model: body.model,
    conversation: body.prompt_cache_key ?? conversationKey(body, context.clientId),
    way: { dialogue: shorten(body, context) },
  };
}

/** The backend's endpoint for it; where that is gone, the item of a response that asks for the same. */
function* shorten(body: CodexRequest, context: Context): Dialogue {
  const { include: _include, store: _store, stream: _stream, ...sent } = body;
  try {
    const answer = yield { endpointCall: { endpoint: "/responses/compact", body: sent, required: ["model", "input"] } };
    return { json: compaction(answer, objectsIn(answer, "output"), context) };
  } catch (thrown) {
    refuseOther(thrown);
  }
  return yield* askForItem({ body, dropped: [], changed: [] }, context);
}

/** Throws what was thrown, unless the backend only has no such endpoint. */
function refuseOther(thrown: unknown): void {
  const error = toRelayError(thrown);
  if (!isEndpointRefused(error)) throw error;
}

/** Asks for a response whose only item is the compaction. */
function* askForItem(translation: Translation, context: Context): Dialogue {
  const { body } = translation;
  const input = [...body.input, { type: "compaction_trigger" }];
  const response: ResponseObject = yield { translation: { ...translation, body: { ...body, input } } };
  const items = objectsOf(response.output).filter((item) => item.type === "compaction");
  if (items.length !== 1) {
    throw new RelayError("upstream_error", "Upstream's answer is no compaction.", { shouldRetry: false });
  }
  return { json: compaction(response, items, context) };
}

function compaction(answer: ResponseObject, output: readonly JsonObject[], context: Context): JsonObject {
  const nothing = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };
  return {
    id: nonEmptyString(answer.id) ?? `resp_${context.id}`,
    object: "response.compaction",
    created_at: Math.floor(answer.created_at ?? context.now / 1000),
    output,
    // SDKs read it without asking.
    usage: wholeUsage(answer.usage) ?? wholeUsage(nothing),
  };
}
