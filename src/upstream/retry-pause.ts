import type { ErrorCode, RelayError } from "../lib/errors.ts";

/** Attempts after the first. The client has seen nothing yet, so repeating is safe. */
const MAX_RETRIES = 3;
const FIRST_WAIT_MS = 200;
/** A longer wait is the client's to decide: it gets the error with `Retry-After` instead. */
const LONGEST_WAIT_MS = 2000;

const REPEATED = new Set<ErrorCode>(["overloaded", "upstream_error", "upstream_unreachable", "rate_limit_exceeded"]);

/**
 * How long to wait before asking again, or undefined to give up. Only failures that a moment may cure are repeated:
 * overload, server errors, a connection that was never made or died before any reply, and a rate limit that says how
 * long it lasts. A plain 429 is not repeated, as the Codex CLI does not either.
 * `attempt` counts from 0; `random` is in [0, 1) and spreads clients by ±10 %.
 */
export function retryPauseMs(error: RelayError, attempt: number, random: number): number | undefined {
  if (attempt >= MAX_RETRIES || error.shouldRetry === false) return undefined;
  if (!REPEATED.has(error.code)) return undefined;
  const isOverload = error.code === "overloaded" || error.wireCode === "slow_down";
  if (error.code === "rate_limit_exceeded" && !isOverload && error.retryAfterMs === undefined) return undefined;
  // An overload's wait is often the relay's own guess for clients; in the other cases the server has asked for it.
  const askedMs = isOverload ? 0 : (error.retryAfterMs ?? 0);
  if (askedMs > LONGEST_WAIT_MS) return undefined;
  return Math.max(askedMs, Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt) * (0.9 + random * 0.2));
}
