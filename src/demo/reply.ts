import type { JsonObject } from "../lib/json.ts";
import { asObject, asText } from "./json.ts";
import { itemEvents, type NextId, type Output } from "./output.ts";

export interface ReplyFacts {
  readonly body: JsonObject;
  readonly outputs: readonly Output[];
  /** Tokens of the request, and how many of them an earlier request with the same cache key had. */
  readonly inputTokens: number;
  readonly cachedTokens: number;
  /** Epoch seconds. */
  readonly createdAt: number;
  readonly nextId: NextId;
  /** The public API repeats all items in `response.completed`; the plan's backend sends an empty list. */
  readonly fillsOutput?: boolean;
}

/** All events of one reply in wire form. */
export function* replyEvents(facts: ReplyFacts): Generator<JsonObject> {
  let sequence = 0;
  const numbered = (event: { type: string } & JsonObject): JsonObject => {
    const { type, ...rest } = event;
    return { type, sequence_number: sequence++, ...rest };
  };
  const response = responseObject(facts);
  yield numbered({ type: "response.created", response });
  yield numbered({ type: "response.in_progress", response });
  const items: JsonObject[] = [];
  let characters = 0;
  for (const [index, output] of facts.outputs.entries()) {
    const events = itemEvents(output, index, facts.nextId);
    for (let step = events.next(); ; step = events.next()) {
      if (step.done === true) {
        items.push(step.value);
        break;
      }
      characters += asText(step.value["delta"]).length;
      yield numbered(step.value);
    }
  }
  yield numbered({
    type: "response.completed",
    response: {
      ...response,
      status: "completed",
      output: facts.fillsOutput === true ? items : [],
      end_turn: !items.some((item) => asText(item["type"]).endsWith("_call")),
      service_tier: facts.body["service_tier"] ?? "default",
      usage: usage(facts, characters),
    },
  });
}

function responseObject(facts: ReplyFacts): JsonObject {
  const { body } = facts;
  const reasoning = asObject(body["reasoning"]);
  return {
    id: facts.nextId("resp"),
    object: "response",
    created_at: facts.createdAt,
    status: "in_progress",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: body["instructions"] ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    model: body["model"],
    output: [],
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    previous_response_id: body["previous_response_id"] ?? null,
    prompt_cache_key: body["prompt_cache_key"] ?? null,
    reasoning: { effort: reasoning["effort"] ?? "medium", summary: reasoning["summary"] ?? null },
    service_tier: body["service_tier"] ?? "auto",
    store: body["store"] ?? false,
    temperature: body["temperature"] ?? 1,
    text: { format: { type: "text" }, verbosity: "low", ...asObject(body["text"]) },
    tool_choice: body["tool_choice"] ?? "auto",
    tools: body["tools"] ?? [],
    top_p: body["top_p"] ?? 1,
    truncation: body["truncation"] ?? "disabled",
    usage: null,
    user: body["user"] ?? null,
    metadata: body["metadata"] ?? {},
  };
}

/** Four characters a token, and a fixed price for a reasoning item: enough to see that numbers arrive. */
function usage(facts: ReplyFacts, characters: number): JsonObject {
  const reasoningTokens = facts.outputs.some((output) => output.kind === "reasoning") ? 16 : 0;
  const outputTokens = Math.max(1, Math.ceil(characters / 4)) + reasoningTokens;
  return {
    input_tokens: facts.inputTokens,
    input_tokens_details: { cached_tokens: facts.cachedTokens, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: facts.inputTokens + outputTokens,
  };
}

export function countTokens(body: JsonObject): number {
  const read = [body["instructions"] ?? "", body["input"] ?? "", body["tools"] ?? "", body["messages"] ?? ""];
  return Math.max(1, Math.ceil(JSON.stringify(read).length / 4));
}
