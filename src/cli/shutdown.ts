import type { Log } from "../lib/log.ts";
import type { RunningRelay } from "../server/serve.ts";
import { say } from "./output.ts";

/** How long streams that are under way may go on after the first signal. */
const DRAIN_MS = 30_000;

/** What a running relay's command does on signals. */
export interface Habits {
  /** On SIGHUP. */
  readonly reload: () => void;
  /** What must not be broken off even by a second signal. */
  readonly settle: () => Promise<void>;
}

/** Serves until SIGINT or SIGTERM, then drains; a second signal stops at once. Resolves to the exit code. */
export function runUntilStopped(relay: RunningRelay, log: Log, { reload, settle }: Habits): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  // Only a relay in the background or of a service was given a log file.
  if (process.env["PLANSOCKET_LOG_FILE"]) {
    void import("./background/child.ts").then((module) => module.settleDown(relay, log, process.env));
  }
  let isStopping = false;
  const stop = async () => {
    if (isStopping) {
      await relay.stop();
      await settle();
      resolve(0);
      return;
    }
    isStopping = true;
    const running = relay.activeRequests();
    if (running > 0)
      say(`Stopping after ${running} running request${running === 1 ? "" : "s"}; once more to stop at once.`);
    const isDrained = await relay.drain(DRAIN_MS);
    if (!isDrained) {
      log.warn("Requests were still running after the time to finish; they were cut.");
      await relay.stop();
    }
    await settle();
    resolve(0);
  };
  const onSignal = () => void stop();
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  // A closed terminal is no reason to stop serving others; whoever wants that sends SIGTERM.
  process.on("SIGHUP", reload);
  return promise;
}
