import { lstatSync, unlinkSync } from "node:fs";
import { resolve } from "node:path";
import { RelayError } from "../lib/errors.ts";
import { fileFailure } from "../lib/file-failure.ts";
import { takeLock } from "../lib/lock-file.ts";
import { errorCode } from "../lib/thrown.ts";

/** A listener that is there answers a connection at once, or keeps it waiting because it is busy. */
const PROBE_MS = 1000;

/** What is at the place of a socket: nothing, one that nobody listens on any more, or one that somebody does. */
export type SocketState = "free" | "left behind" | "in use";

/** Looks without a change. Throws `start_failed` for a link, which is not followed, and for whatever is no socket. */
export async function socketState(path: string): Promise<SocketState> {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (!facts) return "free";
  if (!facts.isSocket()) {
    const what = facts.isSymbolicLink() ? "is a symbolic link, and is not followed" : "is there, and is no socket";
    throw new RelayError("start_failed", `${path} ${what}.`, {
      hint: "Remove it, or name another path with --unix.",
    });
  }
  const { promise, resolve: tell } = Promise.withResolvers<SocketState>();
  const connection = process.getBuiltinModule("node:net").connect(path, () => tell("in use"));
  connection.on("error", (error) => tell(errorCode(error) === "ECONNREFUSED" ? "left behind" : "in use"));
  connection.setTimeout(PROBE_MS, () => tell("in use"));
  return promise.finally(() => connection.destroy());
}

/**
 * Makes the place free for a relay, one process at a time: a socket that a killed one left is removed. Resolves to what
 * lets others look again, to be called once the relay listens. Throws `start_failed` where somebody listens.
 */
export async function takeSocketPlace(path: string): Promise<() => Promise<void>> {
  if (process.platform === "win32") {
    throw new RelayError("start_failed", "Unix sockets are not for Windows.", { hint: "Leave --unix." });
  }
  const release = await takeLock(`${path}.lock`).catch((error: unknown) => {
    throw fileFailure(error, { code: "start_failed", path, instead: "or name another path with --unix" }) ?? error;
  });
  try {
    const state = await socketState(path);
    if (state === "in use") {
      throw new RelayError("start_failed", `Another program listens on ${path}.`, {
        hint: "Stop it (`plansocket stop`), or name another path with --unix.",
      });
    }
    if (state === "left behind") unlinkSync(path);
    return release;
  } catch (error) {
    await release();
    throw error;
  }
}

/** The address of a relay on a socket, as in `unix:/run/relay.sock`, with its base path behind another colon. */
export function socketUrl(path: string, basePath = ""): string {
  return `unix:${resolve(path)}${basePath === "" ? "" : `:${basePath}`}`;
}
