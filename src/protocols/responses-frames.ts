import type { RelayError } from "../lib/errors.ts";
import { openaiError } from "../lib/openai-error.ts";
import type { MadeFrame } from "./protocol.ts";

/** A frame of an event that the relay makes itself, named after its type as in Responses and Images. */
export function frameOf(event: { readonly type: string; readonly [field: string]: unknown }): MadeFrame {
  return { event: event.type, data: event };
}

/**
 * How a stream of Responses or Images ends when it fails in the middle. Some SDKs read the flat fields that the API
 * documents, others the nested object of HTTP errors.
 */
export function errorFrame(error: RelayError, sequenceNumber: number): MadeFrame {
  return frameOf(errorEvent(error, sequenceNumber));
}

/** The event of a failure. It always has a code: clients show it, and strict ones refuse null. */
export function errorEvent(error: RelayError, sequenceNumber: number) {
  const nested = openaiError(error).error;
  const code = nested.code ?? error.code;
  const { message, param } = nested;
  return { type: "error", sequence_number: sequenceNumber, code, message, param, error: { ...nested, code } };
}
