import { RelayError, type ErrorCode, type RelayErrorOptions } from "../../lib/errors.ts";
import { isObject, nonEmptyString, parseJson, type JsonObject } from "../../lib/json.ts";
import {
  AUTHORIZATION_HEADER,
  clientHeaders,
  namedHeaders,
  upstreamRequestId,
  type ReplyHeaders,
} from "./reply-headers.ts";
import { fullWindowMs, retryAfterMs, waitInText } from "./retry-after.ts";
import type { CodexEvent } from "./schema.ts";
import { responseOf } from "./lenient.ts";
import type { WireEvent } from "./event.ts";
import { isFailure } from "./event-types.ts";
import { isCloudflarePage, PAGE_HINT, proxyOfPage } from "../../lib/web-page.ts";

/** What upstream said went wrong, wherever it said it. */
interface Detail {
  readonly code: string | undefined;
  readonly type: string | undefined;
  readonly message: string | undefined;
  readonly param: string | undefined;
  readonly plan: string | undefined;
  /** Until the limit ends, if upstream says so. */
  readonly resetsInMs: number | undefined;
}

const QUOTA = new Set([
  "usage_limit_reached",
  "usage_not_included",
  "insufficient_quota",
  "deactivated_workspace",
  "budget_reached",
  "organization_spend_limit_exceeded",
]);
const OVERLOADED = new Set(["server_is_overloaded", "overloaded_error", "model_at_capacity"]);
const RATE_LIMITED = new Set(["rate_limit_exceeded", "slow_down"]);
/** Who may not use what; `policy_capacity_unavailable` is a policy too, and no overload that passes. */
const NOT_ALLOWED = new Set(["access_program_not_enabled", "policy_capacity_unavailable"]);
const OVERLOADED_WAIT_MS = 5000;

/** Faults of the prompt: repeating the request cannot help. */
const PROMPT_FAULT =
  /^(invalid_|image_|audio_|unsupported_|missing_|unknown_|content_policy|string_above|array_above)|_policy(_violation)?$/;

/** The error in an event that ends a reply: `response.failed`, `response.cancelled` or `error` in either form. */
export function eventFailure(event: CodexEvent, nowMs: number): RelayError {
  const source = failureSource(event);
  const detail = readDetail(source, nowMs);
  if (event.type === "response.cancelled") {
    return new RelayError("upstream_error", detail.message ?? "Upstream cancelled the response.");
  }
  return classify(failureStatus(event), detail, {});
}

/** The failure that an event reports, if it does. Some transports name every end alike and say only there how it went. */
export function failureOf(wire: WireEvent, nowMs: number): RelayError | undefined {
  if (isFailure(wire.type)) return eventFailure(wire.event, nowMs);
  if (wire.type !== "response.completed" && wire.type !== "response.done") return undefined;
  const response = responseOf(wire.event);
  if (response.status !== "failed" && response.status !== "cancelled") return undefined;
  return eventFailure({ type: `response.${response.status}`, response }, nowMs);
}

function failureSource(event: CodexEvent): JsonObject {
  if (event.type === "response.failed") {
    // Trusted, not validated: even a failure may come without what it ought to have.
    const response: unknown = event.response;
    return isObject(response) ? (nestedError(response) ?? {}) : {};
  }
  if (event.type === "error") return nestedError(event) ?? worded(event);
  return {};
}

function nestedError({ error }: JsonObject): JsonObject | undefined {
  if (isObject(error)) return worded(error);
  return typeof error === "string" && error !== "" ? { message: error } : undefined;
}

function failureStatus(event: CodexEvent): number | undefined {
  return event.type === "error" ? (event.status ?? event.status_code ?? undefined) : undefined;
}

/** Upstream stopped in the middle: no terminal event came. Never to be shown as a normal end. */
export function truncated(cause?: unknown): RelayError {
  return new RelayError("upstream_stream_truncated", "The upstream stream ended before the response was complete.", {
    cause,
  });
}

export interface HttpFailure {
  readonly status: number;
  readonly headers: Headers;
  /** Body as text; may be HTML. */
  readonly text: string;
}

/** An HTTP refusal of upstream, in its `detail` or `error` form, as HTML, or empty. */
export function httpFailure(reply: HttpFailure, nowMs: number): RelayError {
  const contentType = reply.headers.get("content-type") ?? "";
  if (reply.status === 407) return unauthorizedAtProxy();
  const isHtml = contentType.includes("html") || /^\s*<(!doctype|html)/i.test(reply.text);
  if (isHtml || reply.headers.has("cf-mitigated")) return htmlFailure(reply, nowMs);
  if (reply.status < 400) return redirected(reply.status);
  const detail = readDetail(errorObject(parseJson(reply.text)), nowMs);
  const waitMs =
    detail.resetsInMs ??
    retryAfterMs(reply.headers, nowMs) ??
    (reply.status === 429 ? fullWindowMs(reply.headers, nowMs) : undefined);
  const headers = namedHeaders(reply.headers);
  const requestId = upstreamRequestId(headers);
  const failure = classify(
    reply.status,
    { ...detail, resetsInMs: waitMs },
    {
      headers: { ...clientHeaders(headers), ...(requestId === undefined ? {} : { "x-request-id": requestId }) },
      upstreamBody: { status: reply.status, contentType: contentType || "application/json", text: reply.text },
    },
  );
  return withAuthorizationText(failure, headers);
}

/** In characters. */
const LONGEST_AUTHORIZATION_TEXT = 500;

/** A failure with what the backend says to the person about it, which only a header of the reply holds. */
export function withAuthorizationText(failure: RelayError, headers: ReplyHeaders): RelayError {
  const text = headers[AUTHORIZATION_HEADER]?.trim().slice(0, LONGEST_AUTHORIZATION_TEXT) ?? "";
  return text === "" || failure.message.includes(text) ? failure : failure.reworded(failure.message, { hint: text });
}

function htmlFailure(reply: HttpFailure, nowMs: number): RelayError {
  const isBlocking = reply.status === 403 || reply.headers.has("cf-mitigated");
  if (isBlocking && isCloudflarePage(reply.headers, reply.text)) {
    return new RelayError("upstream_challenge", "Cloudflare blocked the request before it reached the backend.", {
      hint: "Your network or proxy was challenged; try another network, or set --proxy.",
    });
  }
  const proxy = proxyOfPage(reply.headers);
  const text = proxy
    ? `A proxy on the way (${proxy}) answered ${reply.status} with a page of its own.`
    : `Upstream answered ${reply.status} with a web page instead of JSON.`;
  return new RelayError("upstream_error", text, {
    ...wait(retryAfterMs(reply.headers, nowMs)),
    // A gateway's page is gone with its trouble; one that forbids stays.
    ...(isBlocking ? { shouldRetry: false } : {}),
    hint: proxy ? "Ask whoever runs that proxy to allow this host, or set another with --proxy." : PAGE_HINT,
  });
}

/** Only a proxy says that. */
function unauthorizedAtProxy(): RelayError {
  return new RelayError("upstream_error", "The proxy on the way asks for credentials (407).", {
    hint: "Write them into its URL, as in --proxy http://NAME:PASSWORD@HOST:PORT.",
    shouldRetry: false,
  });
}

/** Never followed, and not passed on either: whoever follows it would take prompt and key along. */
function redirected(status: number): RelayError {
  return new RelayError("upstream_error", `Upstream answered ${status}, which leads to another address.`, {
    hint: "Redirects are not followed: check --base-url, and whether your network sends you to a page of its own.",
    shouldRetry: false,
  });
}

/** Both envelopes of the backend as one object. */
function errorObject(body: unknown): JsonObject {
  if (!isObject(body)) return {};
  const error = body["error"];
  if (isObject(error)) return worded(error);
  if (typeof error === "string") return { code: error, message: body["error_description"] ?? error };
  return worded(body);
}

/** An error whose text may stand in `detail`, the backend's short form, which error frames of a socket wrap in `error`. */
function worded(error: JsonObject): JsonObject {
  const { detail } = error;
  if (nonEmptyString(error["message"]) !== undefined || detail === undefined) return error;
  if (typeof detail === "string") return { ...error, message: detail };
  if (isObject(detail)) return detail;
  return Array.isArray(detail) ? { ...error, message: detail.map(validationText).join("; ") } : error;
}

function validationText(entry: unknown): string {
  if (!isObject(entry)) return String(entry);
  const path = Array.isArray(entry["loc"]) ? `${entry["loc"].join(".")}: ` : "";
  return `${path}${typeof entry["msg"] === "string" ? entry["msg"] : JSON.stringify(entry)}`;
}

function readDetail(source: JsonObject, nowMs: number): Detail {
  const inSeconds = source["resets_in_seconds"];
  const at = source["resets_at"];
  const message = nonEmptyString(source["message"]);
  let resetsInMs: number | undefined;
  if (typeof inSeconds === "number") resetsInMs = inSeconds * 1000;
  else if (typeof at === "number") resetsInMs = Math.max(0, at * 1000 - nowMs);
  else resetsInMs = waitInText(message ?? "");
  return {
    code: nonEmptyString(source["code"]),
    type: nonEmptyString(source["type"]),
    message,
    param: nonEmptyString(source["param"]),
    plan: nonEmptyString(source["plan_type"]),
    resetsInMs,
  };
}

function classify(
  status: number | undefined,
  detail: Detail,
  reply: Pick<RelayErrorOptions, "headers" | "upstreamBody">,
): RelayError {
  const name = [detail.code, detail.type].find((word) => word !== undefined && isKnownName(word)) ?? detail.code;
  const message = detail.message ?? wordless(status, name);
  const make = (code: ErrorCode, text: string, options: RelayErrorOptions = {}) =>
    new RelayError(code, text, { ...(name === undefined ? {} : { wireCode: name }), ...reply, ...options });
  const param = detail.param === undefined ? {} : { param: detail.param };

  if (name === "context_length_exceeded" || /exceeds the context window|maximum context length/i.test(message)) {
    return make("context_length_exceeded", message, { wireCode: "context_length_exceeded", ...param });
  }
  if ((name !== undefined && QUOTA.has(name)) || status === 402) return quotaFailure(make, message, detail);
  if (name === "model_not_found") return make("model_not_found", message, { param: "model" });
  if (name !== undefined && NOT_ALLOWED.has(name)) return make("access_denied", message, { shouldRetry: false });
  if (name !== undefined && PROMPT_FAULT.test(name) && status !== 401 && status !== 403) {
    return make("upstream_rejected", message, placeOf(detail, message));
  }
  if ((name !== undefined && RATE_LIMITED.has(name)) || status === 429) {
    const waitMs = detail.resetsInMs ?? (name === "slow_down" ? OVERLOADED_WAIT_MS : undefined);
    return make("rate_limit_exceeded", message, wait(waitMs));
  }
  if ((name !== undefined && OVERLOADED.has(name)) || /\bat capacity\b/i.test(message)) {
    return make("overloaded", message, wait(detail.resetsInMs ?? OVERLOADED_WAIT_MS));
  }
  if (/not supported when using Codex with|^Model not found/i.test(message)) {
    return make("model_not_found", message, { param: "model", wireCode: "model_not_found" });
  }
  if (name === "previous_response_not_found") {
    return make("previous_response_not_found", message, { param: "previous_response_id" });
  }
  if (/requires a newer version of Codex/i.test(message)) {
    return make("upstream_rejected", message, {
      param: "model",
      hint: "Set --client-version to that of a current Codex CLI.",
    });
  }
  if (isRegionRefusal(message)) {
    return make("workspace_region", message, {
      wireCode: "workspace_region_not_authorized",
      shouldRetry: false,
      hint: "The workspace is pinned to another region: use another workspace's login, or ask its administrator. Signing in again to the same one does not help.",
    });
  }
  if (status === 401) {
    return make("upstream_unauthorized", message, {
      wireCode: "invalid_api_key",
      hint: "Run `plansocket login` (or `codex login`) to sign in again.",
    });
  }
  if (status === 403) {
    const isRegion =
      name === "unsupported_country_region_territory" || /not supported in your (country|region)/i.test(message);
    return make(
      "access_denied",
      message,
      isRegion ? { hint: "Set --proxy if your network leaves in another region." } : {},
    );
  }
  if (status === 413) return make("request_too_large", message);
  if (status !== undefined && status >= 400 && status < 500 && !/^Not Found$/i.test(message)) {
    return make("upstream_rejected", message, placeOf(detail, message));
  }
  return make("upstream_error", message, wait(detail.resetsInMs));
}

/** A refusal without a message still has a status, and perhaps a code: all that many clients show. */
function wordless(status: number | undefined, name: string | undefined): string {
  return `Upstream refused the request${status === undefined ? "" : ` with ${status}`}${name === undefined ? "" : `: ${name}`}.`;
}

function isKnownName(word: string): boolean {
  return (
    QUOTA.has(word) ||
    OVERLOADED.has(word) ||
    RATE_LIMITED.has(word) ||
    NOT_ALLOWED.has(word) ||
    word === "context_length_exceeded" ||
    word === "model_not_found"
  );
}

function wait(ms: number | undefined): { retryAfterMs?: number } {
  return ms === undefined ? {} : { retryAfterMs: ms };
}

/** Repeating cannot help before the window resets, so SDKs are told not to try. */
function quotaFailure(
  make: (code: ErrorCode, text: string, options?: RelayErrorOptions) => RelayError,
  message: string,
  detail: Detail,
): RelayError {
  const facts = [
    detail.plan === undefined ? undefined : `plan ${detail.plan}`,
    detail.resetsInMs === undefined ? undefined : `resets in ${inWords(detail.resetsInMs)}`,
  ].filter((fact) => fact !== undefined);
  const text = facts.length > 0 ? `${message.replace(/\.$/, "")} (${facts.join(", ")}).` : message;
  return make("quota_exceeded", text, { shouldRetry: false, ...wait(detail.resetsInMs) });
}

function inWords(ms: number): string {
  const minutes = Math.ceil(ms / 60_000);
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor((minutes % 1440) / 60);
  const parts = [days > 0 ? `${days} d` : "", hours > 0 ? `${hours} h` : "", `${minutes % 60} min`];
  return parts.filter((part) => part !== "").join(" ");
}

/** Answered with 401, but of no fault of the token: renewing it would spend a refresh token for nothing. */
export function isRegionRefusal(text: string): boolean {
  return /not authorized in this region/i.test(text);
}

/** The field that a refusal is about: its `param`, else the name in "Unsupported parameter: x" and its like. */
function placeOf({ param }: Detail, message: string): { param?: string } {
  const named = /^(?:unsupported|unknown) parameter:\s*['"]?([\w.[\]]+?)['"]?\.?$/i.exec(message.trim())?.[1];
  const place = param ?? named;
  return place === undefined ? {} : { param: place };
}
