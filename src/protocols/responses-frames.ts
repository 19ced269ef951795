import type { RelayError } from "../lib/errors.ts";
import { openaiError } from "../lib/openai-error.ts";
import type { MadeFrame } from "./protocol.ts";

/** A frame of an event that the relay makes itself, named after its type as in Responses and Images. */
export function frameOf(event: { readonly type: string; readonly [field: string]: unknown }): MadeFrame {
  return { event: event.type, data: event };
}

/** How a stream of Responses or Images ends when it fails in the middle. */
export function errorFrame(error: RelayError): MadeFrame {
  return frameOf({ type: "error", ...openaiError(error) });
}
