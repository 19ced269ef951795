import type { Environment } from "../../lib/environment.ts";
import { realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Loaded } from "../../config/load.ts";
import { authFile as authFileOf, configFile } from "../../config/paths.ts";
import {
  BACKGROUND_VARIABLE,
  fetchLimit,
  otherVariables,
  variablesOf,
  type ExplicitSettings,
} from "../background/explicit-settings.ts";
import { RelayError } from "../../lib/errors.ts";
import { stopLimitMs } from "../background/end.ts";
import { backgroundPaths } from "../background/paths.ts";
import { selfCommand } from "../background/process.ts";
import { stablePath } from "./stable-path.ts";

/** What every system's description of the service is made of. */
export interface ServicePlan {
  /** The program, with the file that Bun runs when it is a checkout. */
  readonly command: readonly string[];
  /** Settings, keys among them; mode 0600. Descriptions only name this file: others may read those. */
  readonly envFile: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly stateDir: string;
  readonly stateFile: string;
  readonly logFile: string;
  /** How long it may take to stop by itself. */
  readonly stopLimitMs: number;
  /** Folders that have to be written: renewed logins, state. */
  readonly writableFolders: readonly string[];
}

/** Where a service's settings are kept. */
export function envFilePath(env: Environment): string {
  return join(dirname(configFile(env)), "service.env");
}

export function servicePlan(loaded: Loaded, given: ExplicitSettings, instance: string, env: Environment): ServicePlan {
  const paths = backgroundPaths(loaded, env);
  const authFile = authFileOf(env, loaded.settings);
  return {
    command: stableCommand(env),
    envFile: envFilePath(env),
    variables: {
      ...otherVariables(env),
      ...fetchLimit(loaded.settings.maxRequests),
      ...variablesOf(given),
      PLANSOCKET_STATE_DIR: paths.stateDir,
      // /health shows it, so that install and status know this service from another relay on its port.
      [BACKGROUND_VARIABLE]: instance,
    },
    stateDir: paths.stateDir,
    stateFile: paths.stateFile,
    logFile: paths.logFile,
    stopLimitMs: stopLimitMs(loaded.settings),
    writableFolders: [
      ...new Set([
        paths.stateDir,
        dirname(authFile),
        dirname(target(authFile)),
        ...(loaded.settings.unix === undefined ? [] : [dirname(resolve(loaded.settings.unix))]),
      ]),
    ],
  };
}

/** A checkout is run by the Bun of now; an executable by the path that outlives its upgrades. */
function stableCommand(env: Environment): string[] {
  const [program = "", ...words] = selfCommand();
  refuseCache(program);
  return words.length > 0 ? [program, ...words] : [stablePath(program, env["PATH"] ?? "")];
}

/** Exported for tests. Throws `service_failed` for a copy that npx keeps for a while only. */
export function refuseCache(program: string): void {
  if (!/[\\/]_npx[\\/]/.test(program)) return;
  throw new RelayError("service_failed", "This copy lies in the cache of npx, which npm empties.", {
    hint: "Install it first: `npm install --global plansocket`, then `plansocket service install`.",
  });
}

/** A login may be a link into another folder, and a renewed one is written there. */
function target(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
