import type { Settings } from "../../config/settings.ts";
import { RelayError } from "../../lib/errors.ts";
import type { BackgroundPaths } from "./paths.ts";
import { hasEnded } from "./process.ts";
import { forgetPid, probe } from "./probe.ts";
import type { State } from "./state.ts";
import { errorCode } from "../../lib/thrown.ts";

/** Beyond the time that a relay's settings give it, so that it usually ends by itself. */
const BEYOND_MS = 10_000;

/** How long a relay with these settings takes to stop at most. */
export function stopLimitMs({ stopDelay, drainTimeout }: Pick<Settings, "stopDelay" | "drainTimeout">): number {
  return (stopDelay + drainTimeout) * 1000 + BEYOND_MS;
}

/** From the second signal a relay needs only the time to say goodbye to its streams. */
const CUT_LIMIT_MS = 6000;
const CUT_SIGNALS = 6;
const KILL_LIMIT_MS = 5000;

export type End = "was not running" | "finished" | "cut" | "killed";

/**
 * Ends the process of the last start and no other: one signal lets requests finish, a second one after `limitMs` cuts
 * them, and what is left after that is killed. Throws `stop_failed` when it may not be touched.
 */
export async function end(state: State | undefined, paths: BackgroundPaths, limitMs: number): Promise<End> {
  const seen = await probe(state);
  if (seen.kind === "stopped") {
    await forgetPid(paths);
    return "was not running";
  }
  const { pid } = seen;
  const mark = state?.process_mark;
  const cut = { signal: "SIGTERM", limitMs: CUT_LIMIT_MS / CUT_SIGNALS, end: "cut" } as const;
  const steps = [
    { signal: "SIGTERM", limitMs, end: "finished" } as const,
    // More than once: a signal that comes before the one ahead of it was heard is heard with it, as one.
    ...Array.from({ length: CUT_SIGNALS }, () => cut),
    { signal: "SIGKILL", limitMs: KILL_LIMIT_MS, end: "killed" } as const,
  ];
  for (const step of steps) {
    send(pid, step.signal);
    // The mark is looked at in every round: a number that changed hands ends the wait, and no signal follows.
    if (await hasEnded(pid, mark, step.limitMs)) {
      await forgetPid(paths);
      return step.end;
    }
  }
  throw new RelayError("stop_failed", `The relay (pid ${pid}) does not end.`, {
    hint: "The system holds it, as on a disk that does not answer; look at it with `ps`.",
  });
}

function send(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return;
    throw new RelayError("stop_failed", `The relay (pid ${pid}) belongs to another user.`, {
      hint: "Stop it as that user.",
      cause: error,
    });
  }
}
