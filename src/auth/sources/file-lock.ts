import { takeLock } from "../../lib/lock-file.ts";
import type { LoginLock } from "./source.ts";

/** A lock between processes of one machine. A folder that cannot be written has none; the file in it may still be writable. */
export async function fileLock(path: () => Promise<string>, sleep: (ms: number) => Promise<void>): Promise<LoginLock> {
  const confirm = () => Promise.resolve();
  try {
    return { confirm, release: await takeLock(await path(), { sleep }) };
  } catch (failure) {
    return { confirm, release: () => Promise.resolve(), failure };
  }
}
