/**
 * Loaded before the program: its limits of a second and more pass 8 times as fast, so that what it says after waiting
 * for somebody silent can be read without waiting.
 */
import "./quick-pauses.ts";

const FACTOR = 8;
const LEAST_MS = 1000;
const quick = (ms: number) => (ms >= LEAST_MS ? ms / FACTOR : ms);

const { setTimeout: later } = globalThis;
const timeout = AbortSignal.timeout.bind(AbortSignal);
globalThis.setTimeout = Object.assign(
  (run: () => void, ms = 0, ...given: unknown[]) => later(run, quick(ms), ...(given as [])),
  later,
) as typeof setTimeout;
AbortSignal.timeout = (ms) => timeout(quick(ms));
