/** Loaded before the program: its pauses between two tries, which are shorter than its limits, take less of a test's time. */
const LONGEST_PAUSE_MS = 1000;
const quick = (ms: number) => (ms < LONGEST_PAUSE_MS ? ms / 8 : ms);

const { setTimeout: later } = globalThis;
globalThis.setTimeout = Object.assign(
  (run: () => void, ms = 0, ...given: unknown[]) => later(run, quick(ms), ...(given as [])),
  later,
) as typeof setTimeout;
