import { fstatSync, statSync, writeSync } from "node:fs";
import { devNull } from "node:os";
import { errorCode } from "../lib/thrown.ts";

/*
 * Where the program's words go. Node's streams are made when they are asked for: the first of them loads all that
 * streams can do, which costs milliseconds and a megabyte of a relay that has nothing to say on them.
 */

let stdoutStream: NodeJS.WriteStream | undefined;
let stderrStream: NodeJS.WriteStream | undefined;
let onStdoutError: (error: Error) => void = () => {};

/** Standard output, as a stream. */
export function stdout(): NodeJS.WriteStream {
  stdoutStream ??= process.stdout.on("error", (error) => onStdoutError(error));
  return stdoutStream;
}

/** What happens when standard output cannot be written. */
export function whenStdoutFails(handle: (error: Error) => void): void {
  onStdoutError = handle;
}

/** Standard error, as a stream. That nobody reads it ends nothing: a relay goes on serving without its log's reader. */
export function stderr(): NodeJS.WriteStream {
  stderrStream ??= process.stderr.on("error", () => {});
  return stderrStream;
}

/** True where standard error is a terminal; only a device that may be one has its stream asked. */
export function isStderrTerminal(): boolean {
  return isStderrDevice() && stderr().isTTY;
}

/** A few words on standard error, at once; behind all that its stream was given, if there is one. */
export function writeToStderr(text: string): void {
  if (stderrStream || isStderrDevice()) return void stderr().write(text);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(2, bytes, at);
    } catch (error) {
      // A pipe that does not wait, and is full for now.
      if (errorCode(error) === "EAGAIN") stderr().write(bytes.subarray(at));
      return;
    }
  }
}

/** False for files, pipes and /dev/null. */
function isStderrDevice(): boolean {
  if (process.platform === "win32") return true;
  try {
    const facts = fstatSync(2);
    return facts.isCharacterDevice() && facts.rdev !== statSync(devNull).rdev;
  } catch {
    return true;
  }
}
