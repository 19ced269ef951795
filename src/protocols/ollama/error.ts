import type { RelayError } from "../../lib/errors.ts";

/** Ollama says no in one field. */
export function toError(error: RelayError): { error: string } {
  return { error: error.explanation };
}
