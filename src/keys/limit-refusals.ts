import { RelayError } from "../lib/errors.ts";
import { grouped } from "../lib/grouped.ts";
import { moment } from "../lib/time.ts";
import { endOfDay } from "./usage-state.ts";

/** Answers take seconds; then there may be room again. */
const SHORTLY_MS = 5000;
const AT_ONCE_MS = 1000;

/** A limit of a key, and how much of it is used. */
interface UsedLimit {
  /** Of the key. */
  readonly name: string;
  readonly limit: number;
  readonly used: number;
}

/** A limit on part of a window of the plan, both in percent of it. */
interface UsedWindow extends UsedLimit {
  /** As in `5 hours`. */
  readonly length: string;
  readonly resetsAtMs: number | undefined;
}

/** Refusal past `requestsAtOnce`. */
export function tooManyAtOnce(name: string, limit: number): RelayError {
  return new RelayError("key_limit_reached", `The key '${name}' may have ${many(limit, "request")} at once.`, {
    retryAfterMs: AT_ONCE_MS,
    hint: "Try again when one has ended.",
  });
}

/** Refusal while requests under way hold what is left of `tokensPerDay`. */
export function dayIsHeld(name: string, limit: number, requests: number): RelayError {
  const held = `what is left of its ${grouped(limit)} tokens a day is held for ${many(requests, "request")} under way`;
  return new RelayError("key_limit_reached", `The key '${name}' has no room now: ${held}.`, {
    retryAfterMs: SHORTLY_MS,
    hint: "Try again when one has ended.",
  });
}

/** Refusal past `tokensPerDay`, until local midnight. */
export function dayIsUsedUp({ name, limit, used }: UsedLimit, nowMs: number): RelayError {
  const amount = `${grouped(Math.round(used))} of its ${grouped(limit)} tokens a day`;
  return untilThen(`The key '${name}' has used ${amount}.`, endOfDay(nowMs), nowMs);
}

/** Refusal past `shareOfWindowPercent`, until the window resets. */
export function windowIsUsedUp({ name, limit, used, length, resetsAtMs }: UsedWindow, nowMs: number): RelayError {
  const amount = `about ${used.toFixed(1)} % of the plan's ${length} limit, and may use ${limit} %`;
  return untilThen(`The key '${name}' has used ${amount}.`, resetsAtMs, nowMs);
}

/** Shaped for Codex clients like the backend's own refusal, whose reset time they show. */
function untilThen(reason: string, liftsAtMs: number | undefined, nowMs: number): RelayError {
  const lifts =
    liftsAtMs === undefined
      ? "That lifts when the window resets."
      : `That lifts at ${new Date(liftsAtMs).toISOString()} (${moment(liftsAtMs, nowMs)} here).`;
  const waitMs = liftsAtMs === undefined ? undefined : Math.max(0, liftsAtMs - nowMs);
  const message = `${reason} ${lifts}`;
  const error = {
    type: "usage_limit_reached",
    message,
    ...(liftsAtMs === undefined ? {} : { resets_at: Math.floor(liftsAtMs / 1000) }),
    ...(waitMs === undefined ? {} : { resets_in_seconds: Math.ceil(waitMs / 1000) }),
  };
  return new RelayError("key_limit_reached", message, {
    shouldRetry: false,
    hint: "The relay's owner sets the limits of keys.",
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    upstreamBody: { status: 429, contentType: "application/json", text: JSON.stringify({ error }) },
  });
}

function many(amount: number, what: string): string {
  return `${grouped(amount)} ${what}${amount === 1 ? "" : "s"}`;
}
