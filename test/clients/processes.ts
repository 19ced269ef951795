import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Enough for a client's cold start on a busy machine. */
export const LIMIT_MS = 120_000;

export interface Finished {
  readonly code: number;
  /** Its code and the end of what it printed. */
  readonly said: string;
}

/** Runs a command in the work folder of its HOME, to its end or the limit. */
export async function finished(
  command: string[],
  env: Record<string, string>,
  more: Record<string, string> = {},
): Promise<Finished> {
  const cwd = join(env["HOME"] ?? "", "work");
  const options = { cwd, env: { ...env, ...more }, stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  let child;
  try {
    child = Bun.spawn(command, options);
  } catch (error) {
    // A package whose install script was blocked leaves a file that is no program.
    return { code: 126, said: `cannot be started: ${String(error)}` };
  }
  const timer = setTimeout(() => child.kill(), LIMIT_MS);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  return { code, said: `exit ${code}: ${`${stdout}\n${stderr}`.slice(-1500)}` };
}

/** Some clients leave a helper behind: whatever still has this run's home for its own is ended. */
export function endStragglers(home: string): void {
  if (process.platform !== "linux") return;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (environment.includes(`HOME=${home}`)) process.kill(Number(pid));
    } catch {
      // Gone by now, or somebody else's.
    }
  }
}
