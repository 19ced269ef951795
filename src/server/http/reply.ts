import type { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import type { ErrorFormat } from "../../protocols/protocol.ts";

/** The error format where no dialect is known: most clients read OpenAI's envelope. */
export const OPENAI_ERRORS: ErrorFormat = { toError: openaiError };

/** JSON of any status. */
export function jsonReply(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/**
 * An error as a reply in a dialect's own form. Codex clients get upstream's very bytes when there are any: they read
 * reset times and codes out of them.
 */
export function errorReply(
  error: RelayError,
  format: ErrorFormat,
  headers: Readonly<Record<string, string>>,
  isCodexClient = false,
): Response {
  const own = { ...headers, ...errorHeaders(error) };
  const all = { ...own, ...requestIdHeaders(format, own) };
  const upstream = error.upstreamBody;
  if (isCodexClient && upstream) {
    return new Response(upstream.text, {
      status: upstream.status,
      headers: { "content-type": upstream.contentType, ...all },
    });
  }
  return jsonReply(format.toError(error, all["x-request-id"] ?? ""), format.statusOf?.(error) ?? error.status, all);
}

/** The request id once more under the name that the dialect's SDKs know. */
export function requestIdHeaders(
  format: Pick<ErrorFormat, "requestIdHeader">,
  headers: Readonly<Record<string, string>>,
): Record<string, string> {
  const id = headers["x-request-id"];
  return format.requestIdHeader === undefined || id === undefined ? {} : { [format.requestIdHeader]: id };
}

function errorHeaders(error: RelayError): Record<string, string> {
  const headers: Record<string, string> = { ...error.headers };
  if (error.retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  }
  if (error.shouldRetry !== undefined) headers["x-should-retry"] = String(error.shouldRetry);
  // The body was not read to its end, so the connection cannot carry another request.
  if (error.status === 413) headers["connection"] = "close";
  return headers;
}

/** Headers of every streamed reply; `no-transform` and `x-accel-buffering` keep proxies from collecting it. */
export function streamHeaders(contentType: string): Record<string, string> {
  return {
    "content-type": contentType,
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
  };
}

/** Content types that a browser renders as a document with scripts. */
const IS_PAGE = /^\s*(text\/html|application\/xhtml|image\/svg|(text|application)\/xml)/i;

/** Headers of an upstream reply that is passed on as it is. */
export function passedHeaders(upstream: Headers): Headers {
  const headers = new Headers(upstream);
  // fetch has decoded the body already; length and encoding described the bytes on the wire.
  for (const name of ["content-encoding", "content-length", "transfer-encoding", "connection", "set-cookie"]) {
    headers.delete(name);
  }
  // Error pages of whoever stands before the API: served as they are they would run on the relay's own origin.
  if (IS_PAGE.test(headers.get("content-type") ?? "")) headers.set("content-type", "text/plain; charset=utf-8");
  return headers;
}
