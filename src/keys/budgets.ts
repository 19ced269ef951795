import type { PlanLimits } from "../codex/plan-limits.ts";
import type { ClientKey } from "./key.ts";

/** The key that a request is held against. */
export type BudgetedKey = Pick<ClientKey, "id" | "name" | "limits">;

/** What is known of a request before it is answered. */
export interface Estimate {
  readonly inputTokens: number;
  /** The newest that was heard of the plan's windows. */
  readonly plan: PlanLimits | undefined;
}

/** What a request has used in the end; nothing for one that was refused. */
export interface Spent {
  readonly input: number;
  /** Part of the input. */
  readonly cached: number;
  readonly output: number;
}

/** Room that is held for one request. */
export interface Reservation {
  /** The request is over. Later calls do nothing. */
  settle(spent: Spent, plan: PlanLimits | undefined): void;
}

/**
 * What keys have used, and what is held for requests under way. Asynchronous, so that relays that share a login can share
 * these too.
 */
export interface KeyBudgets {
  /**
   * Holds a request against its key's limits: what it may cost is taken off at once, so that however many come together,
   * no more is spent past a limit than those under way turn out to cost beyond their estimates. Throws
   * `key_limit_reached` with the moment at which the limit lifts.
   */
  reserve(key: BudgetedKey, estimate: Estimate): Promise<Reservation>;
  /** Writes what is not yet written. */
  close(): Promise<void>;
}
