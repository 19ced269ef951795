import { ResponseAssembler } from "../../codex/output/assemble.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import type { ResponseObject } from "../../codex/wire/schema.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { ClientBody, Context } from "../protocol.ts";
import { remember } from "./history.ts";
import type { ResponsesRequest } from "./schema.ts";

/** The reply of a request that did not ask for a stream. */
export class ResponsesBody implements ClientBody {
  readonly #request: ResponsesRequest;
  readonly #context: Context;
  readonly #assembler = new ResponseAssembler();

  constructor(request: ResponsesRequest, context: Context) {
    this.#request = request;
    this.#context = context;
  }

  get isDone(): boolean {
    return this.#assembler.isComplete;
  }

  onEvent(wire: WireEvent): void {
    const failure = failureOf(wire, this.#context.now);
    if (failure) throw failure;
    this.#assembler.onEvent(wire);
  }

  toBody(): unknown {
    try {
      const response = this.#assembler.toResponse();
      if (response) {
        const body = completeResponse(response, this.#request, this.#context);
        remember(this.#request, this.#context, body);
        return body;
      }
    } catch (thrown) {
      if (thrown instanceof RelayError) throw thrown;
      // An end that is mangled is none.
      throw truncated(thrown);
    }
    throw truncated();
  }
}

/** Fields that the public API echoes and the backend leaves out or never saw: the client's own values. */
const ECHOED = [
  "instructions",
  "max_output_tokens",
  "metadata",
  "previous_response_id",
  "temperature",
  "text",
  "tool_choice",
  "tools",
  "top_p",
  "truncation",
  "user",
] as const;

/** What the client asked for wins over upstream's defaults; these have no meaning upstream at all. */
const CLIENT_WINS = new Set<string>([
  "max_output_tokens",
  "metadata",
  "temperature",
  "top_p",
  "truncation",
  "user",
  "tools",
]);

/** A Response object with every key that SDKs read, in the shape of the public API. */
export function completeResponse(response: ResponseObject, request: ResponsesRequest, context: Context): JsonObject {
  const echoed = Object.fromEntries(
    ECHOED.map((name) => [
      name,
      CLIENT_WINS.has(name) ? (request[name] ?? null) : (response[name] ?? request[name] ?? null),
    ]),
  );
  return {
    ...response,
    ...echoed,
    id: response.id ?? `resp_${context.id}`,
    object: "response",
    created_at: Math.floor(response.created_at ?? context.now / 1000),
    status: response.status ?? "completed",
    model: response.model ?? request.model,
    output: response.output ?? [],
    error: response.error ?? null,
    incomplete_details: response.incomplete_details ?? null,
    metadata: request["metadata"] ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? response["parallel_tool_calls"] ?? true,
    reasoning: response["reasoning"] ?? request.reasoning ?? { effort: null, summary: null },
    store: request["store"] === true,
    text: response["text"] ?? request.text ?? { format: { type: "text" } },
    tool_choice: request["tool_choice"] ?? response["tool_choice"] ?? "auto",
    tools: request.tools ?? [],
    usage: completeUsage(response),
  };
}

/** SDKs read both detail objects without asking. */
export function completeUsage(response: ResponseObject): JsonObject | null {
  const { usage } = response;
  if (!usage) return null;
  return {
    ...usage,
    input_tokens_details: { cached_tokens: 0, ...usage.input_tokens_details },
    output_tokens_details: { reasoning_tokens: 0, ...usage.output_tokens_details },
    total_tokens: usage.total_tokens ?? usage.input_tokens + usage.output_tokens,
  };
}
