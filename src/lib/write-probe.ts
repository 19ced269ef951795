import { open, stat, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { endOf, syncFile } from "./atomic-file.ts";
import { asError, errorCode } from "./thrown.ts";

/** Room for what is to be written: a login takes a few thousand bytes and may grow. */
const SPARE_BYTES = 16 * 1024;

/**
 * Proves that `replaceOrOverwrite` would succeed on a path now, without touching the file: a temporary file of the
 * file's size and 16 KiB more is written beside it and removed; where that fails, the file must open for writing on a
 * file system with that much room. Throws the error of the file system.
 */
export async function proveWritable(path: string): Promise<void> {
  const target = await endOf(path);
  const size = ((await stat(target).catch(() => undefined))?.size ?? 0) + SPARE_BYTES;
  try {
    await writeTemporary(target, size);
  } catch (error) {
    // A quota does not show in the free space of the file system.
    if (errorCode(error) === "EDQUOT") throw error;
    await proveOverwritable(target, size).catch(() => Promise.reject(asError(error)));
    return;
  }
  await assertReplaceable(target);
}

/** Named like the temporary files of `writeAtomically`, which removes what a killed process left. */
async function writeTemporary(target: string, size: number): Promise<void> {
  const path = join(dirname(target), `.${basename(target)}.${process.pid}.${crypto.randomUUID()}.tmp`);
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(Buffer.alloc(size, " "));
    await syncFile(file);
  } finally {
    await file.close();
    await unlink(path).catch(() => {});
  }
}

async function proveOverwritable(target: string, size: number): Promise<void> {
  await (await open(target, "r+")).close();
  const { bavail, bsize } = await statfs(target);
  if (bavail * bsize < size) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
}

/**
 * A file in a writable folder may still resist a rename: one that is immutable, or mounted by itself and read-only.
 * Neither opens for writing. A file without write permission does not either (EACCES), but a rename replaces it.
 */
async function assertReplaceable(target: string): Promise<void> {
  try {
    await (await open(target, "r+")).close();
  } catch (error) {
    const code = errorCode(error);
    if (code !== "ENOENT" && code !== "EACCES") throw error;
  }
}
