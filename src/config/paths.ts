import { join } from "node:path";
import { homeFolder } from "../lib/home.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** `~/.config/plansocket/config.json`, or below XDG_CONFIG_HOME. */
export function configFile(env: Environment): string {
  return join(env["XDG_CONFIG_HOME"] || join(home(env), ".config"), "plansocket", "config.json");
}

/** `~/.local/state/plansocket`, or below XDG_STATE_HOME; LOCALAPPDATA on Windows. */
export function stateFolder(env: Environment): string {
  const base = env["XDG_STATE_HOME"] || env["LOCALAPPDATA"] || join(home(env), ".local", "state");
  return join(base, "plansocket");
}

/** Home of the Codex CLI: CODEX_HOME or `~/.codex`. */
export function codexHome(env: Environment): string {
  return env["CODEX_HOME"] || join(home(env), ".codex");
}

function home(env: Environment): string {
  return homeFolder(env) || "/";
}
