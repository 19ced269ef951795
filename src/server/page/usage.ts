import type { UsageView } from "../../page/contract.ts";
import { RelayError } from "../../lib/errors.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { listPrice, type Prices } from "../../ledger/prices.ts";
import { dayOf, series, totals, type Total } from "../../ledger/queries.ts";
import { printableLine } from "../../lib/printable.ts";

const DAY_MS = 86_400_000;
const MOST_DAYS = 400;

const NAMES_OF_NONE = { model: "–", client: "unnamed", key: "no key" } as const;
type By = keyof typeof NAMES_OF_NONE;

/** Counts of the last days for the page: one day by the hour, more by the day. Throws `invalid_value`. */
export async function usageView(
  ledger: Ledger,
  { by, days }: { readonly by: string; readonly days: number },
  prices: Prices,
  nowMs: number,
): Promise<UsageView> {
  if (!isBy(by)) throw new RelayError("invalid_value", "by must be model, client or key.", { param: "by" });
  if (!Number.isInteger(days) || days < 1 || days > MOST_DAYS) {
    throw new RelayError("invalid_value", `days must be from 1 to ${MOST_DAYS}.`, { param: "days" });
  }
  const unit = days === 1 ? "hour" : "day";
  const sinceMs = days === 1 ? nowMs - DAY_MS : dayOf(nowMs - (days - 1) * DAY_MS);
  const range = { sinceMs, untilMs: nowMs + 1 };
  const found = await ledger.read((database) => ({
    buckets: series(database, unit, by, range),
    totals: totals(database, by, range),
  }));
  const shown = (name: string) => printableLine(name) || NAMES_OF_NONE[by];
  return {
    unit,
    buckets: (found?.buckets ?? []).map(({ startMs, groups }) => ({
      startMs,
      groups: groups.map((group) => ({ ...group, name: shown(group.name) })),
    })),
    totals: (found?.totals ?? []).map((total) => totalView(total, shown, prices)),
    hasPrices: Object.keys(prices).length > 0,
  };
}

function totalView(total: Total, shown: (name: string) => string, prices: Prices): UsageView["totals"][number] {
  const { requests, errors, input, cached, output, reasoning } = total;
  const price = listPrice(total, prices);
  return { name: shown(total.name), price, requests, errors, input, cached, output, reasoning };
}

function isBy(text: string): text is By {
  return Object.hasOwn(NAMES_OF_NONE, text);
}
