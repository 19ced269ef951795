/**
 * Does `work` once, in so many milliseconds; what is returned forgets it. A process may end before unless it is awaited.
 */
export type After = (ms: number, work: () => void, isAwaited?: "awaited") => () => void;

/** By the clock of this process. */
export const later: After = (ms, work, isAwaited) => {
  const timer = setTimeout(work, ms);
  if (!isAwaited) timer.unref();
  return () => clearTimeout(timer);
};
