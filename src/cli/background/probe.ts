import { rm } from "node:fs/promises";
import { textIfFile } from "../../lib/private-file.ts";
import { relayAt, type RelayFacts } from "../relay-at.ts";
import type { BackgroundPaths } from "./paths.ts";
import { processFacts } from "./process.ts";
import type { State } from "./state.ts";

/** What has become of the process of the last start. */
export type Probe =
  | { readonly kind: "running"; readonly pid: number; readonly url: string; readonly relay: RelayFacts }
  /** The process lives but does not answer: it drains or hangs. */
  | { readonly kind: "silent"; readonly pid: number }
  | { readonly kind: "stopped" };

/**
 * A live process id proves nothing: the number may be another program's by now. It is ours when /health shows our
 * instance, or when the process began at the very moment that was written down.
 */
export async function probe(state: State | undefined): Promise<Probe> {
  if (state?.pid === undefined || state.url === undefined) return { kind: "stopped" };
  const { pid, url } = state;
  const facts = processFacts(pid);
  if (!facts || facts.mark !== state.process_mark) return { kind: "stopped" };
  const relay = await relayAt(url);
  if (relay?.instance === state.instance) return { kind: "running", pid, url, relay };
  // Without a mark nothing tells this process from a stranger.
  return facts.mark === undefined ? { kind: "stopped" } : { kind: "silent", pid };
}

/** The number in the pid file, whoever's it is by now. */
export async function pidIn(path: string): Promise<number | undefined> {
  const pid = Number(textIfFile(path).trim() || Number.NaN);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** Takes the pid file of a process that is gone away. */
export async function forgetPid(paths: Pick<BackgroundPaths, "pidFile">): Promise<void> {
  await rm(paths.pidFile, { force: true });
}
