import type { Database } from "bun:sqlite";
import { fileFailure } from "../../lib/file-failure.ts";
import { nearest } from "../../lib/nearest.ts";
import { RelayError } from "../../lib/errors.ts";
import { isBusy, isDamage, ledgerPath, openToRead } from "../../ledger/file.ts";
import type { Counts } from "../../ledger/ledger.ts";
import type { Prices } from "../../ledger/prices.ts";
import {
  conversations,
  firstCountMs,
  GROUPINGS,
  series,
  totals,
  type Grouping,
  type Range,
} from "../../ledger/queries.ts";
import { print, printJson, say } from "../output.ts";
import { columnsOf, padded, widestOf } from "../wrap.ts";
import { rangeOf } from "./range.ts";
import { conversationRows, conversationsJson, csv, totalRows, totalsJson, type Counted } from "./rows.ts";
import { stdout } from "../streams.ts";

const WAYS = [...GROUPINGS, "session"] as const;
type Way = (typeof WAYS)[number];

/** Newest first; more are in --csv and --json. */
const SHOWN_CONVERSATIONS = 20;
const MOST_CONVERSATIONS = 20_000;

/** Flags of `usage --by`, as they were given. */
export interface ByFlags {
  readonly by: string;
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly isCsv: boolean;
  readonly isJson: boolean;
}

/** Prints what the relays with this state folder, or with one store, have counted. Returns the exit code. Throws `usage`, `start_failed`. */
export async function usageBy(flags: ByFlags, place: string | Counts, prices: Prices, nowMs: number): Promise<number> {
  const by = wayOf(flags.by);
  const range = rangeOf(flags, by, nowMs);
  const hasPrices = Object.keys(prices).length > 0;
  const question = (database: Database) => ({
    firstMs: firstCountMs(database),
    conversations: by === "session" ? conversations(database, range, MOST_CONVERSATIONS) : [],
    counted: by === "session" ? { totals: [], trends: new Map() } : counted(database, by, range, hasPrices),
  });
  const answer = await (typeof place === "string" ? asked(ledgerPath(place), question) : place.read(question));
  const isEmpty = !answer || (answer.counted.totals.length === 0 && answer.conversations.length === 0);
  if (flags.isJson) {
    printJson(
      by === "session"
        ? conversationsJson(answer?.conversations ?? [])
        : totalsJson(by, answer?.counted ?? { totals: [], trends: new Map() }, prices),
    );
    return 0;
  }
  if (isEmpty && !flags.isCsv) {
    say(answer?.firstMs === undefined ? NOTHING_YET : NOTHING_HERE);
    return 0;
  }
  const rows =
    by === "session"
      ? conversationRows(answer?.conversations ?? [], nowMs, flags.isCsv)
      : totalRows(by, answer?.counted ?? { totals: [], trends: new Map() }, { prices, nowMs, isPlain: flags.isCsv });
  if (flags.isCsv) {
    print(csv(rows));
    return 0;
  }
  const shown = by === "session" ? rows.slice(0, SHOWN_CONVERSATIONS + 1) : rows;
  print(table(shown, width()));
  if (rows.length > shown.length) say(`The newest ${SHOWN_CONVERSATIONS} of ${rows.length - 1}; --csv prints all.`);
  if (hasPrices && by !== "session") say("Prices are your own numbers: a list price, not a bill.");
  return 0;
}

const NOTHING_YET =
  "Nothing is counted yet: each request that a relay with this state folder answers adds to it (unless --ledger is off; a demo's do not count).";
const NOTHING_HERE = "Nothing was counted in this time. `--since 90d` looks further back.";

function counted(database: Database, by: Grouping, range: Range, hasPrices: boolean): Counted {
  const trends = new Map<string, number[]>();
  if (by === "model" || by === "client" || by === "key") {
    const days = series(database, "day", by, range);
    days.forEach(({ groups }, index) => {
      for (const { name, input, output } of groups) {
        const trend = trends.get(name) ?? Array.from({ length: days.length }, () => 0);
        trend[index] = input + output;
        trends.set(name, trend);
      }
    });
  }
  return { totals: totals(database, by, range, { withModels: hasPrices }), trends };
}

async function asked<Answer>(path: string, question: (database: Database) => Answer): Promise<Answer | undefined> {
  let database: Database | undefined;
  try {
    database = await openToRead(path);
    return database && question(database);
  } catch (error) {
    if (error instanceof RelayError) throw error;
    if (isDamage(error)) {
      throw new RelayError("start_failed", `${path} is damaged.`, {
        hint: "A relay that runs sets it aside with its next request and counts anew; or move it away yourself.",
        cause: error,
      });
    }
    if (isBusy(error)) {
      throw new RelayError("start_failed", `Another program holds ${path}.`, {
        hint: "Try again in a moment.",
        cause: error,
      });
    }
    throw fileFailure(error, { code: "start_failed", path, verb: "read" }) ?? unreadable(path, error);
  } finally {
    database?.close();
  }
}

/** What SQLite cannot open: another user's file, or a folder in its place. */
function unreadable(path: string, cause: unknown): RelayError {
  return new RelayError("start_failed", `${path} could not be read.`, {
    hint: "Check who owns it, or name another --state-dir.",
    cause,
  });
}

function wayOf(text: string): Way {
  const found = WAYS.find((way) => way === text.toLowerCase());
  if (found) return found;
  const close = nearest(text, WAYS);
  throw new RelayError("usage", `Bad value '${text.slice(0, 40)}' for --by.`, {
    hint: `It is ${WAYS.slice(0, -1).join(", ")} or ${WAYS.at(-1) ?? ""}.${close === undefined ? "" : ` Did you mean ${close}?`}`,
  });
}

/** Columns of the terminal; tables into files are as wide as they are. */
function width(): number {
  return stdout().isTTY ? columnsOf(stdout()) : Number.POSITIVE_INFINITY;
}

/** Columns side by side, the first to the left and numbers to the right; those that do not fit are left out. */
function table(rows: readonly (readonly string[])[], columns: number): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => widestOf(rows.map((cells) => cells[column] ?? "")));
  let used = 0;
  const fitting = widths.map((wide, column) => {
    used += wide + (column === 0 ? 0 : 2);
    return column < 2 || used <= columns;
  });
  return rows
    .map((cells) =>
      cells
        .flatMap((cell, column) => {
          if (!fitting[column]) return [];
          const wide = widths[column] ?? 0;
          return [/^[\d.,–]+(?:\s?[%a-z]+)?$/i.test(cell) && column > 0 ? cell.padStart(wide) : padded(cell, wide)];
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
