import { say } from "./output.ts";

/** Signals that end a command by themselves, unless it listens. */
const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const underWay = new Set<Promise<unknown>>();

/**
 * Keeps the process alive while it spends the login's single-use refresh token: who stops a command then would lose the
 * login, as the old token is dead and the new one saved nowhere. The signal counts once that is over, half a minute at
 * most. Commands that listen to a signal themselves see to it on their own.
 */
export function deferSignals(spending: Promise<unknown>): void {
  const own = ENDING.filter((name) => process.listenerCount(name) === 0);
  let heard: NodeJS.Signals | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (heard === undefined) say("Stopping as soon as the renewed login is saved.");
    heard ??= name;
  };
  for (const name of own) process.on(name, onSignal);
  const over = spending
    .catch(() => {})
    .then(() => {
      underWay.delete(over);
      for (const name of own) process.off(name, onSignal);
      if (heard) process.kill(process.pid, heard);
    });
  underWay.add(over);
}

/** Resolves once no refresh token is being spent. */
export async function deferredWorkOver(): Promise<void> {
  await Promise.all(underWay);
}
