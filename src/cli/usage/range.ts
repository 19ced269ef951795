import { RelayError } from "../../lib/errors.ts";
import { dayOf, type Range } from "../../ledger/queries.ts";

const DAY_MS = 86_400_000;
const UNITS = { h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS } as const;
/** Looked at when nobody says since when. */
const USUAL_DAYS = 30;
const USUAL_HOURS = 24;

/** The time that `--since` and `--until` name; by default the last day by the hour, and the last 30 days otherwise. Throws `usage`. */
export function rangeOf(
  { since, until }: { readonly since: string | undefined; readonly until: string | undefined },
  by: string,
  nowMs: number,
): Range {
  const usualMs = by === "hour" ? nowMs - USUAL_HOURS * UNITS.h : dayOf(nowMs - (USUAL_DAYS - 1) * DAY_MS);
  const range = {
    sinceMs: since === undefined ? usualMs : momentOf(since, "--since", nowMs).fromMs,
    untilMs: until === undefined ? nowMs + 1 : momentOf(until, "--until", nowMs).untilMs,
  };
  if (range.sinceMs < range.untilMs) return range;
  throw new RelayError("usage", "--since is not before --until.", { hint: "For example: `--since 7d --until 1d`." });
}

/** A day or a month counts as a whole: `--until 2026-11-03` takes that day in. */
function momentOf(text: string, flag: string, nowMs: number): { fromMs: number; untilMs: number } {
  const word = text.trim().toLowerCase();
  const today = dayOf(nowMs);
  if (word === "today") return { fromMs: today, untilMs: nextDay(today) };
  if (word === "yesterday") return { fromMs: dayOf(today - 1), untilMs: today };
  const [, count, unit] = /^(\d{1,5})\s*([hdw])$/.exec(word) ?? [];
  if (count !== undefined && (unit === "h" || unit === "d" || unit === "w")) {
    const atMs = nowMs - Number(count) * UNITS[unit];
    const fromMs = unit === "h" ? atMs : dayOf(atMs);
    return { fromMs, untilMs: atMs };
  }
  const [, year, month, day] = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(word) ?? [];
  if (year !== undefined && month !== undefined) {
    const [y, m, d] = [Number(year), Number(month) - 1, Number(day ?? 1)];
    const from = new Date(y, m, d);
    const isReal = from.getFullYear() === y && from.getMonth() === m && from.getDate() === d;
    if (isReal) {
      const fromMs = from.getTime();
      return { fromMs, untilMs: day === undefined ? new Date(y, m + 1, 1).getTime() : nextDay(fromMs) };
    }
  }
  throw new RelayError("usage", `Bad value '${text.slice(0, 40)}' for ${flag}.`, {
    hint: "It is like 12h, 7d, 4w, today, yesterday, 2026-11-03 or 2026-11.",
  });
}

function nextDay(dayMs: number): number {
  const date = new Date(dayMs);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
}
