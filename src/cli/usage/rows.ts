import { printableLine } from "../../lib/printable.ts";
import { day, moment, span } from "../../lib/time.ts";
import { listPrice, type Prices } from "../../ledger/prices.ts";
import type { Conversation, Grouping, Total } from "../../ledger/queries.ts";

/** Totals, and for names how their tokens went from day to day. */
export interface Counted {
  readonly totals: readonly Total[];
  readonly trends: ReadonlyMap<string, readonly number[]>;
}

type Rows = readonly (readonly string[])[];

const BAR_CELLS = 16;
const TREND_CELLS = 16;
const SPARKS = "▁▂▃▄▅▆▇█";
const NAMES_OF_NONE: Readonly<Record<string, string>> = { model: "–", client: "unnamed", key: "no key" };

/** A head and a line for each total: for people with a bar or a trend and rounded numbers, for tables all numbers. */
export function totalRows(
  by: Grouping,
  { totals, trends }: Counted,
  { prices, nowMs, isPlain }: { readonly prices: Prices; readonly nowMs: number; readonly isPlain: boolean },
): Rows {
  const hasPrices = Object.keys(prices).length > 0;
  if (isPlain) {
    const head = [
      by,
      "requests",
      "errors",
      "input",
      "cached",
      "output",
      "reasoning",
      "first_token_p50_ms",
      "first_token_p95_ms",
    ];
    return [
      [...head, ...(hasPrices ? ["list_price"] : [])],
      ...totals.map((total) => [
        plainName(by, total.name),
        ...[total.requests, total.errors, total.input, total.cached, total.output, total.reasoning].map(String),
        roundedText(total.firstTokenMs?.p50),
        roundedText(total.firstTokenMs?.p95),
        ...(hasPrices ? [listPrice(total, prices)?.toFixed(4) ?? ""] : []),
      ]),
    ];
  }
  const most = Math.max(1, ...totals.map(tokensOf));
  const isByTime = by === "hour" || by === "day";
  const head = [by.toUpperCase(), isByTime ? "TOKENS" : "BY DAY", "INPUT", "CACHED", "OUTPUT", "REQUESTS", "ERRORS"];
  return [
    [...head, ...(hasPrices ? ["LIST PRICE"] : []), "FIRST TOKEN", "95 %"],
    ...totals.map((total) => [
      shownName(by, total.name, nowMs),
      isByTime ? bar(tokensOf(total) / most) : sparkline(trends.get(total.name) ?? []),
      short(total.input),
      share(total),
      short(total.output),
      short(total.requests),
      short(total.errors),
      ...(hasPrices ? [listPrice(total, prices)?.toFixed(2) ?? "–"] : []),
      seconds(total.firstTokenMs?.p50),
      seconds(total.firstTokenMs?.p95),
    ]),
  ];
}

/** The same for conversations. */
export function conversationRows(list: readonly Conversation[], nowMs: number, isPlain: boolean): Rows {
  if (isPlain) {
    const head = [
      "session",
      "first",
      "last",
      "model",
      "client",
      "key",
      "requests",
      "input",
      "cached",
      "output",
      "reasoning",
    ];
    return [
      head,
      ...list.map((row) => [
        row.id,
        iso(row.firstMs),
        iso(row.lastMs),
        ...[row.model, row.client, row.key].map(printableLine),
        ...[row.requests, row.input, row.cached, row.output, row.reasoning].map(String),
      ]),
    ];
  }
  return [
    ["SESSION", "LAST", "LASTED", "CLIENT", "MODEL", "REQUESTS", "INPUT", "CACHED", "OUTPUT"],
    ...list.map((row) => [
      row.id.slice(0, 8),
      moment(row.lastMs, nowMs),
      span(row.lastMs - row.firstMs),
      printableLine(row.key || row.client) || "unnamed",
      printableLine(row.model),
      short(row.requests),
      short(row.input),
      share(row),
      short(row.output),
    ]),
  ];
}

/** For scripts; moments in ISO 8601. */
export function totalsJson(by: Grouping, { totals }: Counted, prices: Prices) {
  return totals.map((total) => ({
    [by]: plainName(by, total.name),
    requests: total.requests,
    errors: total.errors,
    tokens: { input: total.input, cached: total.cached, output: total.output, reasoning: total.reasoning },
    first_token_ms: total.firstTokenMs
      ? { p50: Math.round(total.firstTokenMs.p50), p95: Math.round(total.firstTokenMs.p95) }
      : null,
    ...(Object.keys(prices).length > 0 ? { list_price: listPrice(total, prices) ?? null } : {}),
  }));
}

export function conversationsJson(list: readonly Conversation[]) {
  return list.map(({ id, firstMs, lastMs, model, client, key, requests, input, cached, output, reasoning }) => ({
    session: id,
    first_at: iso(firstMs),
    last_at: iso(lastMs),
    model,
    client,
    key: key || null,
    requests,
    tokens: { input, cached, output, reasoning },
  }));
}

/** RFC 4180; text that a spreadsheet would take for a formula is quoted into text. */
export function csv(rows: Rows): string {
  const cell = (text: string) => {
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((cells) => cells.map(cell).join(",")).join("\n");
}

function tokensOf({ input, output }: Pick<Total, "input" | "output">): number {
  return input + output;
}

/** Local, as a date or a date with its hour. */
function shownName(by: Grouping, name: string, nowMs: number): string {
  if (by !== "hour" && by !== "day") return printableLine(name) || (NAMES_OF_NONE[by] ?? "–");
  const date = day(Number(name), nowMs);
  return by === "day" ? date : `${date} ${two(new Date(Number(name)).getHours())}:00`;
}

function plainName(by: Grouping, name: string): string {
  if (by === "hour") return iso(Number(name));
  if (by !== "day") return printableLine(name);
  const date = new Date(Number(name));
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function bar(part: number): string {
  const filled = part > 0 ? Math.max(1, Math.round(part * BAR_CELLS)) : 0;
  return "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
}

/** The last days, each as high as its part of the highest. */
function sparkline(values: readonly number[]): string {
  const shown = values.slice(-TREND_CELLS);
  const most = Math.max(1, ...shown);
  return shown.map((value) => (value === 0 ? " " : SPARKS[Math.min(7, Math.floor((value / most) * 7.999))])).join("");
}

function share({ input, cached }: { readonly input: number; readonly cached: number }): string {
  return input > 0 ? `${Math.floor((100 * cached) / input)} %` : "–";
}

/** 12,345,678 as 12.3 M. Not by Intl, whose tables cost megabytes. */
function short(value: number): string {
  const units = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const;
  const unit = value < 10_000 ? undefined : units.find(([size]) => value >= size);
  if (unit) return `${(value / unit[0]).toFixed(1)} ${unit[1]}`;
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function seconds(ms: number | undefined): string {
  if (ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function roundedText(ms: number | undefined): string {
  return ms === undefined ? "" : String(Math.round(ms));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
