import type { JsonObject } from "../../src/lib/json.ts";
import {
  endingIn,
  enveloped,
  failed as failedEvents,
  faultIn as faultNamedIn,
  PLAYED_FAULTS,
  type PlayedFaultName,
} from "../../src/demo/faults.ts";
import { asText } from "../../src/demo/json.ts";
import type { StreamShape } from "./stream.ts";

/** One scripted reply of the stand-in. */
export type Script = (
  | {
      readonly kind: "http";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      /** Text goes out as it is, anything else as JSON. */
      readonly body?: unknown;
      /** Wait before the status line. */
      readonly delayMs?: number;
    }
  | {
      readonly kind: "events";
      readonly events: readonly object[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly shape?: StreamShape;
    }
  | {
      /** The usual answer, sent in an unusual way. */
      readonly kind: "answer";
      readonly headers?: Readonly<Record<string, string>>;
      readonly shape?: StreamShape;
      readonly rewrite?: (events: Iterable<JsonObject>) => Iterable<JsonObject>;
    }
) & {
  /** How many requests get this; 1 unless given, `Infinity` for all that follow. */
  readonly times?: number;
};

/** How a request with this fault ends for whoever asked the backend. */
type Outcome = "answer" | "refusal" | "http" | "failed" | "incomplete" | "truncated" | "dropped" | "hangs";

export interface Fault {
  readonly outcome: Outcome;
  /** What happens, in a few words, for a listing. */
  readonly about: string;
  /** `nowMs` dates the reset times. */
  readonly script: (nowMs?: number) => Script;
}

function http(status: number, body: unknown, about: string, headers: Record<string, string> = {}): Fault {
  return { outcome: "http", about, script: () => ({ kind: "http", status, body, headers }) };
}

/** One that the demo plays as well. */
function played(outcome: Outcome, about: string, name: PlayedFaultName): Fault {
  return { outcome, about, script: (nowMs = Date.now()) => PLAYED_FAULTS[name](nowMs) };
}

function failed(code: string | undefined, message: string): Fault {
  const about = `response.failed, ${code ?? "without an error"}`;
  return { outcome: "failed", about, script: () => failedEvents(code, message) };
}

function ending(outcome: Outcome, about: string, terminal: JsonObject): Fault {
  return { outcome, about, script: () => endingIn(terminal) };
}

function shaped(outcome: Outcome, about: string, shape: StreamShape): Fault {
  return { outcome, about, script: () => ({ kind: "answer", shape }) };
}

function rewritten(
  outcome: Outcome,
  about: string,
  rewrite: (events: Iterable<JsonObject>) => Iterable<JsonObject>,
): Fault {
  return { outcome, about, script: () => ({ kind: "answer", rewrite }) };
}

/** Faults by name: for scripts of tests, and for prompts that contain `fault:<name>`. */
export const FAULTS = {
  // HTTP refusals
  unsupported_parameter: http(400, { detail: "Unsupported parameter: max_output_tokens" }, "400, a field is refused"),
  bad_request: http(400, enveloped("invalid_value", "Invalid value: 'x'."), "400 in the public envelope"),
  model_not_supported: http(
    400,
    { detail: "The 'gpt-9' model is not supported when using Codex with a ChatGPT account." },
    "400, not a model of the plan",
  ),
  newer_version: http(
    400,
    { detail: "The 'gpt-9' model requires a newer version of Codex. Please upgrade to the latest version." },
    "400, client too old",
  ),
  context_length: played("http", "400, input too long", "context_length"),
  token_expired: http(
    401,
    {
      error: {
        message: "Provided authentication token is expired. Please try signing in again.",
        type: null,
        code: "token_expired",
        param: null,
      },
      status: 401,
    },
    "401, access token expired",
  ),
  unauthorized: played("http", "401, short form", "unauthorized"),
  deactivated_workspace: http(402, { detail: { code: "deactivated_workspace" } }, "402, workspace gone"),
  cloudflare: played("http", "403, a page that wants a browser", "cloudflare"),
  not_found: http(404, { detail: "Not Found" }, "404"),
  model_not_found: played("http", "404, no such model", "model_not_found"),
  too_large: http(413, "Request Entity Too Large", "413", { "content-type": "text/plain" }),
  usage_limit: played("http", "429, the plan's limit is used up", "usage_limit"),
  usage_not_included: http(
    429,
    { error: { type: "usage_not_included", message: "Usage is not included in your plan", plan_type: "free" } },
    "429, the plan has no Codex",
  ),
  rate_limit: played("http", "429, too fast", "rate_limit"),
  server_error: played("http", "500", "server_error"),
  bad_gateway: http(502, "<html><body>502 Bad Gateway</body></html>", "502, a page", { "content-type": "text/html" }),
  http_overload: played("http", "503, overloaded", "http_overload"),
  too_many: http(429, { error: { message: "Too many requests" } }, "429 without a wait"),
  too_many_ms: http(429, { error: { message: "Too many requests" } }, "429 with a wait that clients do not read", {
    "x-ms-retry-after-ms": "50",
  }),
  authorization_error: http(403, { detail: "Forbidden" }, "403 with a text for the person", {
    "x-openai-authorization-error": "Your administrator has not enabled this feature.",
  }),
  http_slow_down: http(503, enveloped("slow_down", "Slow down."), "503, slow down"),

  // Failures after a 200
  failed_context_length: failed("context_length_exceeded", "Your input exceeds the context window of this model."),
  failed_quota: failed("insufficient_quota", "You exceeded your current quota."),
  failed_not_included: failed("usage_not_included", "Usage is not included in your plan."),
  overload: played("failed", "response.failed, server_is_overloaded", "overload"),
  failed_slow_down: failed("slow_down", "Please slow down."),
  failed_invalid_prompt: failed("invalid_prompt", "Invalid prompt."),
  failed_cyber_policy: failed("cyber_policy", "This request was flagged for possible cybersecurity risk."),
  failed_rate_limit: failed("rate_limit_exceeded", "Rate limit reached. Please try again in 1.5s."),
  failed_server_error: played("failed", "response.failed, server_error", "failed_server_error"),
  failed_unknown: failed("never_heard_of", "Something new went wrong."),
  failed_without_error: failed(undefined, ""),
  failed_budget: failed("budget_reached", "The budget of this key has been reached."),
  failed_organization_limit: failed("organization_spend_limit_exceeded", "The organization's spend limit is reached."),
  failed_access_program: failed("access_program_not_enabled", "This model needs an access program."),
  failed_policy_capacity: failed("policy_capacity_unavailable", "This request cannot be served under the policy."),
  failed_content_policy: failed("content_policy_violation", "This request breaks the content policy."),
  failed_model_not_found: failed("model_not_found", "Model not found gpt-9"),
  failed_audio_too_large: failed("audio_too_large", "The audio is too large."),
  incomplete_length: played("incomplete", "response.incomplete, max_output_tokens", "incomplete_length"),
  incomplete_filter: played("incomplete", "response.incomplete, content_filter", "incomplete_filter"),
  error_event: ending("failed", "an error event, flat", {
    type: "error",
    code: "server_error",
    message: "The server had an error.",
    param: null,
  }),
  error_event_nested: ending("failed", "an error event, nested", {
    type: "error",
    status: 400,
    error: { type: "invalid_request_error", code: "invalid_value", message: "Invalid value.", param: null },
  }),

  // Streams that break off
  cut: played("truncated", "the socket is torn after five events", "cut"),
  cut_at_once: shaped("dropped", "the socket is torn before the status line", { end: { after: 0, how: "destroy" } }),
  truncated: played("truncated", "an orderly close without a last event", "truncated"),
  empty: shaped("truncated", "200 and no event at all", { end: { after: 0, how: "close" } }),
  stall: played("hangs", "silence after five events", "stall"),
  stall_at_once: shaped("hangs", "200 and silence", { opening: ": hello\n\n", end: { after: 0, how: "stall" } }),
  no_reply: shaped("hangs", "not even a status line", { end: { after: 0, how: "stall" } }),

  // Streams that are only unusual
  no_event_lines: shaped("answer", "only data lines", { noEventLines: true }),
  crlf: shaped("answer", "lines end in CR LF", { crlf: true }),
  comments: shaped("answer", "comments between events", { comments: true }),
  split_data: shaped("answer", "JSON over two data lines", { splitData: true }),
  split_bytes: shaped("answer", "seven bytes at a time", { bytesPerWrite: 7 }),
  trailing_done: shaped("answer", "[DONE] at the end", { trailingDone: true }),
  noise: shaped("answer", "unknown events and data that is no JSON", { noise: true }),
  slow: played("answer", "a pause before each event", "slow"),
  slow_headers: shaped("answer", "a pause before the status line", { delayMs: 300 }),
  no_sequence: rewritten("answer", "no sequence numbers", withoutSequence),
  bare_completed: rewritten("answer", "response.completed holds only an id", bareCompleted),
  only_deltas: rewritten("answer", "deltas, but no item is ever done", onlyDeltas),
  full_output: rewritten("answer", "all items only in response.completed", fullOutput),
  codex_events: rewritten("answer", "the backend's private events", codexEvents),
  unfinished_done: rewritten("truncated", "response.output_item.done for all, nothing after", withoutTerminal),

  refusal: played("refusal", "the model declines", "refusal"),
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

/** The fault that a prompt asks for by `fault:<name>`, or by `fault:<name>:once` if only the first try shall see it. */
export function faultIn(prompt: string): { name: FaultName; isOnce: boolean } | undefined {
  const found = faultNamedIn(prompt);
  if (!found || !isFaultName(found.name)) return undefined;
  return { name: found.name, isOnce: found.isOnce };
}

function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}

function* withoutSequence(events: Iterable<JsonObject>): Generator<JsonObject> {
  for (const { sequence_number: _, ...event } of events) yield event;
}

const isTerminal = (event: JsonObject) => event["type"] === "response.completed";

function* bareCompleted(events: Iterable<JsonObject>): Generator<JsonObject> {
  for (const event of events) {
    const response = event["response"] as JsonObject;
    yield isTerminal(event) ? { type: "response.completed", response: { id: response["id"] } } : event;
  }
}

function* onlyDeltas(events: Iterable<JsonObject>): Generator<JsonObject> {
  for (const event of events) if (!asText(event["type"]).endsWith("item.done")) yield event;
}

function* fullOutput(events: Iterable<JsonObject>): Generator<JsonObject> {
  const output: unknown[] = [];
  for (const event of events) {
    if (event["type"] === "response.output_item.done") output.push(event["item"]);
    else yield isTerminal(event) ? { ...event, response: { ...(event["response"] as JsonObject), output } } : event;
  }
}

function* withoutTerminal(events: Iterable<JsonObject>): Generator<JsonObject> {
  for (const event of events) if (!isTerminal(event)) yield event;
}

function* codexEvents(events: Iterable<JsonObject>): Generator<JsonObject> {
  for (const event of events) {
    yield event;
    if (event["type"] !== "response.in_progress") continue;
    const window = { used_percent: 42, window_minutes: 300, reset_after_seconds: 100, reset_at: 1_795_300_000 };
    const limits = { allowed: true, limit_reached: false, primary: window, secondary: null };
    yield { type: "codex.rate_limits", plan_type: "pro", rate_limits: limits, credits: null, promo: null };
    yield { type: "response.metadata", metadata: {}, headers: { "openai-model": "gpt-5.5" } };
  }
}
