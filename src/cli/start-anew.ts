import { FETCH_LIMIT } from "./fetch-limit.ts";

/**
 * JavaScriptCore's own settings, by the names that the Bun in the executable knows; another would refuse to start over a
 * name that it does not know.
 */
const ENGINE: Readonly<Record<string, string>> = {
  // What runs often is compiled a third time, for speed (FTL), at seven and a half times the usual count of calls and
  // loops: compiling cost more CPU in a relay's first ten thousand requests than it saved in them. Later still costs long
  // streams more, a twentieth at ten times the usual count; sooner costs long histories more.
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "750000",
  // On machines of 16 GiB or more a small heap may grow to three times what is alive before it is collected whole. Less
  // of that increase, which is 2 there: under a thousand open streams a tenth less memory, for a fiftieth of the CPU.
  BUN_JSC_heapGrowthMaxIncrease: "1.5",
};

/**
 * Starts this process anew in its own place (same pid, a few milliseconds) with what Bun reads from the environment at
 * its start alone, and then does not return: the limit of requests lifted, and in the executable the engine's settings.
 * Where that cannot be done (Windows) or was done, it does nothing: `mostRequests` says what that leaves.
 */
export function startAnew(): void {
  const missing = Object.entries(wanted()).filter(([name]) => !process.env[name]);
  // For this process alone: a child may be another Bun.
  if (missing.length === 0) for (const name in ENGINE) delete process.env[name];
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
    ...(Bun.isStandaloneExecutable ? ENGINE : {}),
  };
}
