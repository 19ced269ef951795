import { homedir } from "node:os";
import type { Environment } from "./environment.ts";

/** The user's own folder, without a slash at the end: "" where there is none of its own. */
export function homeFolder(env: Environment = process.env): string {
  return (env["HOME"] || known()).replace(/(?<!\/)\/+$/, "");
}

/**
 * A path with a leading `~` or `~/` replaced by the home folder, as a shell does it: .env files, service units and
 * config files are read by no shell. Other paths come back as they are; `~name/…` is not looked up.
 */
export function expandTilde(path: string, env: Environment = process.env): string {
  return /^~(?=$|[/\\])/.test(path) ? `${homeFolder(env)}${path.slice(1)}` : path;
}

/** In containers a user may be a mere number that no list of users knows. */
function known(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}
