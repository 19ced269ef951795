import { renameSync, statSync } from "node:fs";
import { open, readdir, readlink, realpath, stat, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { errorCode } from "./thrown.ts";

/** A write takes milliseconds: a temporary file older than this is a killed process's. */
const LEFTOVER_AGE_MS = 10_000;
/** As many as Linux follows. */
const MOST_LINKS = 40;

/**
 * Replaces a file in one step: readers see the old content or the new one, never a part, also after a crash. The
 * temporary file lies beside the target (a rename does not cross file systems); a symlink stays one, its target is
 * replaced or made. `mode` is set whatever the umask, and the owner stays who it was where this user may see to that.
 * `beforeRename` gets the finished temporary file; when it throws, the target stays as it was. Throws the error of the file system. Not `Bun.write`: that ignores the mode.
 */
export async function writeAtomically(
  path: string,
  content: string | Uint8Array,
  mode: number,
  beforeRename?: (temporary: string) => Promise<void> | void,
): Promise<void> {
  const target = await endOf(path);
  const folder = dirname(target);
  const prefix = `.${basename(target)}.`;
  await sweepLeftovers(folder, prefix);
  const temporary = join(folder, `${prefix}${process.pid}.${crypto.randomUUID()}.tmp`);
  const file = await open(temporary, "wx", mode);
  try {
    try {
      await setMode(file, mode);
      await keepOwner(file, target);
      await file.writeFile(content);
      await syncFile(file);
    } finally {
      await file.close();
    }
    const checked = beforeRename?.(temporary);
    if (checked) await checked;
    // Not awaited: nothing of this process can come between the check and the rename, others hardly.
    renameSync(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

/**
 * Replaces a file in one step where the file system allows that, and overwrites it in place otherwise: a folder without
 * write permission, a file that is mounted by itself, a rename that fails for any other reason. `check` runs before the
 * content changes; an error that `isFinal` names ends the attempt. Throws the first error of the file system.
 */
export async function replaceOrOverwrite(
  path: string,
  text: string,
  mode: number,
  check: () => void = () => {},
  isFinal: (error: unknown) => boolean = () => false,
): Promise<void> {
  try {
    await writeAtomically(path, text, mode, check);
  } catch (error) {
    if (isFinal(error)) throw error;
    await overwrite(path, text, mode, check).catch((second: unknown) => {
      throw isFinal(second) ? second : error;
    });
  }
}

/**
 * Overwrites a file in place. One write, never shorter than what was there, so that a process that dies leaves no half
 * of either; the blanks that fill it up are cut off afterwards. Where the disk takes only a part, what was there is put
 * back.
 */
export async function overwrite(path: string, text: string, mode: number, check: () => void): Promise<void> {
  const file = await open(path, "r+");
  try {
    const bytes = Buffer.from(text);
    const before = await file.readFile();
    const filled = Buffer.concat([bytes, Buffer.alloc(Math.max(0, before.length - bytes.length), " ")]);
    // Private before it holds the new content; a file of another owner keeps its mode.
    await file.chmod(mode).catch(() => {});
    check();
    try {
      await writeAll(file, filled);
      await syncFile(file);
    } catch (error) {
      await writeAll(file, before).catch(() => {});
      await file.truncate(before.length).catch(() => {});
      throw error;
    }
    if (before.length > bytes.length) await file.truncate(bytes.length);
  } finally {
    await file.close();
  }
}

/** Errors of calls that a file system does not have: some network and FUSE file systems know no fsync or fchmod. */
const UNSUPPORTED = new Set(["EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOTTY"]);

/** Calls fsync where the file system has it. Throws all other errors: after EIO or ENOSPC the content is not kept. */
export async function syncFile(file: Pick<FileHandle, "sync">): Promise<void> {
  await file.sync().catch((error: unknown) => throwUnless(error, UNSUPPORTED));
}

/** Calls fchmod where the file system has it; FAT and SMB mounts refuse it with EPERM. */
async function setMode(file: FileHandle, mode: number): Promise<void> {
  await file.chmod(mode).catch((error: unknown) => throwUnless(error, new Set([...UNSUPPORTED, "EPERM"])));
}

function throwUnless(error: unknown, expected: ReadonlySet<string>): void {
  if (!expected.has(errorCode(error) ?? "")) throw error;
}

/** From the file's beginning. A disk that gets full takes a part first, and refuses only the rest. */
async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, at);
    at += bytesWritten;
  }
}

/** Where a path leads in the end, also where nothing is there yet. */
export async function endOf(path: string): Promise<string> {
  let end = path;
  for (let links = 0; links < MOST_LINKS; links += 1) {
    const real = await realpath(end).catch(() => undefined);
    if (real !== undefined) return real;
    const next = await readlink(end).catch(() => undefined);
    if (next === undefined) return end;
    end = resolve(dirname(end), next);
  }
  return path;
}

/** What root writes for somebody else, as with sudo, stays theirs. */
async function keepOwner(file: FileHandle, target: string): Promise<void> {
  const before = await stat(target).catch(() => undefined);
  if (!before) return;
  const now = await file.stat();
  if (before.uid !== now.uid || before.gid !== now.gid) await file.chown(before.uid, before.gid).catch(() => {});
}

/** What a killed process left may hold a token that still works, so it does not stay. Best effort. */
async function sweepLeftovers(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(prefix) || !name.endsWith(".tmp")) continue;
    const leftover = join(folder, name);
    const facts = await stat(leftover).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > LEFTOVER_AGE_MS) await unlink(leftover).catch(() => {});
  }
}

/** Makes the rename itself durable; some file systems do not allow it on folders, and then it has to do without. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close().catch(() => {});
}

/**
 * Changes whenever the file does, without reading it; "none" when there is none. Synchronous: the kernel answers in a
 * microsecond, while the way through the thread pool takes twenty and lets others go first.
 */
export function fileVersion(path: string): string {
  try {
    const facts = statSync(path, { throwIfNoEntry: false });
    return facts ? `${facts.ino}:${facts.mtimeMs}:${facts.size}` : "none";
  } catch {
    return "none";
  }
}
