import type { JsonObject } from "../../lib/json.ts";

/** What the backend answers to a request that is only sent ahead, said by the relay: `id` is known, and nothing was used. */
export function prewarmFrames(id: string, model: unknown, nowMs: number): JsonObject[] {
  const response = { id, object: "response", created_at: Math.floor(nowMs / 1000), model, output: [] };
  const usage = {
    input_tokens: 0,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 0,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 0,
  };
  return [
    { type: "response.created", sequence_number: 0, response: { ...response, status: "in_progress" } },
    { type: "response.completed", sequence_number: 1, response: { ...response, status: "completed", usage } },
  ];
}
