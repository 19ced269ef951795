import type { Database } from "bun:sqlite";
import type { Amounts } from "./entry.ts";
import { HEX_BETWEEN, Sketch } from "./sketch.ts";

const HOUR_MS = 3_600_000;

/** By what the counts of hours can be added up. */
export const GROUPINGS = ["hour", "day", "model", "client", "key"] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** From and up to, in epoch milliseconds; hours count as a whole by their beginning. */
export interface Range {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** What belongs together, added up. */
export interface Total extends Amounts {
  /** A name; "" where there was none. Of hours and days the beginning in epoch milliseconds, as text. */
  readonly name: string;
  /** Median and 95th percentile from request to first output, in milliseconds; undefined where nothing was put out. */
  readonly firstTokenMs: { readonly p50: number; readonly p95: number } | undefined;
  /** Tokens by model, for prices; empty where they were not asked for. */
  readonly byModel: readonly ({ readonly model: string } & Pick<Amounts, "input" | "cached" | "output">)[];
}

/** One conversation. */
export interface Conversation extends Omit<Amounts, "errors"> {
  /** A hash that says nothing of it. */
  readonly id: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly model: string;
  readonly client: string;
  readonly key: string;
}

/** What was counted in an hour under the names that were asked for. */
interface HourRow extends Amounts {
  readonly hour: number;
  /** Numbers of names; `NONE` where rows are not told apart by them. */
  readonly model: number;
  readonly client: number;
  readonly key: number;
  /** Sketches in hex, one after the other; null where there is none. */
  readonly firstTokens: string | null;
}

/** The table's key: SQLite adds up by its beginnings without sorting. */
const KEY = ["hour", "model", "client", "key"] as const;
type Column = (typeof KEY)[number];
/** No name has it. */
const NONE = 0;

/** Counts in a range by one grouping: by time the oldest first, else the most tokens first. `byModel` only on demand. */
export function totals(
  database: Database,
  by: Grouping,
  range: Range,
  { withModels }: { readonly withModels: boolean },
): Total[] {
  const sums = new Map<number, Sum>();
  const column = by === "day" ? "hour" : by;
  const last = withModels && column === "hour" ? "model" : column;
  const { rows, names } = readRows(database, range, { last, withTimes: true });
  for (const row of rows) {
    const place = placeOf(row, by);
    let sum = sums.get(place);
    if (!sum) sums.set(place, (sum = new Sum()));
    sum.add(row);
  }
  const found = [...sums].map(([place, sum]) =>
    sum.toTotal(isTime(by) ? String(place) : (names.get(place) ?? ""), names),
  );
  return found.toSorted(isTime(by) ? (a, b) => Number(a.name) - Number(b.name) : mostTokensFirst);
}

/** Counts by time, and inside that by name: what a chart is drawn from. */
export function series(
  database: Database,
  unit: "hour" | "day",
  by: "model" | "client" | "key",
  range: Range,
): { readonly startMs: number; readonly groups: readonly ({ readonly name: string } & Amounts)[] }[] {
  const buckets = new Map<number, Map<number, Sum>>();
  const { rows, names } = readRows(database, range, { last: by, withTimes: false });
  for (const row of rows) {
    const startMs = placeOf(row, unit);
    const groups = buckets.get(startMs) ?? new Map<number, Sum>();
    buckets.set(startMs, groups);
    const sum = groups.get(row[by]) ?? new Sum();
    groups.set(row[by], sum);
    sum.addAmounts(row);
  }
  return [...buckets]
    .map(([startMs, groups]) => ({
      startMs,
      groups: [...groups].map(([name, sum]) => ({ name: names.get(name) ?? "", ...sum.amounts })),
    }))
    .toSorted((a, b) => a.startMs - b.startMs);
}

/** The last conversations that went on in a range, newest first. */
export function conversations(database: Database, { sinceMs, untilMs }: Range, most: number): Conversation[] {
  return database
    .query<Conversation, [number, number, number]>(
      `SELECT c.id, first_ms AS firstMs, last_ms AS lastMs, m.text AS model, n.text AS client, k.text AS key,
         requests, input, cached, output, reasoning
       FROM conversations c JOIN names m ON m.id = c.model JOIN names n ON n.id = c.client JOIN names k ON k.id = c.key
       WHERE last_ms >= ? AND last_ms < ? ORDER BY last_ms DESC LIMIT ?`,
    )
    .all(sinceMs, untilMs, most);
}

/** Hour of the first count; undefined while there is none. */
export function firstCountMs(database: Database): number | undefined {
  const { hour } = database.query<{ hour: number | null }, []>("SELECT min(hour) AS hour FROM sums").get() ?? {
    hour: null,
  };
  return hour === null ? undefined : hour * HOUR_MS;
}

/** The beginning of the local day of a moment. */
export function dayOf(ms: number): number {
  const date = new Date(ms);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

interface Rows {
  readonly rows: readonly HourRow[];
  /** By the numbers that stand in the rows. */
  readonly names: ReadonlyMap<number, string>;
}

/** Counts of hours, told apart by the key's columns up to `last`. */
function readRows(
  database: Database,
  { sinceMs, untilMs }: Range,
  { last, withTimes }: { readonly last: Column; readonly withTimes: boolean },
): Rows {
  const names = database.query<{ id: number; text: string }, []>("SELECT id, text FROM names").all();
  const apart = KEY.slice(0, KEY.indexOf(last) + 1).join(", ");
  const others = KEY.slice(KEY.indexOf(last) + 1).map((column) => `${NONE} AS ${column}, `);
  // By hour and model the sums stand there. The rest is added up by SQLite: 400 busy days are more than a hundred
  // thousand rows, each of which would cost an object.
  const hasSums = last === "hour" || last === "model";
  const errors = hasSums ? "errors" : "CASE WHEN status >= 400 THEN requests ELSE 0 END";
  const rows = database
    .query<HourRow, [number, number]>(
      `SELECT ${apart}, ${others.join("")}sum(requests) AS requests, sum(${errors}) AS errors,
         sum(input) AS input, sum(cached) AS cached, sum(output) AS output, sum(reasoning) AS reasoning,
         ${withTimes ? `group_concat(hex(first_token), '${HEX_BETWEEN}')` : "NULL"} AS firstTokens
       FROM ${hasSums ? "sums" : "counts"} WHERE hour >= ? AND hour < ? GROUP BY ${apart} ORDER BY ${apart}`,
    )
    .all(Math.floor(sinceMs / HOUR_MS), Math.ceil(untilMs / HOUR_MS));
  return { rows, names: new Map(names.map(({ id, text }) => [id, text])) };
}

/** Consecutive hours mostly share their day. */
let lastDay = { fromMs: 0, untilMs: 0 };

function isTime(by: Grouping): by is "hour" | "day" {
  return by === "hour" || by === "day";
}

/** The beginning of the hour or day in epoch milliseconds, or the number of the name. */
function placeOf(row: HourRow, by: Grouping): number {
  if (!isTime(by)) return row[by];
  const startMs = row.hour * HOUR_MS;
  if (by === "hour") return startMs;
  if (startMs < lastDay.fromMs || startMs >= lastDay.untilMs) {
    const fromMs = dayOf(startMs);
    const date = new Date(fromMs);
    lastDay = { fromMs, untilMs: new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime() };
  }
  return lastDay.fromMs;
}

class Sum {
  readonly #sums = { requests: 0, errors: 0, input: 0, cached: 0, output: 0, reasoning: 0 };
  readonly #firstTokens: string[] = [];
  readonly #models = new Map<number, { input: number; cached: number; output: number }>();

  get amounts(): Amounts {
    return { ...this.#sums };
  }

  addAmounts(row: HourRow): void {
    const sums = this.#sums;
    sums.requests += row.requests;
    sums.errors += row.errors;
    sums.input += row.input;
    sums.cached += row.cached;
    sums.output += row.output;
    sums.reasoning += row.reasoning;
  }

  add(row: HourRow): void {
    this.addAmounts(row);
    if (row.firstTokens !== null) this.#firstTokens.push(row.firstTokens);
    if (row.model === NONE) return;
    let model = this.#models.get(row.model);
    if (!model) this.#models.set(row.model, (model = { input: 0, cached: 0, output: 0 }));
    model.input += row.input;
    model.cached += row.cached;
    model.output += row.output;
  }

  toTotal(name: string, names: ReadonlyMap<number, string>): Total {
    const firstToken = new Sketch();
    firstToken.addBytes(Buffer.from(this.#firstTokens.join(HEX_BETWEEN), "hex"));
    const [p50, p95] = [firstToken.quantile(0.5), firstToken.quantile(0.95)];
    return {
      name,
      ...this.#sums,
      firstTokenMs: p50 === undefined || p95 === undefined ? undefined : { p50, p95 },
      byModel: [...this.#models].map(([model, amounts]) => ({ model: names.get(model) ?? "", ...amounts })),
    };
  }
}

function mostTokensFirst(a: Total, b: Total): number {
  return b.input + b.output - (a.input + a.output) || b.requests - a.requests;
}
