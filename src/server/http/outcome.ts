import { isCodexClient } from "../../codex/wire/request-headers.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { ErrorFormat } from "../../protocols/protocol.ts";
import { corsHeaders } from "../access.ts";
import type { Admitted } from "../handle.ts";
import { errorReply } from "./reply.ts";

/** Browsers take a reply for what its content type says, whatever its bytes look like. */
const NO_SNIFFING = "x-content-type-options";

/** A handler's reply with what every reply has: a request id, `nosniff`, and for allowed pages the CORS headers. */
export function withCommonHeaders(response: Response, { id, caller }: Admitted): Response {
  const { headers } = response;
  if (!headers.has("x-request-id")) headers.set("x-request-id", id);
  headers.set(NO_SNIFFING, "nosniff");
  if (caller.origin === undefined) return response;
  for (const [name, value] of Object.entries(corsHeaders(caller))) headers.set(name, value);
  return response;
}

/** Ends a request whose handler threw; the error as a reply in the dialect's format. */
export function refusalReply(thrown: unknown, admitted: Admitted, format: ErrorFormat, log: Log): Response {
  const { request, lifetime, record, id, caller } = admitted;
  lifetime.end();
  const error = causeOf(thrown, admitted);
  record.fail(error);
  if (error.code === "internal_error") {
    log.error("A request failed inside the relay.", { request_id: id, reason: String(error.cause) });
  }
  const headers = { "x-request-id": id, [NO_SNIFFING]: "nosniff", ...corsHeaders(caller) };
  return errorReply(error, format, headers, isCodexClient(request.headers));
}

/** What ended the request: a client that left, the relay's stop or a key's end come before whatever they made fail. */
function causeOf(thrown: unknown, { request, lifetime }: Admitted): RelayError {
  if (request.signal.aborted)
    return new RelayError("client_closed", "The client closed the request.", { cause: thrown });
  const { reason } = lifetime.signal as { reason: unknown };
  return toRelayError(reason instanceof RelayError ? reason : thrown);
}
