import { RelayError } from "../../../lib/errors.ts";

/** The client's file cannot be read as what it should be; nothing is changed then. `line` and `column` count from 1. */
export function malformed(path: string, format: string, reason: string, line: number, column?: number): RelayError {
  const place = `line ${line}${column === undefined ? "" : `, column ${column}`}`;
  return new RelayError("setup_failed", `${path} is not valid ${format}: ${reason} (${place}). Nothing was changed.`, {
    hint: "Fix it or move it away, then try again.",
  });
}

/** The file is valid, but written in a way that a careful edit of its text does not reach. */
export function unreachable(path: string, what: string): RelayError {
  return new RelayError(
    "setup_failed",
    `${path} has ${what} in a form that setup does not edit. Nothing was changed.`,
    {
      hint: "Write that part out over several lines, as the client's documentation shows it, then try again.",
    },
  );
}

/**
 * The first line with which a text stops being valid: the one after the longest beginning that still is. For parsers
 * that do not say where they stopped.
 */
export function firstBadLine(text: string, isValid: (beginning: string) => boolean): number {
  const lines = text.split("\n");
  for (let count = lines.length - 1; count > 0; count -= 1) {
    if (isValid(lines.slice(0, count).join("\n"))) return count + 1;
  }
  return 1;
}

/** `\r\n` where the file uses it. */
export function lineEndOf(text: string): string {
  return /\r\n/.test(text) ? "\r\n" : "\n";
}
