import { limitsFromHeaders, windowsOf } from "../plan-limits.ts";
import { namedHeaders } from "./reply-headers.ts";

/* How long a refusal asks its client to wait: the backend says so in its text, in a header, or only by a full window. */

const AMOUNT = /(?<![\d.])(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?|m|min|minutes?|h|hours?|d|days?)(?![a-z])/
  .source;

/** "try again in 1.5s", "…in 300 ms", "…in 6m12s": the only place where some limits say how long. */
export function waitInText(message: string): number | undefined {
  const amounts = new RegExp(`try again in\\s+((?:${AMOUNT}[\\s,]*(?:and\\s+)?)+)`, "i").exec(message)?.[1];
  if (amounts === undefined) return undefined;
  let waitMs = 0;
  for (const [, amount, unit = "s"] of amounts.matchAll(new RegExp(AMOUNT, "gi"))) {
    waitMs += Number(amount) * unitMs(unit.toLowerCase());
  }
  return waitMs;
}

function unitMs(unit: string): number {
  if (unit.startsWith("ms") || unit.startsWith("milli")) return 1;
  if (unit.startsWith("s")) return 1000;
  if (unit.startsWith("m")) return 60_000;
  return unit.startsWith("h") ? 3_600_000 : 86_400_000;
}

/** Until the last of the windows that are full ends: what a limit's headers say when its body does not. */
export function fullWindowMs(headers: Headers, nowMs: number): number | undefined {
  const limits = limitsFromHeaders(namedHeaders(headers), nowMs);
  const ends = (limits ? windowsOf(limits) : []).flatMap(({ window }) =>
    window.usedPercent >= 100 ? (window.resetsAtMs ?? []) : [],
  );
  return ends.length === 0 ? undefined : Math.max(0, Math.max(...ends) - nowMs);
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const inMs = Number(headers.get("retry-after-ms") ?? "");
  if (inMs > 0) return inMs;
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
