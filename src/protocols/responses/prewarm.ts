import { estimatedUsage } from "../../codex/output/usage.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import { toCodex } from "./request.ts";
import { completeResponse } from "./response-object.ts";
import { parseResponsesRequest } from "./schema.ts";

/** A request that is only sent ahead: what it would ask, and the events that answer it without the backend. */
export interface Prewarm {
  readonly translation: Translation;
  readonly events: readonly JsonObject[];
}

/**
 * What the backend answers to a request that is only sent ahead, said by the relay: `id` is known, and nothing was used.
 * Throws what the request itself would be refused with.
 */
export function prewarm(id: string, body: unknown, context: Context): Prewarm {
  const request = parseResponsesRequest(body);
  const translation = toCodex(request, context);
  const created_at = Math.floor(context.now / 1000);
  const response = (status: string, usage?: ReturnType<typeof estimatedUsage>) =>
    completeResponse({ id, created_at, output: [], status, ...(usage ? { usage } : {}) }, request, context);
  return {
    translation,
    events: [
      { type: "response.created", sequence_number: 0, response: response("in_progress") },
      { type: "response.completed", sequence_number: 1, response: response("completed", estimatedUsage(0, 0)) },
    ],
  };
}
