import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { RelayError } from "./errors.ts";

// Windows has no O_NOFOLLOW; undefined counts as 0 where flags are joined.
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/**
 * Opens a file for this user alone: mode 0600 whatever the umask and whatever it was. Follows no link, which in a folder
 * that others may write could lead to any file of this user's. Throws `start_failed`, and the error of the file system.
 */
export function openPrivate(path: string, how: "append" | "replace"): number {
  assertPlainFile(path);
  const file = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | (how === "append" ? O_APPEND : O_TRUNC), 0o600);
  try {
    if (isOthers(fstatSync(file).uid)) throw notOurs(path);
    fchmodSync(file, 0o600);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Writes a whole file as `openPrivate` opens it. */
export function writePrivate(path: string, text: string): void {
  const file = openPrivate(path, "replace");
  try {
    writeFileSync(file, text);
  } finally {
    closeSync(file);
  }
}

/**
 * The text and the mode of a file that this user owns; undefined where there is none. Follows no link. Throws
 * `start_failed` for a link, a file of somebody else or one of more than `mostBytes`, and the error of the file system.
 */
export function readOwn(path: string, mostBytes: number): { text: string; mode: number } | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })) return undefined;
  assertPlainFile(path);
  const file = openSync(path, O_RDONLY | O_NOFOLLOW);
  try {
    const { uid, size, mode } = fstatSync(file);
    if (isOthers(uid)) throw notOurs(path);
    if (size > mostBytes) throw new RelayError("start_failed", `${path} is larger than any such file.`);
    return { text: readFileSync(file, "utf8"), mode: mode & 0o777 };
  } finally {
    closeSync(file);
  }
}

/**
 * Throws `start_failed` when there is a link in a file's place, or a pipe or device, which opening may wait on for ever
 * and whose mode is not this user's to set. The error for a folder is the file system's own.
 */
export function assertPlainFile(path: string): void {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (!facts || facts.isFile() || facts.isDirectory()) return;
  const what = facts.isSymbolicLink() ? "a symbolic link, and is not followed" : "no plain file";
  throw new RelayError("start_failed", `${path} is ${what}.`, {
    hint: "Remove it, or choose another folder with --state-dir.",
  });
}

/** The text of a plain file; "" for anything else, for none and for one that cannot be read. */
export function textIfFile(path: string): string {
  try {
    return statSync(path).isFile() ? readFileSync(path, "utf8") : "";
  } catch {
    return "";
  }
}

/** Throws `start_failed` when a folder belongs to another user, who could put anything in the place of what lies there. */
export function assertOwnFolder(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts && isOthers(facts.uid)) throw notOurs(path);
}

/** Windows has no such numbers, and no files that others own in a profile. */
function isOthers(uid: number): boolean {
  return process.getuid !== undefined && uid !== process.getuid();
}

function notOurs(path: string): RelayError {
  return new RelayError("start_failed", `${path} belongs to another user.`, {
    hint: "Choose a folder of your own with --state-dir.",
  });
}
