import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { expandTilde } from "../../lib/home.ts";
import type { Target } from "./client.ts";

/** A path below the owner's home. */
export function inHome(target: Target, ...parts: string[]): string {
  return join(target.env["HOME"] || target.env["USERPROFILE"] || homedir(), ...parts);
}

/** A path below a folder that the client lets a variable name, else below its usual one. */
export function inFolder(target: Target, variable: string, usual: readonly string[], ...parts: string[]): string {
  return join(expandTilde(target.env[variable] || inHome(target, ...usual), target.env), ...parts);
}

/** The first of these files that is there, else `usual`. */
export function firstPresent(paths: readonly string[], usual: string): string {
  return paths.find((path) => existsSync(path)) ?? usual;
}
