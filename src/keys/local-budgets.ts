import { windowName, windowsOf } from "../codex/plan-limits.ts";
import type { Log } from "../lib/log.ts";
import type { BudgetedKey, Estimate, KeyBudgets, Reservation } from "./budgets.ts";
import { dayIsHeld, dayIsUsedUp, tooManyAtOnce, windowIsUsedUp } from "./limit-refusals.ts";
import type { UsagePlace } from "./usage-file.ts";
import { dayOf, joined, merged, NO_DELTA, NO_USAGE, shareOf, withRequest, type UsageState } from "./usage-state.ts";
import { messageOf } from "../lib/thrown.ts";

/** What a `kill -9` may lose of the counts. */
const WRITE_AFTER_MS = 1000;
/** After a write that failed. */
const RETRY_AFTER_MS = 30_000;
/** Tokens of an answer, until a key has had some. */
const USUAL_OUTPUT = 1000;
/** How much the newest answer counts in the mean of a key's answers. */
const NEWEST = 1 / 8;

/** One key's requests that are under way in this process. */
interface UnderWay {
  requests: number;
  /** Tokens that are held for them. */
  tokens: number;
  /** Mean of the answers so far, in tokens. */
  usualOutput: number;
}

export interface LocalBudgetsOptions {
  readonly file: UsagePlace;
  readonly log: Log;
  readonly now?: () => number;
}

/**
 * Budgets in this process and one small file. Several relays with one state folder add to the same counts, each knowing
 * what the others used until its own last write; requests at once are counted in each relay by itself.
 */
export class LocalBudgets implements KeyBudgets {
  readonly #file: UsagePlace;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #underWay = new Map<string, UnderWay>();
  /** As the file had it the last time; undefined before the first request. */
  #base: UsageState | undefined;
  /** Not in the file yet. */
  #delta = NO_DELTA;
  /** On its way into the file. */
  #writing = NO_DELTA;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #written = Promise.resolve();
  #isTroubleTold = false;

  constructor({ file, log, now = Date.now }: LocalBudgetsOptions) {
    this.#file = file;
    this.#log = log;
    this.#now = now;
  }

  // Asynchronous for stores that are elsewhere; here all of it happens in one turn of the event loop.
  // eslint-disable-next-line typescript/require-await
  async reserve(key: BudgetedKey, { inputTokens, plan }: Estimate): Promise<Reservation> {
    const underWay = this.#of(key.id);
    const { requestsAtOnce, tokensPerDay } = key.limits;
    if (requestsAtOnce !== undefined && underWay.requests >= requestsAtOnce) {
      throw tooManyAtOnce(key.name, requestsAtOnce);
    }
    this.#refuseFullWindow(key, plan);
    const wanted = inputTokens + underWay.usualOutput;
    const room = tokensPerDay === undefined ? wanted : this.#roomToday(key, tokensPerDay, underWay);
    const held = Math.min(wanted, room);
    underWay.requests += 1;
    underWay.tokens += held;
    let isSettled = false;
    return {
      settle: (spent, newest) => {
        if (isSettled) return;
        isSettled = true;
        underWay.requests -= 1;
        underWay.tokens -= held;
        if (spent.output > 0) underWay.usualOutput += (spent.output - underWay.usualOutput) * NEWEST;
        this.#delta = withRequest(this.#delta, key.id, spent, newest, this.#now());
        this.#writeSoon(WRITE_AFTER_MS);
      },
    };
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#write();
  }

  /** Tokens that are left today and not held for others. Throws `key_limit_reached` where that is none. */
  #roomToday({ id, name }: BudgetedKey, limit: number, underWay: UnderWay): number {
    const today = dayOf(this.#now());
    const parts = [this.#known().keys[id], this.#writing.keys[id], this.#delta.keys[id]];
    const used = parts.reduce((total, part) => total + (part?.day === today ? part.tokens : 0), 0);
    if (used >= limit) throw dayIsUsedUp({ name, limit, used }, this.#now());
    const room = limit - used - underWay.tokens;
    if (room > 0) return room;
    throw dayIsHeld(name, limit, underWay.requests);
  }

  #refuseFullWindow({ id, name, limits: { shareOfWindowPercent: limit } }: BudgetedKey, plan: Estimate["plan"]): void {
    if (limit === undefined) return;
    const nowMs = this.#now();
    for (const [place, window] of Object.entries(this.#known().windows)) {
      // It has ended since, and no reply has told how full the next one is.
      if (window.resetsAtMs !== undefined && window.resetsAtMs <= nowMs) continue;
      const share = shareOf(window, id, this.#of(id).tokens);
      if (share < limit) continue;
      const named = plan && windowsOf(plan).find(({ meter, kind }) => `${meter.id} ${kind}` === place);
      const length = windowName(named?.window.windowMinutes);
      throw windowIsUsedUp({ name, limit, used: share, length, resetsAtMs: window.resetsAtMs }, nowMs);
    }
  }

  #of(id: string): UnderWay {
    let found = this.#underWay.get(id);
    if (!found) this.#underWay.set(id, (found = { requests: 0, tokens: 0, usualOutput: USUAL_OUTPUT }));
    return found;
  }

  #known(): UsageState {
    if (this.#base) return this.#base;
    try {
      this.#base = this.#file.read() ?? NO_USAGE;
    } catch (error) {
      this.#base = NO_USAGE;
      this.#tell(error);
    }
    return this.#base;
  }

  #writeSoon(afterMs: number): void {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, afterMs);
    this.#timer.unref();
  }

  /** One after the other: what is being written counts until the file has it. */
  #write(): Promise<void> {
    this.#written = this.#written.then(async () => {
      if (this.#delta === NO_DELTA) return;
      const delta = this.#delta;
      this.#writing = delta;
      this.#delta = NO_DELTA;
      try {
        this.#base = await this.#file.update((state) => merged(state, delta));
        this.#isTroubleTold = false;
      } catch (error) {
        this.#delta = joined(delta, this.#delta);
        this.#tell(error);
        this.#writeSoon(RETRY_AFTER_MS);
      } finally {
        this.#writing = NO_DELTA;
      }
    });
    return this.#written;
  }

  #tell(error: unknown): void {
    if (this.#isTroubleTold) return;
    this.#isTroubleTold = true;
    this.#log.warn("What keys have used could not be kept; a restart forgets it.", {
      reason: messageOf(error),
    });
  }
}
