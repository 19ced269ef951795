import type { Outcome } from "./packages.ts";
import type { Excuse, Suite } from "./suites.ts";

/** What a run of a suite against one backend came to. */
export interface Tally {
  readonly passed: number;
  /** All but those that the suite itself passes over, or that ask for what the relay does not offer. */
  readonly applicable: number;
  /** Failures that nothing excuses. */
  readonly relay: readonly Outcome[];
  /** Failures for a known reason that is not the relay's, with their number. */
  readonly excused: ReadonlyMap<Excuse, number>;
}

/** Counts outcomes, and tells failures for known reasons of other people's from those that are the relay's. */
export function tallied({ excuses = [] }: Pick<Suite, "excuses">, all: readonly Outcome[]): Tally {
  const relay: Outcome[] = [];
  const excused = new Map<Excuse, number>();
  let outOfScope = 0;
  const applicable = all.filter(({ applies }) => applies !== false);
  const failed = applicable.filter(({ ok }) => !ok);
  for (const outcome of failed) {
    const excuse = excuses.find(({ cases, says }) => cases.test(outcome.case) && says.test(outcome.reason ?? ""));
    if (excuse) excused.set(excuse, (excused.get(excuse) ?? 0) + 1);
    else relay.push(outcome);
    if (excuse?.isOutOfScope === true) outOfScope += 1;
  }
  return { passed: applicable.length - failed.length, applicable: applicable.length - outOfScope, relay, excused };
}
