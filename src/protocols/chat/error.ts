import type { RelayError } from "../../lib/errors.ts";

/** The OpenAI envelope. The hint belongs to the message: most clients show nothing else. */
export function toError(error: RelayError): unknown {
  return {
    error: {
      message: error.hint === undefined ? error.message : `${error.message} ${error.hint}`,
      type: error.type,
      param: error.param ?? null,
      code: error.wireCode,
    },
  };
}
