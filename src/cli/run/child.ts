import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { Environment } from "../../lib/environment.ts";
import { RelayError } from "../../lib/errors.ts";
import { underCallersUmask } from "../umask.ts";
import { errorCode } from "../../lib/thrown.ts";

/** As shells say it. */
export const EXIT_NOT_FOUND = 127;
const EXIT_NOT_EXECUTABLE = 126;

/** Sent on to the command; the two that a terminal's keys send are told apart below. */
const FORWARDED = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
const FROM_KEYS = ["SIGINT", "SIGQUIT"] as const;

/** The file that a shell would run, or the exit code with which it would give up. */
export function findCommand(command: string, env: Environment): string | 126 | 127 {
  const path = Bun.which(command, { PATH: env["PATH"] ?? "", cwd: process.cwd() });
  if (path !== null) return path;
  const folders = /[\\/]/.test(command) ? [""] : (env["PATH"] ?? "").split(":");
  const isThere = folders.some((folder) => existsSync(join(folder, command)));
  return isThere ? EXIT_NOT_EXECUTABLE : EXIT_NOT_FOUND;
}

/** Runs the command on this terminal until it ends. Resolves to its exit code, 128 + n where signal n ended it. */
export async function runChild(path: string, args: readonly string[], env: Environment): Promise<number> {
  let child: Subprocess | undefined;
  // Listening begins before the command does: a signal in between would end the relay and leave the command behind.
  const early: NodeJS.Signals[] = [];
  const stopListening = onSignals((name) => {
    if (child) child.kill(name);
    else early.push(name);
  });
  try {
    child = spawn(path, args, env);
    for (const name of early) child.kill(name);
    const code = await child.exited;
    const numbers: Readonly<Record<string, number>> = constants.signals;
    return child.signalCode === null ? code : 128 + (numbers[child.signalCode] ?? 0);
  } finally {
    stopListening();
  }
}

function onSignals(act: (name: NodeJS.Signals) => void): () => void {
  const listeners = [...FORWARDED, ...FROM_KEYS].map((name) => {
    // A key press on the terminal reaches the command by itself; sent on, it would arrive twice.
    const isFromKeys = (FROM_KEYS as readonly string[]).includes(name) && process.stdin.isTTY;
    const listener = () => {
      if (!isFromKeys) act(name);
    };
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  return () => {
    for (const off of listeners) off();
  };
}

function spawn(path: string, args: readonly string[], env: Environment) {
  try {
    return underCallersUmask(() =>
      Bun.spawn([path, ...args], { env, stdin: "inherit", stdout: "inherit", stderr: "inherit" }),
    );
  } catch (cause) {
    const code = errorCode(cause) ?? "unknown error";
    throw new RelayError("start_failed", `${path} could not be started (${code}).`, {
      cause,
      hint: "Is it a program for this system?",
    });
  }
}
