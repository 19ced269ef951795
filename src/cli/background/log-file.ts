import { constants, copyFileSync, existsSync, fstatSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { open, readFile } from "node:fs/promises";

/** Size at which a log is put aside. */
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
/** Older logs that stay, as `.1` (the newest) to `.3`. */
const OLDER_LOGS = 3;
const CHECK_MS = 10_000;
const FOLLOW_MS = 200;

/**
 * Puts a log aside and empties it. Only for the process that writes it, or when none does: the copy and the emptying
 * happen without a pause, so no line falls between them. The file stays the same one, because standard error cannot be
 * pointed elsewhere from inside; it has to be open for appending.
 */
export function rotateIfLarge(path: string, limitBytes: number = LOG_LIMIT_BYTES): boolean {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts || facts.size < limitBytes) return false;
  for (let number = OLDER_LOGS - 1; number >= 1; number -= 1) {
    if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`);
  }
  // Whoever follows the log takes a new `.1` for the sign of a rotation, so it appears whole.
  rmSync(`${path}.new`, { force: true });
  copyFileSync(path, `${path}.new`, constants.COPYFILE_EXCL);
  renameSync(`${path}.new`, `${path}.1`);
  truncateSync(path, 0);
  return true;
}

/** Keeps the log that this process's standard error goes to small. Does nothing when it goes elsewhere. */
export function keepLogSmall(path: string, limitBytes: number = LOG_LIMIT_BYTES): () => void {
  const timer = setInterval(() => {
    try {
      if (fstatSync(2).ino === statSync(path).ino) rotateIfLarge(path, limitBytes);
    } catch {
      // A full or vanished disk is no reason to stop serving; the next look may succeed.
    }
  }, CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** How far a log was read. */
export interface LogCursor {
  readonly offset: number;
  /** Tells one rotation from the next: the inode of the newest older log. */
  readonly aside: number;
}

/** The last lines of a log, reaching back into older ones ("" when there is none), and where to read on. */
export async function lastLines(path: string, count: number): Promise<{ text: string; cursor: LogCursor }> {
  const aside = inodeOf(`${path}.1`);
  const newest = await readFile(path).catch(() => Buffer.alloc(0));
  let lines = linesOf(newest.toString());
  for (let number = 1; number <= OLDER_LOGS && lines.length < count; number += 1) {
    lines = [...linesOf(await readFile(`${path}.${number}`, "utf8").catch(() => "")), ...lines];
  }
  const last = count === 0 ? [] : lines.slice(-count);
  return { text: last.join(""), cursor: { offset: newest.byteLength, aside } };
}

/** Lines with their ends; a last one may still be without. */
function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/).filter((line) => line !== "");
}

/** What a log says after `offset` bytes. */
export async function textAfter(path: string, offset: number): Promise<string> {
  return new TextDecoder().decode(await bytesAfter(path, offset));
}

/** Follows a log from where it was read to until `signal`, also when it is put aside or begins anew. */
export async function followLog(
  path: string,
  cursor: LogCursor,
  write: (bytes: Uint8Array) => void,
  signal: AbortSignal,
  everyMs: number = FOLLOW_MS,
): Promise<void> {
  let { offset, aside } = cursor;
  let isSettling = false;
  for (; !signal.aborted; await Bun.sleep(everyMs)) {
    const newest = inodeOf(`${path}.1`);
    if (newest !== aside) {
      // Between the copy and the emptying both files say the same; a round later they do not.
      isSettling = !isSettling;
      if (isSettling) continue;
      write(await bytesAfter(`${path}.1`, offset));
      aside = newest;
      offset = 0;
    }
    // Emptied by hand; or put aside since the look above, which the next round sees.
    if (sizeOf(path) < offset) {
      if (inodeOf(`${path}.1`) === aside) offset = 0;
      continue;
    }
    const bytes = await bytesAfter(path, offset);
    if (bytes.byteLength === 0) continue;
    offset += bytes.byteLength;
    write(bytes);
  }
}

async function bytesAfter(path: string, offset: number): Promise<Uint8Array> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return new Uint8Array();
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.max(0, size - offset));
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}
