import type { LedgerEntry } from "./entry.ts";
import { Sketch } from "./sketch.ts";

const HOUR_MS = 3_600_000;
/** Clients may call themselves anything: of more than so many between two writes the rest is `other`. */
const MOST_CLIENTS = 64;
/** Conversations between two writes; more are counted in the hours alone. */
const MOST_CONVERSATIONS = 4096;
const OTHER = "other";

/** One row of the hourly table, as far as it is not written yet. */
export interface PendingHour {
  /** Hours since the epoch. */
  readonly hour: number;
  readonly names: Pick<LedgerEntry, "model" | "client" | "key" | "fallback">;
  readonly status: number;
  readonly sums: Sums;
  readonly firstToken: Sketch;
  readonly total: Sketch;
}

/** One conversation, as far as it is not written yet. */
export interface PendingConversation {
  readonly id: string;
  readonly names: Pick<LedgerEntry, "model" | "client" | "key">;
  firstMs: number;
  lastMs: number;
  readonly sums: Sums;
}

interface Sums {
  requests: number;
  input: number;
  cached: number;
  output: number;
  reasoning: number;
}

/** Requests that have ended and are not in the file yet, added up: as much as there are different rows, never more. */
export class Pending {
  readonly hours = new Map<string, PendingHour>();
  readonly conversations = new Map<string, PendingConversation>();
  readonly #clients = new Set<string>();
  /** The row that was added to last: most requests go where the one before them went, unless it is being written. */
  #last: { readonly id: string; readonly row: PendingHour } | undefined;

  get isEmpty(): boolean {
    return this.hours.size === 0 && this.conversations.size === 0;
  }

  add(entry: LedgerEntry): void {
    const client = this.#boundedClient(entry.client);
    const row = this.#hourOf(entry, client);
    addTo(row.sums, entry, 1);
    if (entry.firstTokenMs !== undefined) row.firstToken.add(entry.firstTokenMs);
    row.total.add(entry.totalMs);
    this.#addConversation(entry, client);
  }

  /** Takes a row back that could not be written. Its like may have begun meanwhile. */
  putBackHour(id: string, row: PendingHour): void {
    const since = this.hours.get(id);
    if (since) {
      addTo(row.sums, since.sums, since.sums.requests);
      for (const name of ["firstToken", "total"] as const) row[name].addBytes(since[name].toBytes());
    }
    this.hours.set(id, row);
  }

  /** The same for a conversation. */
  putBackConversation(id: string, row: PendingConversation): void {
    const since = this.conversations.get(id);
    if (since) {
      row.firstMs = Math.min(row.firstMs, since.firstMs);
      row.lastMs = Math.max(row.lastMs, since.lastMs);
      addTo(row.sums, since.sums, since.sums.requests);
    }
    this.conversations.set(id, row);
  }

  #hourOf({ endedAtMs, model, key, fallback, status }: LedgerEntry, client: string): PendingHour {
    const hour = Math.floor(endedAtMs / HOUR_MS);
    const last = this.#last?.row;
    if (last && last.hour === hour && last.status === status && this.hours.get(this.#last?.id ?? "") === last) {
      const { names } = last;
      if (names.model === model && names.client === client && names.key === key && names.fallback === fallback)
        return last;
    }
    const id = JSON.stringify([hour, model, client, key, status, fallback]);
    let row = this.hours.get(id);
    if (!row) {
      const names = { model, client, key, fallback };
      row = { hour, names, status, sums: noSums(), firstToken: new Sketch(), total: new Sketch() };
      this.hours.set(id, row);
    }
    this.#last = { id, row };
    return row;
  }

  #addConversation(entry: LedgerEntry, client: string): void {
    const { conversation: id, model, key, endedAtMs } = entry;
    if (id === undefined) return;
    let row = this.conversations.get(id);
    if (!row) {
      if (this.conversations.size >= MOST_CONVERSATIONS) return;
      row = { id, names: { model, client, key }, firstMs: endedAtMs, lastMs: endedAtMs, sums: noSums() };
      this.conversations.set(id, row);
    }
    row.firstMs = Math.min(row.firstMs, endedAtMs);
    row.lastMs = Math.max(row.lastMs, endedAtMs);
    addTo(row.sums, entry, 1);
  }

  #boundedClient(client: string): string {
    if (this.#clients.has(client)) return client;
    if (this.#clients.size >= MOST_CLIENTS) return OTHER;
    this.#clients.add(client);
    return client;
  }
}

function noSums(): Sums {
  return { requests: 0, input: 0, cached: 0, output: 0, reasoning: 0 };
}

function addTo(sums: Sums, tokens: Omit<Sums, "requests">, requests: number): void {
  sums.requests += requests;
  sums.input += tokens.input;
  sums.cached += tokens.cached;
  sums.output += tokens.output;
  sums.reasoning += tokens.reasoning;
}
