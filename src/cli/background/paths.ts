import { join, resolve } from "node:path";
import type { Loaded } from "../../config/load.ts";
import { stateFolder } from "../../config/paths.ts";

/** Files of the background relay; absolute, because it does not run in the folder that it is started from. */
export interface BackgroundPaths {
  readonly stateDir: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly stateFile: string;
  /** Keys and proxy passwords, which the state file does not hold; mode 0600. */
  readonly secretFile: string;
  readonly lockFile: string;
}

/** Where they are by the settings. `kept` are the paths of the last start: they hold unless the settings say others. */
export function backgroundPaths(
  { settings, origins }: Loaded,
  env: Readonly<Record<string, string | undefined>>,
  kept: { readonly pid_file?: string; readonly log_file?: string } = {},
): BackgroundPaths {
  const stateDir = resolve(stateFolder(env, settings));
  const stateFile = resolve(settings.stateFile ?? join(stateDir, "background.json"));
  const pick = (name: "pidFile" | "logFile", last: string | undefined, usual: string) =>
    resolve((origins[name] === "default" ? last : settings[name]) ?? join(stateDir, usual));
  return {
    stateDir,
    stateFile,
    pidFile: pick("pidFile", kept.pid_file, "plansocket.pid"),
    logFile: pick("logFile", kept.log_file, "plansocket.log"),
    secretFile: `${stateFile.replace(/\.json$/, "")}.secrets.json`,
    lockFile: `${stateFile}.lock`,
  };
}
