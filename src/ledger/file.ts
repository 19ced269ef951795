import type { Database } from "bun:sqlite";
import { closeSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { RelayError } from "../lib/errors.ts";
import { HEX_BETWEEN } from "./sketch.ts";
import { assertOwnFolder, openPrivate } from "../lib/private-file.ts";

/** Where the counts of the relays with this state folder are. */
export function ledgerPath(stateFolder: string): string {
  return join(stateFolder, "ledger.db");
}

/** Steps from one form of the file to the next; the file's `user_version` counts those that it has made. */
const MIGRATIONS: readonly (string | ((database: Database) => void))[] = [
  `
  CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
  CREATE TABLE hours (
    hour INTEGER NOT NULL, model INTEGER NOT NULL, client INTEGER NOT NULL, key INTEGER NOT NULL,
    status INTEGER NOT NULL, fallback INTEGER NOT NULL,
    requests INTEGER NOT NULL, input INTEGER NOT NULL, cached INTEGER NOT NULL,
    output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    first_token BLOB NOT NULL, total BLOB NOT NULL,
    PRIMARY KEY (hour, model, client, key, status, fallback)
  ) WITHOUT ROWID;
  CREATE TABLE conversations (
    id TEXT PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    model INTEGER NOT NULL, client INTEGER NOT NULL, key INTEGER NOT NULL,
    requests INTEGER NOT NULL, input INTEGER NOT NULL, cached INTEGER NOT NULL,
    output INTEGER NOT NULL, reasoning INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX conversations_by_time ON conversations (last_ms);
  `,
  // A question about days or models reads a fifth of the rows. Renamed, so that a relay of the first form, which would
  // count past the sums, counts no more.
  (database) => {
    database.run(`
      ALTER TABLE hours RENAME TO counts;
      CREATE TABLE sums (
        hour INTEGER NOT NULL, model INTEGER NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
        input INTEGER NOT NULL, cached INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
        first_token BLOB NOT NULL,
        PRIMARY KEY (hour, model)
      ) WITHOUT ROWID;
    `);
    const insert = database.query("INSERT INTO sums VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    const rows = database.query<Record<string, number> & { times: string }, []>(
      `SELECT hour, model, sum(requests) AS requests, sum(CASE WHEN status >= 400 THEN requests ELSE 0 END) AS errors,
         sum(input) AS input, sum(cached) AS cached, sum(output) AS output, sum(reasoning) AS reasoning,
         group_concat(hex(first_token), '${HEX_BETWEEN}') AS times
       FROM counts GROUP BY hour, model`,
    );
    for (const { times, ...row } of rows.all()) insert.run(...Object.values(row), Buffer.from(times, "hex"));
  },
];

/** Loaded when it is needed: SQLite takes some megabytes, and most commands never read a ledger. */
const sqlite = () => import("bun:sqlite");

/**
 * Opens the file to write, makes it when it is not there (0600), and brings it to today's form. Throws what SQLite and
 * the file system throw, and `ledger_newer` for a file of a later version.
 */
export async function openToWrite(path: string): Promise<Database> {
  const { Database } = await sqlite();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  assertOwnFolder(dirname(path));
  // Made by us first, for its mode; its companions (-wal, -shm) get the same.
  closeSync(openPrivate(path, "append"));
  const database = new Database(path, { readwrite: true, create: true });
  try {
    // Nobody waits for a lock inside the relay: what could not be written now is written a second later.
    database.run("PRAGMA busy_timeout = 0");
    database.run("PRAGMA auto_vacuum = INCREMENTAL");
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The same tables in memory, empty. */
export async function openInMemory(): Promise<Database> {
  const { Database } = await sqlite();
  const database = new Database(":memory:");
  migrate(database);
  return database;
}

/**
 * Opens the file to read, brought to today's form; undefined where there is none. Throws what SQLite throws, and
 * `ledger_newer`.
 */
export async function openToRead(path: string): Promise<Database | undefined> {
  if (!existsSync(path)) return undefined;
  const { Database } = await sqlite();
  const database = new Database(path, { readonly: true });
  try {
    database.run("PRAGMA busy_timeout = 2000");
    const version = versionOf(database);
    if (version > MIGRATIONS.length) throw tooNew(path);
    if (version < MIGRATIONS.length) (await openToWrite(path)).close();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Renames a damaged file with its companions; returns its new name. Throws the error of the file system. */
export function setAside(path: string, nowMs: number): string {
  const aside = `${path}.damaged-${new Date(nowMs).toISOString().replace(/[:.]/g, "-")}`;
  renameSync(path, aside);
  // They belong to the damaged file, and would spoil the next one.
  for (const companion of ["-wal", "-shm"]) {
    if (existsSync(path + companion)) renameSync(path + companion, aside + companion);
  }
  return aside;
}

/** True for what SQLite says of a file that is none of its own, or broken. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/** True while another process writes. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function migrate(database: Database): void {
  const version = versionOf(database);
  if (version > MIGRATIONS.length) throw tooNew(database.filename);
  if (version === MIGRATIONS.length) return;
  database
    .transaction(() => {
      // Another relay may have made the steps since.
      for (const step of MIGRATIONS.slice(versionOf(database))) {
        if (typeof step === "string") database.run(step);
        else step(database);
      }
      database.run(`PRAGMA user_version = ${MIGRATIONS.length}`);
    })
    .immediate();
}

function versionOf(database: Database): number {
  return database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
}

function tooNew(path: string): RelayError {
  return new RelayError("ledger_newer", `${path} was written by a newer plansocket.`, {
    hint: "Update this one, or name another --state-dir.",
  });
}
