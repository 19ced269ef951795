import type { SettingsWarning } from "../config/load.ts";
import { RelayError } from "../lib/errors.ts";
import { fileFailure } from "../lib/file-failure.ts";
import { printableJson, printableText } from "../lib/printable.ts";
import { errorCode } from "../lib/thrown.ts";
import { expectedFailure } from "./expected-failure.ts";
import { isStderrTerminal, stderr, stdout, whenStdoutFails, writeToStderr } from "./streams.ts";
import { fitted } from "./wrap.ts";

/**
 * The one place that says on the terminal why a command failed, and what to do next. Returns the exit code: 2 for
 * wrong usage, else 1. Never a stack: only what no part of the relay expects is called a bug.
 */
export function printFailure(thrown: unknown): number {
  const isUnknown = !(thrown instanceof RelayError) || thrown.code === "internal_error";
  const cause = thrown instanceof RelayError ? thrown.cause : thrown;
  const error = isUnknown ? expectedFailure(cause) : thrown;
  if (error) {
    const next =
      error.hint ?? (error.code === "usage" ? "`--help` explains the command." : "`plansocket doctor` looks further.");
    say(`plansocket: ${error.message}\n  ${next}`);
    return error.code === "usage" ? 2 : 1;
  }
  const text = cause instanceof Error ? cause.message : String(cause);
  say(`plansocket: ${text}\n  This is a bug in plansocket; please report it with the command you ran.`);
  return 1;
}

/** Talk goes to stderr, so that stdout holds data only; wrapped to the terminal's width. */
export function say(text: string): void {
  const printable = printableText(text);
  writeToStderr(`${isStderrTerminal() ? fitted(printable, stderr()) : printable}\n`);
}

/** Talk that is to be copied, or is laid out already: in lines as they are. */
export function sayAsIs(text: string): void {
  writeToStderr(`${printableText(text)}\n`);
}

/** What was left aside of the settings. */
export function warnOf(warnings: readonly SettingsWarning[]): void {
  for (const { message, fix } of warnings) {
    say(fix === undefined ? `warning: ${message}` : `warning: ${message} It is ignored here.\n  ${fix}`);
  }
}

/** Data for people and pipes, in lines as they are. */
export function print(text: string): void {
  stdout().write(`${printableText(text)}\n`);
}

/** Sentences that are a command's result; wrapped to the terminal's width. */
export function printText(text: string): void {
  print(fitted(text, stdout()));
}

/** Data for scripts: indented, or one object a line. */
export function printJson(value: unknown, isOneLine = false): void {
  stdout().write(`${printableJson(JSON.stringify(value, undefined, isOneLine ? undefined : 2))}\n`);
}

/** Text with colors of our own, whose other parts are printable already. */
export function printStyled(text: string): void {
  stdout().write(`${text}\n`);
}

/** The one rule for colors and cursor movement: a terminal that knows them, and an owner who has not said no (no-color.org). */
export function hasColors(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  return isScreen(stream, env) && !env["NO_COLOR"];
}

/** A terminal that can be cleared and drawn on anew. */
export function isScreen(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && env["TERM"] !== undefined && env["TERM"] !== "" && env["TERM"] !== "dumb";
}

/**
 * Readers such as `head` close a pipe when they have enough (EPIPE). On stdout that ends the command as if it were done;
 * on stderr it ends nothing: a relay goes on serving without its log's reader. Output that is lost for another reason,
 * as on a full disk, is a failure. `beforeExit` is waited for.
 */
export function endWithReader(beforeExit: () => Promise<void>): void {
  whenStdoutFails((error) => {
    const code = errorCode(error) === "EPIPE" ? 0 : printFailure(fileFailure(error, { path: "The output" }) ?? error);
    void beforeExit().finally(() => process.exit(code));
  });
}
