import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ClientSetup, Target } from "./client.ts";
import { CLIENTS } from "./index.ts";
import { inHome } from "./place.ts";

/** What `setup` without a client shows of one. */
export interface ClientState {
  readonly name: string;
  readonly title: string;
  readonly isFound: boolean;
  readonly isSetUp: boolean;
}

/** Every client that setup knows: whether it is on this machine, and whether setup wrote its files. */
export function clientStates(target: Target, stateFolder: string): ClientState[] {
  return Object.entries(CLIENTS)
    .filter(([name]) => name !== "env")
    .map(([name, client]) => ({
      name,
      title: client.title,
      isFound: isFound(client, target),
      isSetUp: existsSync(join(stateFolder, "setup", name, "journal.json")),
    }));
}

/** Its program is on the PATH, or it has left files of its own. */
function isFound(client: ClientSetup, target: Target): boolean {
  if (client.command !== undefined && Bun.which(client.command, { PATH: target.env["PATH"] ?? "" }) !== null)
    return true;
  try {
    const home = inHome(target);
    // Every account has a home folder: a file right in it says something only when it is there.
    const hasFolder = (path: string) => dirname(path) !== home && existsSync(dirname(path));
    return client.plan(target).files.some(({ path }) => existsSync(path) || hasFolder(path));
  } catch {
    return false;
  }
}
