import type { ResponseObject } from "../../codex/schema.ts";
import type { FinishReason } from "./delta.ts";

/** Why the answer ended. An incomplete one is never a success, whatever it holds and whether or not it says why. */
export function toFinishReason(
  type: string,
  response: ResponseObject,
  calls: { readonly any: boolean; readonly legacy: boolean },
): FinishReason {
  if (type === "response.incomplete" || response.status === "incomplete") {
    return response.incomplete_details?.reason === "content_filter" ? "content_filter" : "length";
  }
  if (calls.any) return calls.legacy ? "function_call" : "tool_calls";
  return "stop";
}
