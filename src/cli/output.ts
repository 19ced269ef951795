import { RelayError } from "../lib/errors.ts";

/**
 * The one place that says on the terminal why a command failed, and what to do next. Returns the exit code: 2 for
 * wrong usage, else 1. Never a stack: what the relay does not understand itself is a bug, and says so.
 */
export function printFailure(error: unknown): number {
  if (error instanceof RelayError) {
    process.stderr.write(`plansocket: ${error.message}\n${error.hint === undefined ? "" : `  ${error.hint}\n`}`);
    return error.code === "usage" ? 2 : 1;
  }
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `plansocket: ${text}\n  This is a bug in the relay; please report it with the command you ran.\n`,
  );
  return 1;
}

/** Talk goes to stderr, so that stdout holds data only. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Data for scripts and pipes. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** citty colours its help wherever it goes; in a file or a pipe colours are noise. */
export function plainUnlessTerminal(text: string): string {
  // eslint-disable-next-line no-control-regex -- the escape character begins every colour
  const shown = process.stdout.isTTY ? text : text.replace(/\u001b\[[0-9;]*m/g, "");
  return `${shown.trimEnd().replace(/[ \t]+$/gm, "")}\n`;
}
