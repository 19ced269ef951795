import { readFileSync } from "node:fs";
import { errorCode } from "../../lib/thrown.ts";

/** What tells one process from a later one that got the same id. */
export interface ProcessFacts {
  /** When it began, in the system's own words; undefined where the system does not say it (Windows). */
  readonly mark: string | undefined;
}

/** The command that runs this very program: the executable itself, or Bun with the entry file in a checkout. */
export function selfCommand(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

/** Undefined when no such process lives. One that has ended but was not yet collected (a zombie) does not. */
export function processFacts(pid: number): ProcessFacts | undefined {
  if (process.platform === "linux") return fromProc(pid);
  if (process.platform !== "win32") return fromPs(pid);
  try {
    process.kill(pid, 0);
    return { mark: undefined };
  } catch (error) {
    return errorCode(error) === "EPERM" ? { mark: undefined } : undefined;
  }
}

function fromProc(pid: number): ProcessFacts | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the command's name in brackets and may hold anything; fields are counted after it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const startedAtTicks = fields[19];
    if (state === undefined || state === "Z" || state === "X") return undefined;
    return { mark: `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${startedAtTicks}` };
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): ProcessFacts | undefined {
  const env = { ...process.env, LC_ALL: "C" };
  const { stdout, exitCode } = Bun.spawnSync(["ps", "-o", "stat=,lstart=", "-p", String(pid)], { env });
  const [, state = "", mark] = /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout.toString()) ?? [];
  return exitCode !== 0 || mark === undefined || state.startsWith("Z") ? undefined : { mark };
}

/** Waits for a process to end; false when it still lives after `limitMs`. */
export async function hasEnded(pid: number, mark: string | undefined, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const facts = processFacts(pid);
    if (!facts || facts.mark !== mark) return true;
    if (performance.now() >= deadline) return false;
    await Bun.sleep(POLL_MS);
  }
}

const POLL_MS = 20;
