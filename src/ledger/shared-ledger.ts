import type { Database } from "bun:sqlite";
import { z } from "zod";
import { listOf, parseJson } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { script, type StoreConnection } from "../store/connection.ts";
import { pairsOf, textsOf } from "../store/replies.ts";
import type { LedgerEntry } from "./entry.ts";
import { openInMemory } from "./file.ts";
import type { Counts } from "./ledger.ts";
import { Pending, type PendingConversation, type PendingHour } from "./pending.ts";
import { Sketch } from "./sketch.ts";
import { LedgerWriter } from "./writer.ts";
import { messageOf } from "../lib/thrown.ts";

/** From the first request of a batch to its writing: what a kill may cost at most. */
const WRITE_AFTER_MS = 1000;
const HOUR_MS = 3_600_000;
/** Conversations that are kept, newest first. */
const MOST_CONVERSATIONS = 20_000;
/** Hours and conversations asked for in one command. */
const CHUNK = 500;

/** Adds numbers to an hour, all in one step. KEYS hour, index. ARGV hour, milliseconds to keep, then field and number. */
const COUNT = script(`for index = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[index], ARGV[index + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[1])
return 1`);

/**
 * The same for a conversation. KEYS conversation, index. ARGV id, first and last moment, milliseconds to keep, beginning
 * of conversations' keys, names as JSON, then field and number.
 */
const CONVERSE = script(`for index = 7, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[index], ARGV[index + 1]) end
redis.call('HSETNX', KEYS[1], 'first', ARGV[2])
redis.call('HSET', KEYS[1], 'last', ARGV[3], 'names', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
local excess = redis.call('ZCARD', KEYS[2]) - ${MOST_CONVERSATIONS}
if excess > 0 then
  for _, id in ipairs(redis.call('ZPOPMIN', KEYS[2], excess)) do redis.call('DEL', ARGV[5] .. id) end
end
return 1`);

/** ARGV beginning of keys, names. */
const READ = script(`local found = {}
for index = 2, #ARGV do found[index - 1] = redis.call('HGETALL', ARGV[1] .. ARGV[index]) end
return found`);

const text = z.string();
const Names = z.object({ model: text, client: text, key: text });
/** Model, client, key, status and fallback; a later version may tell more. */
const Row = z.tuple([text, text, text, z.number(), text]).rest(z.unknown());

const SUMS = ["requests", "input", "cached", "output", "reasoning"] as const;

export interface SharedLedgerOptions {
  readonly store: StoreConnection;
  readonly days: number;
  readonly log: Log;
  readonly now?: () => number;
}

/**
 * Counts that replicas add up together in a store: the same rows as in a file, with one number for each bucket of their
 * sketches, so that nobody has to read before writing. What could not be written waits until the store is back.
 */
export class SharedLedger implements Counts {
  readonly #store: StoreConnection;
  readonly #keepMs: number;
  readonly #log: Log;
  readonly #now: () => number;
  #pending = new Pending();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing = Promise.resolve();

  constructor({ store, days, log, now = Date.now }: SharedLedgerOptions) {
    this.#store = store;
    this.#keepMs = days * 24 * HOUR_MS;
    this.#log = log;
    this.#now = now;
    // In its own time: nobody waits for counts.
    store.onBack(() => Promise.resolve(this.#schedule()));
  }

  add(entry: LedgerEntry): void {
    this.#pending.add(entry);
    this.#schedule();
  }

  async read<Answer>(question: (database: Database) => Answer): Promise<Answer | undefined> {
    await this.#store.open();
    await this.#write();
    const database = await openInMemory();
    try {
      const hours = new Map((await this.#hours()).map((row, index) => [String(index), row]));
      const conversations = new Map((await this.#conversations()).map((row) => [row.id, row]));
      new LedgerWriter(database).write({ hours, conversations });
      return hours.size === 0 ? undefined : question(database);
    } finally {
      database.close();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#write();
    if (this.#pending.isEmpty) return;
    this.#log.warn("Usage that was counted while the store was away is lost with this process.");
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#pending.isEmpty || !this.#store.isUp) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, WRITE_AFTER_MS);
    this.#timer.unref();
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeAll());
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    const pending = this.#pending;
    const { hours, conversations } = pending;
    try {
      for (const [id, row] of hours) {
        hours.delete(id);
        await this.#writeHour(row).catch((error: unknown) => {
          pending.putBackHour(id, row);
          throw error;
        });
      }
      for (const [id, row] of conversations) {
        conversations.delete(id);
        await this.#writeConversation(row).catch((error: unknown) => {
          pending.putBackConversation(id, row);
          throw error;
        });
      }
      // Requests end while others are written.
      if (pending.isEmpty) this.#pending = new Pending();
    } catch (error) {
      this.#log.debug("Usage could not be counted in the store yet.", { reason: messageOf(error) });
    }
    this.#schedule();
  }

  async #writeHour({ hour, names, status, sums, firstToken, total }: PendingHour): Promise<void> {
    const row = JSON.stringify([names.model, names.client, names.key, status, names.fallback]);
    const values = [
      ...SUMS.map((name) => [`${name} ${row}`, sums[name]] as const),
      ...firstToken.counts().map(([bucket, count]) => [`f${bucket} ${row}`, count] as const),
      ...total.counts().map(([bucket, count]) => [`t${bucket} ${row}`, count] as const),
    ];
    const keys = [this.#store.key("ledger", String(hour)), this.#store.key("ledger-hours")];
    await this.#store.run(COUNT, keys, [String(hour), String(this.#keepMs), ...values.flat().map(String)]);
  }

  async #writeConversation({ id, names, firstMs, lastMs, sums }: PendingConversation): Promise<void> {
    const beginning = `${this.#store.key("conversation")}:`;
    const keys = [beginning + id, this.#store.key("conversations")];
    const facts = [id, String(firstMs), String(lastMs), String(this.#keepMs), beginning, JSON.stringify(names)];
    await this.#store.run(CONVERSE, keys, [...facts, ...SUMS.flatMap((name) => [name, String(sums[name])])]);
  }

  async #hours(): Promise<PendingHour[]> {
    const index = this.#store.key("ledger-hours");
    const oldest = Math.floor((this.#now() - this.#keepMs) / HOUR_MS);
    await this.#store.send("ZREMRANGEBYSCORE", [index, "-inf", `(${oldest}`]);
    const hours = textsOf(await this.#store.send("ZRANGE", [index, "0", "-1"]));
    const rows = new Map<string, PendingHour>();
    for (const [hour, fields] of await this.#hashes("ledger", hours)) {
      for (const [field, count] of fields) addTo(rows, Number(hour), field, Number(count));
    }
    return [...rows.values()];
  }

  async #conversations(): Promise<PendingConversation[]> {
    const ids = textsOf(await this.#store.send("ZRANGE", [this.#store.key("conversations"), "0", "-1"]));
    const found = await this.#hashes("conversation", ids);
    return found.flatMap(([id, fields]) => {
      const value = Object.fromEntries(fields);
      if (value["names"] === undefined) return [];
      const names = Names.safeParse(parseJson(value["names"])).data;
      if (!names) return [];
      const number = (name: string) => Number(value[name] ?? 0);
      const sums = {
        requests: number("requests"),
        input: number("input"),
        cached: number("cached"),
        output: number("output"),
        reasoning: number("reasoning"),
      };
      return [{ id, names, firstMs: number("first"), lastMs: number("last"), sums }];
    });
  }

  async #hashes(kind: string, names: readonly string[]): Promise<[name: string, fields: [string, string][]][]> {
    const found: [string, [string, string][]][] = [];
    for (let at = 0; at < names.length; at += CHUNK) {
      const chunk = names.slice(at, at + CHUNK);
      const reply = await this.#store.run(READ, [], [`${this.#store.key(kind)}:`, ...chunk]);
      const hashes = listOf(reply);
      for (const [index, name] of chunk.entries()) found.push([name, pairsOf(hashes[index])]);
    }
    return found;
  }
}

/** One number of an hour; its field is `requests ROW`, or `f12 ROW` for the twelfth bucket of first tokens. */
function addTo(rows: Map<string, PendingHour>, hour: number, field: string, count: number): void {
  const [, kind = "", json = ""] = /^(\w+) (.*)$/s.exec(field) ?? [];
  const id = `${hour} ${json}`;
  let row = rows.get(id);
  if (!row) {
    const parsed = Row.safeParse(parseJson(json)).data;
    if (!parsed) return;
    const [model, client, key, status, fallback] = parsed;
    const names = { model, client, key, fallback };
    const sums = { requests: 0, input: 0, cached: 0, output: 0, reasoning: 0 };
    row = { hour, names, status, sums, firstToken: new Sketch(), total: new Sketch() };
    rows.set(id, row);
  }
  const sum = SUMS.find((name) => name === kind);
  if (sum) row.sums[sum] += count;
  else if (kind.startsWith("f")) row.firstToken.addCount(Number(kind.slice(1)), count);
  else row.total.addCount(Number(kind.slice(1)), count);
}
