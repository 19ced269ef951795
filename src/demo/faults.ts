import type { JsonObject } from "../lib/json.ts";
import { limitHeaders } from "./account.ts";
import type { Pace } from "./event-stream.ts";
import { itemEvents } from "./output.ts";

/** How a reply goes wrong: an HTTP refusal, other events, or the usual answer sent in an unusual way. */
export type PlayedFault =
  | {
      readonly kind: "http";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      /** Text goes out as it is, anything else as JSON. */
      readonly body?: unknown;
    }
  | { readonly kind: "events"; readonly events: readonly JsonObject[] }
  | {
      readonly kind: "answer";
      readonly shape?: Pace;
      readonly rewrite?: (events: Iterable<JsonObject>) => Iterable<JsonObject>;
    };

/** Faults that a prompt asks for by `fault:<name>`. `nowMs` dates the reset times. */
export const PLAYED_FAULTS = {
  context_length: () => refused(400, "context_length_exceeded", "Your input exceeds the context window of this model."),
  unauthorized: () => ({ kind: "http", status: 401, body: { detail: "Unauthorized" } }),
  cloudflare: () => ({
    kind: "http",
    status: 403,
    headers: {
      "content-type": "text/html; charset=UTF-8",
      "cf-mitigated": "challenge",
      server: "cloudflare",
      "cf-ray": "8f0000000000aaaa-FRA",
    },
    body: "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>",
  }),
  model_not_found: () => refused(404, "model_not_found", "Model not found gpt-9"),
  usage_limit: (nowMs: number) => usageLimit(nowMs),
  rate_limit: () => ({
    ...refused(429, "rate_limit_exceeded", "Rate limit reached. Please try again in 2s.", "rate_limit_error"),
    headers: { "retry-after": "2" },
  }),
  server_error: () => refused(500, "server_error", "The server had an error.", "server_error"),
  http_overload: () => refused(503, "server_is_overloaded", "Our servers are overloaded."),
  overload: () => failed("server_is_overloaded", "Our servers are currently overloaded. Please try again later."),
  failed_server_error: () => failed("server_error", "The server had an error while processing your request."),
  incomplete_length: () => incomplete("max_output_tokens"),
  incomplete_filter: () => incomplete("content_filter"),
  refusal: () => ({ kind: "answer", rewrite: refusing }),
  cut: () => ({ kind: "answer", shape: { end: { after: 5, how: "destroy" } } }),
  truncated: () => ({ kind: "answer", shape: { end: { after: 5, how: "close" } } }),
  stall: () => ({ kind: "answer", shape: { end: { after: 5, how: "stall" } } }),
  slow: () => ({ kind: "answer", shape: { paceMs: 50 } }),
} as const satisfies Record<string, (nowMs: number) => PlayedFault>;

export type PlayedFaultName = keyof typeof PLAYED_FAULTS;

/** The name of the fault that a prompt asks for, and whether only its first request gets it (`fault:<name>:once`). */
export function faultIn(prompt: string): { name: string; isOnce: boolean } | undefined {
  const found = /\bfault:([a-z_]+)(:once)?/.exec(prompt);
  return found?.[1] === undefined ? undefined : { name: found[1], isOnce: found[2] !== undefined };
}

/** The public API's error envelope. */
export const enveloped = (code: string, message: string, type = "invalid_request_error") => ({
  error: { message, type, param: null, code },
});

function refused(status: number, code: string, message: string, type?: string) {
  return { kind: "http", status, body: enveloped(code, message, type) } as const;
}

/** A reply that begins well and then ends in `terminal`. */
export function endingIn(terminal: JsonObject) {
  const response = { id: "resp_fault", object: "response", status: "in_progress", output: [] };
  const created = { type: "response.created", sequence_number: 0, response };
  return { kind: "events", events: [created, { ...terminal, sequence_number: 1 }] } as const;
}

/** `response.failed` with a code, or without any error. */
export function failed(code: string | undefined, message: string) {
  const error = code === undefined ? null : { code, message };
  const response = { id: "resp_fault", object: "response", status: "failed", error, output: [], usage: null };
  return endingIn({ type: "response.failed", response });
}

function incomplete(reason: string) {
  const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 };
  const response = { id: "resp_fault", status: "incomplete", incomplete_details: { reason }, output: [], usage };
  return endingIn({ type: "response.incomplete", response });
}

/** The reply to a plan without any quota left, with the headers that come along. */
function usageLimit(nowMs: number, resetsInSeconds = 13_872) {
  const error = {
    type: "usage_limit_reached",
    message: "The usage limit has been reached",
    plan_type: "plus",
    resets_at: Math.floor(nowMs / 1000) + resetsInSeconds,
    eligible_promo: null,
    resets_in_seconds: resetsInSeconds,
  };
  const headers = limitHeaders("plus", nowMs, { primary: 100, secondary: 80 });
  return { kind: "http", status: 429, headers, body: { error } } as const;
}

function* refusing(events: Iterable<JsonObject>): Generator<JsonObject> {
  const refusal = { kind: "refusal", text: "I cannot help with that." } as const;
  for (const event of events) {
    if (event["type"] === "response.completed") yield* itemEvents(refusal, 0, (prefix) => `${prefix}_refusal`);
    if (event["response"] !== undefined) yield event;
  }
}
