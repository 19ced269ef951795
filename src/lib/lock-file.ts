import { linkSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { open, readFile, stat, unlink, type FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { errorCode } from "./thrown.ts";

/** A holder usually does one network call; one that is older has died or hangs. */
const STALE_MS = 60_000;
const POLL_MS = 50;
/** Writing the holder's name into a new lock takes far less. */
const EMPTY_MS = 1000;

export interface LockOptions {
  /** Age at which a lock counts as left behind although its holder lives; a minute when not given. */
  readonly staleMs?: number;
  /** A clock that nobody sets and that stands still while the machine sleeps. */
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/**
 * Takes a lock that other processes respect, waiting for the one who has it. Left over by a process that died it is
 * taken over. Returns how to give it back. Throws the error of the file system when the folder cannot be written.
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<() => Promise<void>> {
  const now = options.now ?? (() => performance.now());
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  const staleMs = options.staleMs ?? STALE_MS;
  const token = `${process.pid} ${crypto.randomUUID()} ${hostname()}`;
  const deadline = now() + 2 * staleMs;
  let seen = { held: "", sinceMs: now() };
  for (;;) {
    if (await create(path, token)) return () => release(path, token);
    const held = await readFile(path, "utf8").catch(() => "");
    if (held !== seen.held) seen = { held, sinceMs: now() };
    if ((await isAbandoned(path, held, now() - seen.sinceMs, staleMs)) && takeAway(path, held)) continue;
    if (now() > deadline) throw new Error(`the lock ${path} is held for too long`);
    await sleep(POLL_MS);
  }
}

async function create(path: string, token: string): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(path, "wx", 0o600);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
  try {
    await file.writeFile(token);
    return true;
  } catch (error) {
    // A full disk has room for the name alone; it would keep others waiting.
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}

/** True when its holder is gone or has had it for longer than its work can take. `seenMs`: since it was first met. */
async function isAbandoned(path: string, held: string, seenMs: number, staleMs: number): Promise<boolean> {
  if (seenMs > staleMs) return true;
  const facts = await stat(path).catch(() => undefined);
  if (!facts) return false;
  const [holder = "", , host = hostname()] = held.split(" ");
  // An empty lock is being written right now, or its writer died in between.
  if (holder === "") return seenMs > EMPTY_MS;
  // File times are the system's own; an injected clock has no meaning for them.
  const isOld = Date.now() - facts.mtimeMs > staleMs;
  // Containers may share the folder, but not their process ids: there only age tells.
  if (host !== hostname()) return isOld;
  // It also looks old when the clock was set or the machine slept: then its holder gets the time to finish.
  return !isAlive(Number(holder)) || (isOld && seenMs > staleMs / 2);
}

/**
 * Removes the lock that was found abandoned. Of two who found it, the slower one may meet the lock that the faster one
 * has taken since: so it is looked at again without a pause, renamed rather than deleted, and given back if it was that.
 * False when it was not removed.
 */
function takeAway(path: string, abandoned: string): boolean {
  const aside = `${path}.${process.pid}.${crypto.randomUUID()}`;
  try {
    if (readFileSync(path, "utf8") !== abandoned) return false;
    renameSync(path, aside);
  } catch {
    return false; // The other one was faster, or it is another user's.
  }
  try {
    if (readFileSync(aside, "utf8") === abandoned) return true;
    linkSync(aside, path);
    return false;
  } catch {
    return false; // A third one has a lock of its own there by now.
  } finally {
    unlinkSync(aside);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

async function release(path: string, token: string): Promise<void> {
  const held = await readFile(path, "utf8").catch(() => "");
  if (held === token) await unlink(path).catch(() => {});
}
