import { FETCH_LIMIT } from "./fetch-limit.ts";

/**
 * JavaScriptCore compiles what runs often a third time, for speed (FTL), at five times its usual count of calls and
 * loops: a relay of many small functions waits for its backend most of the time, and compiling them cost more CPU in its
 * first ten thousand requests than it saved in them. Known by this name to the Bun that the executable holds; another
 * would refuse to start over a name that it does not know.
 */
const LATE_COMPILING = { variable: "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp", value: "500000" } as const;

/**
 * Starts this process anew in its own place (same pid, a few milliseconds) with what Bun reads from the environment at
 * its start alone, and then does not return: the limit of requests lifted, and in the executable the engine's setting.
 * Where that cannot be done (Windows) or was done, it does nothing: `mostRequests` says what that leaves.
 */
export function startAnew(): void {
  const missing = Object.entries(wanted()).filter(([name]) => !process.env[name]);
  // For this process alone: a child may be another Bun.
  if (missing.length === 0) delete process.env[LATE_COMPILING.variable];
  if (missing.length === 0 || process.platform === "win32") return;
  const script = Bun.isStandaloneExecutable ? [] : [...process.execArgv, process.argv[1] ?? Bun.main];
  const words = [process.argv0, ...script, ...process.argv.slice(2)];
  try {
    process.execve?.(process.execPath, words, { ...process.env, ...Object.fromEntries(missing) });
  } catch {
    // The executable was replaced meanwhile, say: then the limit is 256.
  }
}

function wanted(): Record<string, string> {
  return {
    [FETCH_LIMIT.variable]: String(FETCH_LIMIT.lifted),
    ...(Bun.isStandaloneExecutable ? { [LATE_COMPILING.variable]: LATE_COMPILING.value } : {}),
  };
}
