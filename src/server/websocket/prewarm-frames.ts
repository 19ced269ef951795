import { estimatedUsage } from "../../codex/output/usage.ts";
import type { JsonObject } from "../../lib/json.ts";

/** What the backend answers to a request that is only sent ahead, said by the relay: `id` is known, and nothing was used. */
export function prewarmFrames(id: string, model: unknown, nowMs: number): JsonObject[] {
  const response = { id, object: "response", created_at: Math.floor(nowMs / 1000), model, output: [] };
  const usage = estimatedUsage(0, 0);
  return [
    { type: "response.created", sequence_number: 0, response: { ...response, status: "in_progress" } },
    { type: "response.completed", sequence_number: 1, response: { ...response, status: "completed", usage } },
  ];
}
