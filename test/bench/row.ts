import type { Backend, Program } from "./programs.ts";
import type { Rounds } from "./statistics.ts";

/** What each row is given. Programs are started for one row alone and ended after it. */
export interface Bench {
  readonly backend: Backend;
  /** How often a row measures; medians are told. */
  readonly rounds: number;
  /** A short run: less of everything, for a first look. */
  readonly isQuick: boolean;
  /** The executable. */
  readonly binary: string;
  /** What relays log in with, for those that do not read it from a file. */
  readonly login: { readonly accessToken: string; readonly accountId: string };
  relay(flags?: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Program>;
  /** A relay before another backend than the benchmark's own. */
  relayAt(baseUrl: string, flags?: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Program>;
  raw(): Promise<Program>;
}

/** One line of the table. */
export interface Figure {
  readonly label: string;
  /** `""` for counts. */
  readonly unit: string;
  readonly digits: number;
  readonly relay: Rounds;
  /** Empty when the pass-through has no such figure. */
  readonly raw: Rounds;
  readonly goal?: Goal;
}

/** What the relay is meant to reach. SentText, never enforced: the machine may be busy. */
export interface Goal {
  readonly text: string;
  /** Of medians; `ratio` is the relay's to the pass-through's. */
  isReached(relay: number, ratio: number): boolean;
}

/** How a cost grows. */
export interface Curve {
  readonly name: string;
  readonly x: string;
  readonly y: string;
  readonly points: readonly { readonly x: number; readonly relay: number; readonly raw: number }[];
}

export interface Outcome {
  readonly figures: readonly Figure[];
  readonly curves?: readonly Curve[];
}

/** A part of the benchmark that can be chosen by name. */
export interface Row {
  readonly name: string;
  /** One sentence for `--help`. */
  readonly about: string;
  run(bench: Bench): Promise<Outcome>;
}

/** At most so much. */
export function atMost(limit: number, unit: string): Goal {
  return { text: `≤ ${limit}${unit === "" ? "" : ` ${unit}`}`, isReached: (relay) => relay <= limit };
}

/** At least so much. */
export function atLeast(limit: number, unit: string): Goal {
  return { text: `≥ ${limit} ${unit}`, isReached: (relay) => relay >= limit };
}

/** At most so many times the pass-through's. */
export function atMostTimes(limit: number): Goal {
  return { text: `≤ ${limit} ×`, isReached: (_, ratio) => ratio <= limit };
}

/** At least so many times the pass-through's. */
export function atLeastTimes(limit: number): Goal {
  return { text: `≥ ${limit} ×`, isReached: (_, ratio) => ratio >= limit };
}

/** Runs `measure` for a fresh relay and a fresh pass-through, and ends both. */
export async function withBoth<T>(bench: Bench, measure: (relay: Program, raw: Program) => Promise<T>): Promise<T> {
  const raw = await bench.raw();
  const relay = await bench.relay();
  try {
    return await measure(relay, raw);
  } finally {
    await relay.stop();
    await raw.stop();
  }
}

/** Measured values of both programs by name, round by round. */
export type Measured = Readonly<Record<"relay" | "raw", Record<string, number[]>>>;

/** Measures both in turns, first one and then the other; what `warm` rounds bring is thrown away. */
export async function inTurns(
  programs: readonly Program[],
  { rounds, warm = 0 }: { readonly rounds: number; readonly warm?: number },
  measure: (program: Program) => Promise<Readonly<Record<string, number>>>,
): Promise<Measured> {
  const measured: Measured = { relay: {}, raw: {} };
  for (let round = -warm; round < rounds; round += 1) {
    for (const program of programs) {
      const values = await measure(program);
      if (round < 0) continue;
      for (const [name, value] of Object.entries(values)) (measured[program.name][name] ??= []).push(value);
    }
  }
  return measured;
}

/** A line of the table from what was measured under `name`. */
export function figure(
  { relay, raw }: Measured,
  name: string,
  { label, unit, digits, goal }: { label: string; unit: string; digits: number; goal?: Goal },
): Figure {
  return { label, unit, digits, relay: relay[name] ?? [], raw: raw[name] ?? [], ...(goal ? { goal } : {}) };
}
