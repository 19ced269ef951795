import { homedir, userInfo } from "node:os";
import { dirname } from "node:path";
import { loadSettings, type Loaded } from "../../config/load.ts";
import { configFile } from "../../config/paths.ts";
import type { BackgroundContext } from "../background/context.ts";
import { BACKGROUND_VARIABLE } from "../background/explicit-settings.ts";
import { relayAt, type RelayFacts } from "../relay-at.ts";
import { readEnvFile } from "./env-file.ts";
import { launchd } from "./launchd.ts";
import type { ServiceManager, Session } from "./manager.ts";
import { listeningUrl } from "../own-relay.ts";
import { envFilePath } from "./plan.ts";
import { outputOf } from "./steps.ts";
import { SANDBOX_PROBE, systemd } from "./systemd.ts";
import { scheduledTask } from "./task.ts";

/** What starts programs on this system. */
export function managerHere({ env, paths }: BackgroundContext): ServiceManager {
  const home = env["HOME"] || homedir();
  if (process.platform === "win32") return scheduledTask(paths.stateDir, userInfo().username);
  if (process.platform === "darwin") return launchd(home, process.getuid?.() ?? 0);
  // The relay's own folder lies in the folder for configuration, beside systemd's.
  return systemd(dirname(dirname(configFile(env))), hasSandbox());
}

/** The session that does not answer though its tool is there: in containers, `su`, cron, WSL without systemd. */
export function missingSession({ session }: ServiceManager): Session | undefined {
  if (!session || Bun.which(session.probe[0] ?? "") === null) return undefined;
  return outputOf(session.probe) === undefined ? session : undefined;
}

function hasSandbox(): boolean {
  const hasManager = outputOf(["systemctl", "--user", "show", "--property=Version"]) !== undefined;
  return !hasManager || outputOf(SANDBOX_PROBE) !== undefined;
}

/** The service as it was installed last, and whether it answers. */
export interface Installed {
  readonly url: string;
  readonly relay: RelayFacts | undefined;
}

/** `variables` are those of the service's environment file. */
export async function installed(variables: Readonly<Record<string, string>>): Promise<Installed> {
  const url = urlOf(await loadSettings({}, { HOME: process.env["HOME"] || homedir(), ...variables }));
  const relay = await relayAt(url);
  return { url, relay: relay?.instance === variables[BACKGROUND_VARIABLE] ? relay : undefined };
}

/** Where a relay with these settings listens. */
export function urlOf({ settings }: Loaded): string {
  return listeningUrl(settings);
}

/** The environment file of this user's service. */
export function savedVariables({ env }: BackgroundContext): Promise<Record<string, string>> {
  return readEnvFile(envFilePath(env));
}

/** The process of the running service, as its manager tells; undefined when it does not run or nobody says. */
export function pidOf(manager: ServiceManager): number | undefined {
  const pid = Number(manager.pid === undefined ? 0 : (outputOf(manager.pid) ?? 0));
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
