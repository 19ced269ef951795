import { open, readFile, rename, stat, unlink } from "node:fs/promises";

/** A holder does one network call; one that is older has died or hangs. */
const STALE_MS = 60_000;
const POLL_MS = 50;

export interface LockOptions {
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/**
 * Takes a lock that other processes respect, waiting for the one who has it. Left over by a process that died it is
 * taken over. Returns how to give it back. Throws the error of the file system when the folder cannot be written.
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<() => Promise<void>> {
  const now = options.now ?? Date.now;
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  const token = `${process.pid} ${crypto.randomUUID()}`;
  const deadline = now() + 2 * STALE_MS;
  for (;;) {
    if (await create(path, token)) return () => release(path, token);
    if (await isAbandoned(path)) await takeAway(path);
    else if (now() > deadline) throw new Error(`the lock ${path} is held for too long`);
    else await sleep(POLL_MS);
  }
}

async function create(path: string, token: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    await file.writeFile(token);
    await file.close();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
}

/** True when its holder is gone or has had it for longer than any refresh takes. */
async function isAbandoned(path: string): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined);
  if (!facts) return false;
  // File times are the system's own; an injected clock has no meaning for them.
  const ageMs = Date.now() - facts.mtimeMs;
  if (ageMs > STALE_MS) return true;
  const holder = Number.parseInt(await readFile(path, "utf8").catch(() => ""), 10);
  // An empty lock is being written right now, or its writer died in between.
  return Number.isNaN(holder) ? ageMs > 1000 : !isAlive(holder);
}

/** A rename first: of two who find the lock abandoned, one gets it, and a fresh lock is never deleted by the other. */
async function takeAway(path: string): Promise<void> {
  const aside = `${path}.${process.pid}.${crypto.randomUUID()}`;
  await rename(path, aside).then(
    () => unlink(aside),
    () => {},
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

async function release(path: string, token: string): Promise<void> {
  const held = await readFile(path, "utf8").catch(() => "");
  if (held === token) await unlink(path).catch(() => {});
}
