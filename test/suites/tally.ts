import type { Outcome } from "./packages.ts";
import type { Suite, SuiteFault } from "./suites.ts";

/** What a run of a suite against one backend came to. */
export interface Tally {
  readonly passed: number;
  /** All but those that the suite itself passes over. */
  readonly applicable: number;
  /** Failures that nothing excuses. */
  readonly relay: readonly Outcome[];
  /** Failures for a known reason of the suite's, with their number. */
  readonly suite: ReadonlyMap<SuiteFault, number>;
}

/** Counts outcomes, and tells failures for the suite's own reasons from those that are the relay's. */
export function tallied({ suiteFaults = [] }: Pick<Suite, "suiteFaults">, all: readonly Outcome[]): Tally {
  const relay: Outcome[] = [];
  const suite = new Map<SuiteFault, number>();
  const applicable = all.filter(({ applies }) => applies !== false);
  const failed = applicable.filter(({ ok }) => !ok);
  for (const outcome of failed) {
    const fault = suiteFaults.find(({ cases }) => cases.test(outcome.case));
    if (fault) suite.set(fault, (suite.get(fault) ?? 0) + 1);
    else relay.push(outcome);
  }
  return { passed: applicable.length - failed.length, applicable: applicable.length, relay, suite };
}
