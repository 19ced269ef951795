import type { Database } from "bun:sqlite";
import { closeSync, fdatasync, openSync } from "node:fs";
import { RelayError } from "../lib/errors.ts";
import { later } from "../lib/later.ts";
import type { Log } from "../lib/log.ts";
import type { LedgerEntry } from "./entry.ts";
import { isBusy, isDamage, openToRead, openToWrite, setAside } from "./file.ts";
import { Pending } from "./pending.ts";
import { LedgerWriter, type LedgerBounds } from "./writer.ts";

/** From the first request of a batch to its writing: what a kill may cost at most. */
const WRITE_AFTER_MS = 1000;
/** Another process holds the file: told once it has done so for this long. */
const TELL_BUSY_AFTER_MS = 30_000;
/** After a failure that is not going to pass by itself. */
const REST_MS = 60_000;
/** At the relay's end, when another process writes at that moment. */
const MOST_LAST_WRITES = 20;
const LAST_WRITE_PAUSE_MS = 25;
const PRUNE_EVERY_MS = 6 * 3_600_000;
/** A file of 400 busy days takes a fifth of it. */
const MOST_BYTES = 64 * 1024 * 1024;

export interface LedgerOptions {
  readonly path: string;
  readonly days: number;
  readonly log: Log;
  readonly now?: () => number;
  /** Calls back once after so many milliseconds; a test's own clock. */
  readonly after?: (ms: number, call: () => void) => void;
}

/** What counts requests, wherever it keeps the counts. */
export interface Counts {
  /** Counts one request. Quick, and never throws. */
  add(entry: LedgerEntry): void;
  /** Answers a question with what was counted until now. Undefined while there is nothing. */
  read<Answer>(question: (database: Database) => Answer): Promise<Answer | undefined>;
  /** Keeps what was not kept yet. Never throws. */
  close(): Promise<void>;
}

/**
 * Counts requests into a file, off their way: an entry is a few additions in memory, and once a second all of them are
 * written in one transaction. Whatever goes wrong with the file is told once and never fails a request.
 */
export class Ledger implements Counts {
  readonly #path: string;
  readonly #bounds: LedgerBounds;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #after: (ms: number, call: () => void) => void;
  #pending = new Pending();
  #open: { readonly database: Database; readonly writer: LedgerWriter } | undefined;
  #isScheduled = false;
  #writing: Promise<void> = Promise.resolve();
  #busySinceMs: number | undefined;
  #restsUntilMs = 0;
  #prunedAtMs = 0;
  #told: string | undefined;
  #isSyncing = false;

  constructor(options: LedgerOptions) {
    this.#path = options.path;
    this.#bounds = { days: options.days, bytes: MOST_BYTES };
    this.#log = options.log;
    this.#now = options.now ?? Date.now;
    this.#after = options.after ?? later;
  }

  /** Counts one request. Quick, and never throws. */
  add(entry: LedgerEntry): void {
    this.#pending.add(entry);
    this.#schedule();
  }

  /** Writes what is pending now. Never throws. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** The same, and lets go of the file; whatever comes later opens it again. Never throws. */
  async close(): Promise<void> {
    await this.write();
    // A relay that ends at the same time may hold the file for a moment.
    for (let attempt = 0; attempt < MOST_LAST_WRITES && this.#busySinceMs !== undefined; attempt += 1) {
      await Bun.sleep(LAST_WRITE_PAUSE_MS);
      await this.write();
    }
    this.#letGo();
  }

  /** Answers a question to the file, with what was counted until now. Undefined while there is no file. Throws what SQLite throws. */
  async read<Answer>(question: (database: Database) => Answer): Promise<Answer | undefined> {
    await this.write();
    const database = await openToRead(this.#path);
    try {
      return database && question(database);
    } finally {
      database?.close();
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#after(WRITE_AFTER_MS, () => {
      this.#isScheduled = false;
      void this.write();
    });
  }

  async #write(): Promise<void> {
    if (this.#pending.isEmpty || this.#now() < this.#restsUntilMs) return this.#again();
    try {
      this.#open ??= await this.#opened();
      const { writer } = this.#open;
      writer.write(this.#pending);
      this.#pending = new Pending();
      this.#busySinceMs = undefined;
      this.#told = undefined;
      if (this.#now() - this.#prunedAtMs >= PRUNE_EVERY_MS) {
        this.#prunedAtMs = this.#now();
        writer.prune(this.#bounds, this.#now());
      }
      this.#sync();
    } catch (error) {
      this.#failed(error);
    }
    this.#again();
  }

  /** What is left waits for the next round; it is added up meanwhile and does not grow with the number of requests. */
  #again(): void {
    if (!this.#pending.isEmpty) this.#schedule();
  }

  async #opened() {
    const database = await openToWrite(this.#path);
    return { database, writer: new LedgerWriter(database) };
  }

  #failed(error: unknown): void {
    if (isBusy(error)) {
      this.#busySinceMs ??= this.#now();
      if (this.#now() - this.#busySinceMs >= TELL_BUSY_AFTER_MS) {
        this.#tell(`Another program holds ${this.#path}; counts wait in memory until it lets go.`);
      }
      return;
    }
    this.#letGo();
    if (isDamage(error)) return this.#replace();
    this.#restsUntilMs = this.#now() + REST_MS;
    const reason = error instanceof Error ? error.message : String(error);
    const next =
      error instanceof RelayError ? (error.hint ?? "") : "Make room or the folder writable, or use --ledger off.";
    this.#tell(`Usage could not be counted in ${this.#path} (${reason}). ${next}`.trim());
  }

  #replace(): void {
    try {
      const aside = setAside(this.#path, this.#now());
      this.#tell(`${this.#path} is damaged and was renamed to ${aside}; counting begins anew.`);
    } catch (error) {
      this.#restsUntilMs = this.#now() + REST_MS;
      const reason = error instanceof Error ? error.message : String(error);
      this.#tell(`${this.#path} is damaged and could not be renamed (${reason}). Move it away.`);
    }
  }

  /** Each thing once, until something was written again. */
  #tell(message: string): void {
    if (this.#told === message) return;
    this.#told = message;
    this.#log.warn(message);
  }

  #letGo(): void {
    try {
      this.#open?.database.close();
    } catch {
      // It is given up anyway.
    }
    this.#open = undefined;
  }

  /** Lost power costs seconds then: SQLite itself would sync at checkpoints only. In a thread, as a disk may be slow. */
  #sync(): void {
    if (this.#isSyncing) return;
    let file: number;
    try {
      file = openSync(`${this.#path}-wal`, "r");
    } catch {
      return;
    }
    this.#isSyncing = true;
    fdatasync(file, () => {
      closeSync(file);
      this.#isSyncing = false;
    });
  }
}
