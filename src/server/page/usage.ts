import type { UsageView } from "../../page/contract.ts";
import { RelayError } from "../../lib/errors.ts";
import type { Counts } from "../../ledger/ledger.ts";
import { listPrice, type Prices } from "../../ledger/prices.ts";
import { dayOf, series, totals, type Range, type Total } from "../../ledger/queries.ts";
import { printableLine } from "../../lib/printable.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MOST_DAYS = 400;

const NAMES_OF_NONE = { model: "–", client: "unnamed", key: "no key" } as const;
type By = keyof typeof NAMES_OF_NONE;

/** Counts of the last days for the page: one day by the hour, more by the day. Throws `invalid_value`. */
export async function usageView(
  ledger: Counts,
  { by, days }: { readonly by: string; readonly days: number },
  prices: Prices,
  nowMs: number,
): Promise<UsageView> {
  if (!isBy(by)) throw new RelayError("invalid_value", "by must be model, client or key.", { param: "by" });
  if (!Number.isInteger(days) || days < 1 || days > MOST_DAYS) {
    throw new RelayError("invalid_value", `days must be from 1 to ${MOST_DAYS}.`, { param: "days" });
  }
  const hasPrices = Object.keys(prices).length > 0;
  const unit = days === 1 ? "hour" : "day";
  const sinceMs = days === 1 ? nowMs - DAY_MS : dayOf(nowMs - (days - 1) * DAY_MS);
  const range = { sinceMs, untilMs: nowMs + 1 };
  const found = await ledger.read((database) => ({
    buckets: series(database, unit, by, range),
    totals: totals(database, by, range, { withModels: hasPrices }),
  }));
  const filled = new Map(found?.buckets.map(({ startMs, groups }) => [startMs, groups]));
  const shown = (name: string) => printableLine(name) || NAMES_OF_NONE[by];
  return {
    unit,
    buckets: startsOf(unit, range).map((startMs) => ({
      startMs,
      groups: (filled.get(startMs) ?? []).map((group) => ({ ...group, name: shown(group.name) })),
    })),
    totals: (found?.totals ?? []).map((total) => totalView(total, shown, prices)),
    hasPrices,
  };
}

/** Beginnings of all hours or local days in a range, whether or not anything was counted in them. */
function startsOf(unit: "hour" | "day", { sinceMs, untilMs }: Range): number[] {
  const starts: number[] = [];
  let startMs = unit === "hour" ? Math.floor(sinceMs / HOUR_MS) * HOUR_MS : sinceMs;
  while (startMs < untilMs) {
    starts.push(startMs);
    const date = new Date(startMs);
    startMs =
      unit === "hour" ? startMs + HOUR_MS : new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
  }
  return starts;
}

function totalView(total: Total, shown: (name: string) => string, prices: Prices): UsageView["totals"][number] {
  const { requests, errors, input, cached, output, reasoning } = total;
  const price = listPrice(total, prices);
  return { name: shown(total.name), price, requests, errors, input, cached, output, reasoning };
}

function isBy(text: string): text is By {
  return Object.hasOwn(NAMES_OF_NONE, text);
}
