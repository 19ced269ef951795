import type { PlanWindow } from "./plan-limits.ts";

/** Where a window is heading when it goes on to fill as it did since it began. */
export interface Pace {
  /** Used when the window ends: 100 and above when it is full before. */
  readonly percentAtReset: number;
  /** Epoch milliseconds; undefined when the window ends first. */
  readonly fullAtMs: number | undefined;
}

/** Below this share of a window's length a few requests would be taken for a habit. */
const LEAST_SHARE = 0.03;

/**
 * The pace of a window, by its average since it began: the backend tells percentages only, and an average is what
 * people can check. Undefined when its length or end is unknown, when it has ended, has only begun, or is unused.
 */
export function paceOf({ usedPercent, windowMinutes, resetsAtMs }: PlanWindow, nowMs: number): Pace | undefined {
  if (resetsAtMs === undefined || !windowMinutes || usedPercent <= 0) return undefined;
  const lengthMs = windowMinutes * 60_000;
  const elapsedMs = nowMs - (resetsAtMs - lengthMs);
  if (elapsedMs < lengthMs * LEAST_SHARE || nowMs >= resetsAtMs) return undefined;
  const percentAtReset = (usedPercent * lengthMs) / elapsedMs;
  const untilFullMs = (elapsedMs * (100 - usedPercent)) / usedPercent;
  const fullAtMs = nowMs + Math.max(0, untilFullMs);
  return { percentAtReset, fullAtMs: percentAtReset >= 100 ? fullAtMs : undefined };
}
