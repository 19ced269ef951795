import { listOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { script, type StoreConnection } from "../store/connection.ts";
import type { BudgetedKey, Estimate, KeyBudgets, Reservation, Spent } from "./budgets.ts";
import { dayIsHeld, dayIsUsedUp, tooManyAtOnce } from "./limit-refusals.ts";
import type { LocalBudgets } from "./local-budgets.ts";
import { dayOf } from "./usage-state.ts";

/** What a replica that died had under way counts for this long; one that lives says so in between. */
const LEASE_MS = 30_000;
const RENEW_LEASE_MS = 10_000;
/** Counts of a day are kept until everybody's clock is past it. */
const DAY_KEPT_MS = 48 * 60 * 60_000;
/** Tokens of an answer, until a key has had some, and how much the newest counts in their mean. */
const USUAL_OUTPUT = 1000;
const NEWEST = 1 / 8;

/** What is under way for a key: members "tokens id", scored by when they count no more. KEYS under way, held, used. */
const LAPSE = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function drop(member)
  if redis.call('ZREM', KEYS[1], member) == 1 then
    redis.call('DECRBY', KEYS[2], string.match(member, '^%d+'))
    return true
  end
  return false
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, now)) do drop(member) end
`;

/** ARGV requests at once or -1, tokens a day or -1, tokens wanted, id, tokens used as this replica last heard. */
const RESERVE = script(`${LAPSE}
local atOnce, limit, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used = math.max(tonumber(redis.call('GET', KEYS[3]) or '0'), tonumber(ARGV[5]))
local underWay = redis.call('ZCARD', KEYS[1])
if atOnce >= 0 and underWay >= atOnce then return {'at-once', underWay, used} end
local take = wanted
if limit >= 0 then
  if used >= limit then return {'used', underWay, used} end
  local room = limit - used - tonumber(redis.call('GET', KEYS[2]) or '0')
  if room <= 0 then return {'held', underWay, used} end
  take = math.min(wanted, room)
end
local member = string.format('%.0f', take) .. ' ' .. ARGV[4]
redis.call('ZADD', KEYS[1], now + ${LEASE_MS}, member)
redis.call('INCRBY', KEYS[2], string.format('%.0f', take))
redis.call('PEXPIRE', KEYS[1], ${DAY_KEPT_MS})
redis.call('PEXPIRE', KEYS[2], ${DAY_KEPT_MS})
return {'taken', underWay, used, member}`);

/** ARGV member, tokens spent, tokens used before as this replica last heard. Returns the tokens used. */
const SETTLE = script(`${LAPSE}
drop(ARGV[1])
local used = math.max(tonumber(redis.call('GET', KEYS[3]) or '0'), tonumber(ARGV[3])) + tonumber(ARGV[2])
redis.call('SET', KEYS[3], string.format('%.0f', used), 'PX', ${DAY_KEPT_MS})
return string.format('%.0f', used)`);

/** ARGV members that are still under way. */
const RENEW = script(`${LAPSE}
for _, member in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'XX', now + ${LEASE_MS}, member) end
return 1`);

interface Held {
  readonly id: string;
  readonly day: string;
  readonly member: string;
}

export interface SharedBudgetsOptions {
  readonly store: StoreConnection;
  /** Counts everything else, with the store as its place. */
  readonly local: LocalBudgets;
  /** What becomes of limited keys while the store is away: refused, or let in uncounted. */
  readonly whenAway: "closed" | "open";
  readonly log: Log;
  readonly now?: () => number;
}

/**
 * Budgets that replicas share: requests at once and tokens a day are held in one step in the store, so that no number of
 * replicas lets in more than one would. Keys without these limits cost the store nothing here.
 */
export class SharedBudgets implements KeyBudgets {
  readonly #store: StoreConnection;
  readonly #local: LocalBudgets;
  readonly #whenAway: SharedBudgetsOptions["whenAway"];
  readonly #log: Log;
  readonly #now: () => number;
  readonly #open = new Set<Held>();
  /** Ended while the store was away. */
  readonly #unsettled: { readonly held: Held; readonly tokens: number }[] = [];
  readonly #usualOutput = new Map<string, number>();
  /** Tokens used by key and day, as last heard: a store that was emptied learns of them again. */
  readonly #used = new Map<string, number>();
  readonly #settling = new Set<Promise<void>>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor({ store, local, whenAway, log, now = Date.now }: SharedBudgetsOptions) {
    this.#store = store;
    this.#local = local;
    this.#whenAway = whenAway;
    this.#log = log;
    this.#now = now;
    store.onBack(() => this.#settleOld());
  }

  async reserve(key: BudgetedKey, estimate: Estimate): Promise<Reservation> {
    const { requestsAtOnce, tokensPerDay } = key.limits;
    if (requestsAtOnce === undefined && tokensPerDay === undefined) return this.#local.reserve(key, estimate);
    const held = await this.#hold(key, estimate.inputTokens);
    let local: Reservation;
    try {
      local = await this.#local.reserve(key, estimate);
    } catch (error) {
      if (held) this.#settle(held, 0);
      throw error;
    }
    let isSettled = false;
    return {
      settle: (spent, plan) => {
        local.settle(spent, plan);
        if (isSettled || !held) return;
        isSettled = true;
        this.#learn(key.id, spent);
        this.#settle(held, spent.input + spent.output);
      },
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#settling);
    await this.#local.close();
    if (this.#unsettled.length === 0) return;
    this.#log.warn("What keys used while the store was away is not counted there.", {
      requests: this.#unsettled.length,
    });
  }

  /** Throws `key_limit_reached`, and `store_unavailable` where the store is away and that keeps limited keys out. */
  async #hold({ id, name, limits }: BudgetedKey, inputTokens: number): Promise<Held | undefined> {
    const { requestsAtOnce: atOnce, tokensPerDay: limit } = limits;
    const day = dayOf(this.#now());
    const wanted = Math.ceil(inputTokens + (this.#usualOutput.get(id) ?? USUAL_OUTPUT));
    const values = [atOnce ?? -1, limit ?? -1, wanted, crypto.randomUUID(), this.#used.get(`${id} ${day}`) ?? 0];
    let reply: unknown;
    try {
      reply = await this.#store.run(RESERVE, this.#keys(id, day), values.map(String));
    } catch (error) {
      if (this.#whenAway === "open") return undefined;
      throw error;
    }
    const [state, underWay, used, member] = listOf(reply);
    this.#hear(id, day, Number(used));
    if (state === "at-once") throw tooManyAtOnce(name, atOnce ?? 0);
    if (state === "used") throw dayIsUsedUp({ name, limit: limit ?? 0, used: Number(used) }, this.#now());
    if (state === "held") throw dayIsHeld(name, limit ?? 0, Number(underWay));
    const held = { id, day, member: String(member) };
    this.#open.add(held);
    this.#timer ??= this.#renewing();
    return held;
  }

  #settle(held: Held, tokens: number): void {
    this.#open.delete(held);
    const settling = this.#settleInStore(held, tokens)
      .catch(() => void this.#unsettled.push({ held, tokens }))
      .finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
  }

  async #settleInStore({ id, day, member }: Held, tokens: number): Promise<void> {
    const before = this.#used.get(`${id} ${day}`) ?? 0;
    const used = await this.#store.run(SETTLE, this.#keys(id, day), [member, String(tokens), String(before)]);
    this.#hear(id, day, Number(used));
  }

  async #settleOld(): Promise<void> {
    for (const { held, tokens } of this.#unsettled.splice(0)) this.#settle(held, tokens);
    await this.#renew();
  }

  #renewing(): ReturnType<typeof setInterval> {
    const timer = setInterval(() => void this.#renew().catch(() => {}), RENEW_LEASE_MS);
    timer.unref();
    return timer;
  }

  async #renew(): Promise<void> {
    const byKey = Map.groupBy(this.#open, ({ id, day }) => `${id} ${day}`);
    for (const [first, ...others] of byKey.values()) {
      if (!first) continue;
      const members = [first, ...others].map(({ member }) => member);
      await this.#store.run(RENEW, this.#keys(first.id, first.day), members);
    }
  }

  #hear(id: string, day: string, used: number): void {
    const name = `${id} ${day}`;
    if (used > (this.#used.get(name) ?? 0)) this.#used.set(name, used);
    for (const old of this.#used.keys()) if (!old.endsWith(day)) this.#used.delete(old);
  }

  #learn(id: string, { output }: Spent): void {
    if (output <= 0) return;
    const usual = this.#usualOutput.get(id) ?? USUAL_OUTPUT;
    this.#usualOutput.set(id, usual + (output - usual) * NEWEST);
  }

  #keys(id: string, day: string): string[] {
    const store = this.#store;
    return [store.key("under-way", id), store.key("held", id), store.key("used", id, day)];
  }
}
