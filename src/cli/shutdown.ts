import type { Settings } from "../config/settings.ts";
import type { Log } from "../lib/log.ts";
import type { RunningRelay } from "../server/serve.ts";
import { say } from "./output.ts";

/** What a running relay's command does on signals. */
export interface Habits {
  /** How long all is answered after SIGTERM while /ready already fails. */
  readonly delayMs: number;
  /** How long requests that are under way may go on after that. */
  readonly drainMs: number;
  /** On SIGHUP. */
  readonly reload: () => void;
  /** What must not be broken off even by a second signal. */
  readonly settle: () => Promise<void>;
}

/** How these settings say to stop. */
export function stopTimes(settings: Pick<Settings, "stopDelay" | "drainTimeout">): Pick<Habits, "delayMs" | "drainMs"> {
  return { delayMs: settings.stopDelay * 1000, drainMs: settings.drainTimeout * 1000 };
}

/** Serves until SIGINT or SIGTERM, then drains; a second signal stops at once. Resolves to the exit code. */
export function runUntilStopped(relay: RunningRelay, log: Log, habits: Habits): Promise<number> {
  const { delayMs, drainMs, reload, settle } = habits;
  const { promise, resolve } = Promise.withResolvers<number>();
  // Only a relay in the background or of a service was given a log file.
  if (process.env["PLANSOCKET_LOG_FILE"]) {
    void import("./background/child.ts").then((module) => module.settleDown(relay, log, process.env));
  }
  let isStopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (isStopping) {
      await relay.stop();
      await settle();
      resolve(0);
      return;
    }
    isStopping = true;
    relay.retire();
    // Somebody at a terminal has no load balancer to wait for.
    if (signal === "SIGTERM" && delayMs > 0) {
      log.info("The relay is about to stop: /ready fails, and requests are answered for now.", {
        seconds: delayMs / 1000,
      });
      await Bun.sleep(delayMs);
    }
    const running = relay.activeRequests();
    if (running > 0)
      say(`Stopping after ${running} running request${running === 1 ? "" : "s"}; once more to stop at once.`);
    const isDrained = await relay.drain(drainMs);
    if (!isDrained) {
      log.warn("Requests were still running after the time to finish; they were cut.");
      await relay.stop();
    }
    await settle();
    resolve(0);
  };
  const onSignal = (signal: NodeJS.Signals) => void stop(signal);
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  // A closed terminal is no reason to stop serving others; whoever wants that sends SIGTERM.
  process.on("SIGHUP", reload);
  return promise;
}
