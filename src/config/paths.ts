import { join } from "node:path";
import type { Environment } from "../lib/environment.ts";
import { expandTilde, homeFolder } from "../lib/home.ts";
import type { Settings } from "./settings.ts";

/** `~/.config/plansocket/config.json`, or below XDG_CONFIG_HOME. */
export function configFile(env: Environment): string {
  return join(folderIn(env, "XDG_CONFIG_HOME") ?? join(home(env), ".config"), "plansocket", "config.json");
}

/** The state folder of these settings; by default `plansocket` in XDG_STATE_HOME, LOCALAPPDATA or `~/.local/state`. */
export function stateFolder(env: Environment, settings: Pick<Settings, "stateDir"> = { stateDir: undefined }): string {
  if (settings.stateDir !== undefined) return settings.stateDir;
  const base = folderIn(env, "XDG_STATE_HOME") ?? folderIn(env, "LOCALAPPDATA") ?? join(home(env), ".local", "state");
  return join(base, "plansocket");
}

/** Home of the Codex CLI: CODEX_HOME or `~/.codex`. */
export function codexHome(env: Environment): string {
  return folderIn(env, "CODEX_HOME") ?? join(home(env), ".codex");
}

/** The login file of these settings; by default the Codex CLI's. */
export function authFile(env: Environment, settings: Pick<Settings, "authFile">): string {
  return settings.authFile ?? join(codexHome(env), "auth.json");
}

function folderIn(env: Environment, variable: string): string | undefined {
  const value = env[variable];
  return value ? expandTilde(value, env) : undefined;
}

function home(env: Environment): string {
  return homeFolder(env) || "/";
}
