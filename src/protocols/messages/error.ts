import type { ErrorFormat } from "../protocol.ts";
import type { RelayError } from "../../lib/errors.ts";

/** This API's own status for a service that has more to do than it can. */
const OVERLOADED = 529;

const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  [OVERLOADED]: "overloaded_error",
};

function statusOf(error: RelayError): number {
  return error.status === 503 ? OVERLOADED : error.status;
}

/** Type, message and request id; the code, which says more than the type, is where SDKs look for one. */
function toError(error: RelayError, requestId: string) {
  const status = statusOf(error);
  return {
    type: "error",
    error: {
      type: TYPES[status] ?? (status >= 500 ? "api_error" : "invalid_request_error"),
      message: textOf(error),
      ...(error.wireCode === null ? {} : { details: { error_code: error.wireCode } }),
    },
    request_id: requestId,
  };
}

/** Clients that shorten a conversation by themselves look for this API's own words, some of them to the letter. */
function textOf({ code, explanation }: RelayError): string {
  return code === "context_length_exceeded" ? `prompt is too long: ${explanation}` : explanation;
}

export const voice = { toError, statusOf, requestIdHeader: "request-id" } as const satisfies ErrorFormat;
