import type { RelayError } from "./errors.ts";

/**
 * The error envelope of OpenAI's APIs, which most clients read whatever they speak. The hint belongs to the message:
 * few clients show anything else.
 */
export function openaiError(error: RelayError) {
  return {
    error: {
      message: error.explanation,
      type: error.type,
      param: error.param ?? null,
      code: error.wireCode,
    },
  };
}
