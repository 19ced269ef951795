import { readFileSync, rmSync } from "node:fs";
import type { Environment } from "../../lib/environment.ts";
import type { Log } from "../../lib/log.ts";
import type { RunningRelay } from "../../server/serve.ts";
import { BACKGROUND_VARIABLE } from "./explicit-settings.ts";
import { keepLogSmall } from "./log-file.ts";
import { processFacts } from "./process.ts";
import { loadState, saveState } from "./state.ts";

/** What a relay in the background owes to `start`, `status` and `logs`; nothing for one in the foreground. */
export async function settleDown(relay: RunningRelay, log: Log, env: Environment): Promise<void> {
  const { PLANSOCKET_LOG_FILE: logFile, PLANSOCKET_STATE_FILE: stateFile, PLANSOCKET_PID_FILE: pidFile } = env;
  if (logFile) keepLogSmall(logFile);
  if (env[BACKGROUND_VARIABLE] !== relay.instanceId || !stateFile || !pidFile) return;
  process.once("exit", () => removeOwnPid(pidFile));
  try {
    await announce(relay, stateFile);
  } catch (error) {
    log.error("The state file could not be written.", { file: stateFile, reason: String(error) });
  }
}

async function announce(relay: RunningRelay, stateFile: string): Promise<void> {
  const state = await loadState(stateFile);
  if (state?.instance !== relay.instanceId) return;
  await saveState(stateFile, {
    ...state,
    pid: process.pid,
    process_mark: processFacts(process.pid)?.mark,
    url: relay.url,
    started_at: new Date().toISOString(),
  });
}

/** A later relay may have written its own number there. */
function removeOwnPid(path: string): void {
  try {
    if (readFileSync(path, "utf8").trim() === String(process.pid)) rmSync(path, { force: true });
  } catch {
    // It is gone already.
  }
}
