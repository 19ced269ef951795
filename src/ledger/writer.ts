import type { Database } from "bun:sqlite";
import type { Pending, PendingConversation, PendingHour } from "./pending.ts";
import { Sketch } from "./sketch.ts";

const HOUR_MS = 3_600_000;
/** Freed pages are given back in steps, so that no write takes long. */
const VACUUM_PAGES = 200;
/** Conversations that are kept, newest first. 20,000 take some 3 MB. */
const MOST_CONVERSATIONS = 20_000;

export interface LedgerBounds {
  readonly days: number;
  /** Of the file. Past it the oldest tenth goes. */
  readonly bytes: number;
}

/** Adds pending rows to the file in one transaction: all of them or none. Other relays may write the same rows. */
export class LedgerWriter {
  readonly #database: Database;
  readonly #ids = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  write(pending: Pick<Pending, "hours" | "conversations">): void {
    try {
      this.#database
        .transaction(() => {
          for (const row of pending.hours.values()) {
            this.#addCounts(row);
            this.#addSums(row);
          }
          for (const row of pending.conversations.values()) this.#addConversation(row);
        })
        .immediate();
    } catch (error) {
      // The transaction took the names that it added back.
      this.#ids.clear();
      throw error;
    }
  }

  /** Takes out what is too old, or too much. */
  prune({ days, bytes }: LedgerBounds, nowMs: number): void {
    const oldestMs = nowMs - days * 24 * HOUR_MS;
    this.#database
      .transaction(() => {
        this.#dropBefore(Math.floor(oldestMs / HOUR_MS));
        this.#run("DELETE FROM conversations WHERE last_ms < ?", oldestMs);
        this.#run(
          "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations ORDER BY last_ms DESC LIMIT -1 OFFSET ?)",
          MOST_CONVERSATIONS,
        );
        if (this.#size() > bytes) this.#dropOldestTenth();
        this.#run(
          `DELETE FROM names WHERE id NOT IN (SELECT model FROM counts UNION SELECT client FROM counts
             UNION SELECT key FROM counts UNION SELECT fallback FROM counts UNION SELECT model FROM conversations
             UNION SELECT client FROM conversations UNION SELECT key FROM conversations)`,
        );
      })
      .immediate();
    this.#ids.clear();
    this.#database.run(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
  }

  #addCounts({ hour, names, status, sums, firstToken, total }: PendingHour): void {
    const place = [
      hour,
      this.#idOf(names.model),
      this.#idOf(names.client),
      this.#idOf(names.key),
      status,
      this.#idOf(names.fallback),
    ];
    const kept = this.#database
      .query<{ first_token: Uint8Array; total: Uint8Array }, number[]>(
        "SELECT first_token, total FROM counts WHERE hour = ? AND model = ? AND client = ? AND key = ? AND status = ? AND fallback = ?",
      )
      .get(...place);
    this.#run(
      `INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, input = input + excluded.input,
         cached = cached + excluded.cached, output = output + excluded.output,
         reasoning = reasoning + excluded.reasoning, first_token = excluded.first_token, total = excluded.total`,
      ...place,
      sums.requests,
      sums.input,
      sums.cached,
      sums.output,
      sums.reasoning,
      merged(firstToken, kept?.first_token),
      merged(total, kept?.total),
    );
  }

  #addSums({ hour, names, status, sums, firstToken }: PendingHour): void {
    const place = [hour, this.#idOf(names.model)];
    const kept = this.#database
      .query<{ first_token: Uint8Array }, number[]>("SELECT first_token FROM sums WHERE hour = ? AND model = ?")
      .get(...place);
    this.#run(
      `INSERT INTO sums VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,
         input = input + excluded.input, cached = cached + excluded.cached, output = output + excluded.output,
         reasoning = reasoning + excluded.reasoning, first_token = excluded.first_token`,
      ...place,
      sums.requests,
      status >= 400 ? sums.requests : 0,
      sums.input,
      sums.cached,
      sums.output,
      sums.reasoning,
      merged(firstToken, kept?.first_token),
    );
  }

  #addConversation({ id, names, firstMs, lastMs, sums }: PendingConversation): void {
    this.#run(
      `INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
         model = excluded.model, client = excluded.client, requests = requests + excluded.requests,
         input = input + excluded.input, cached = cached + excluded.cached, output = output + excluded.output,
         reasoning = reasoning + excluded.reasoning`,
      id,
      firstMs,
      lastMs,
      this.#idOf(names.model),
      this.#idOf(names.client),
      this.#idOf(names.key),
      sums.requests,
      sums.input,
      sums.cached,
      sums.output,
      sums.reasoning,
    );
  }

  /** Names stand in the file once. */
  #idOf(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#run("INSERT INTO names (text) VALUES (?) ON CONFLICT DO NOTHING", text);
    const { id } = this.#database.query<{ id: number }, [string]>("SELECT id FROM names WHERE text = ?").get(text) ?? {
      id: 0,
    };
    this.#ids.set(text, id);
    return id;
  }

  #dropOldestTenth(): void {
    const { first, last } = this.#database
      .query<{ first: number | null; last: number | null }, []>(
        "SELECT min(hour) AS first, max(hour) AS last FROM counts",
      )
      .get() ?? { first: null, last: null };
    if (first === null || last === null) return;
    this.#dropBefore(first + Math.ceil((last - first) / 10) + 1);
  }

  #dropBefore(hour: number): void {
    for (const table of ["counts", "sums"]) this.#run(`DELETE FROM ${table} WHERE hour < ?`, hour);
  }

  #size(): number {
    const value = (pragma: string) => {
      const row = this.#database.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get() ?? {};
      return Object.values(row)[0] ?? 0;
    };
    return (value("page_count") - value("freelist_count")) * value("page_size");
  }

  #run(sql: string, ...values: (number | string | Uint8Array)[]): void {
    this.#database.query(sql).run(...values);
  }
}

function merged(sketch: Sketch, kept: Uint8Array | undefined): Uint8Array {
  if (!kept || kept.length === 0) return sketch.toBytes();
  const both = new Sketch();
  both.addBytes(kept);
  both.addBytes(sketch.toBytes());
  return both.toBytes();
}
