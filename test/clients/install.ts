import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Client } from "./client.ts";

const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "plansocket/clients");
/** How many releases back a client is looked for whose newest is not whole in its registry. */
const TRIES = 6;
/** The longest that a program may take to say its version. */
const VERSION_MS = 60_000;

/** A client that can be started. */
export interface Installed {
  readonly path: string;
  /** For its programs to find each other and a Node.js that is new enough. */
  readonly searchPath: string;
  readonly version: string;
}

/** What is on the PATH, by its own word of its version; undefined when there is none that starts. */
export function found({ command }: Client): Installed | undefined {
  return startable(command, process.env["PATH"] ?? "");
}

/**
 * The newest release that is whole, in a cache that stays. Where a package came out without the program for this
 * platform, the newest that has it. Undefined when none of the last ones starts.
 */
export function installed(client: Client): Installed | undefined {
  const folder = join(CACHE, client.name);
  return client.package.registry === "npm" ? fromNpm(client, folder) : fromPyPi(client, folder);
}

function fromNpm({ command, package: { name } }: Client, folder: string): Installed | undefined {
  // Some want a newer one than the machine may have.
  const node = join(CACHE, "node");
  npmInstall("node@latest", node);
  const searchPath = [folder, node].map((place) => join(place, "node_modules/.bin"));
  for (const version of releases(name)) {
    if (!npmInstall(`${name}@${version}`, folder)) continue;
    const program = startable(command, [...searchPath, process.env["PATH"] ?? ""].join(":"));
    if (program) return program;
    rmSync(folder, { recursive: true, force: true });
  }
  return undefined;
}

/** The one that is called the newest, then those before it. */
function releases(name: string): string[] {
  const newest = said(["npm", "view", name, "version"]);
  const all = JSON.parse(said(["npm", "view", name, "versions", "--json"]) || "[]") as string | string[];
  const older = [all]
    .flat()
    .filter((version) => !version.includes("-") && Bun.semver.order(version, newest) < 0)
    .toSorted((a, b) => Bun.semver.order(b, a));
  return [newest, ...older.slice(0, TRIES)].filter((version) => version !== "");
}

function npmInstall(wanted: string, folder: string): boolean {
  mkdirSync(folder, { recursive: true });
  const line = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder, wanted];
  return Bun.spawnSync(line, { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
}

function fromPyPi({ command, package: { name } }: Client, folder: string): Installed | undefined {
  mkdirSync(folder, { recursive: true });
  const programs = join(folder, "bin");
  if (!existsSync(join(programs, "pip"))) Bun.spawnSync(["python3", "-m", "venv", folder]);
  Bun.spawnSync([join(programs, "pip"), "install", "--quiet", "--upgrade", name], { stderr: "ignore" });
  return startable(command, `${programs}:${process.env["PATH"] ?? ""}`);
}

function startable(command: string, searchPath: string): Installed | undefined {
  // Bun looks on the PATH of the process's start unless another is named.
  const path = Bun.which(command, { PATH: searchPath });
  if (path === null) return undefined;
  const version = /\d+\.\d+(?:\.\d+)?(?:[\w.-]*\w)?/.exec(said([path, "--version"], searchPath))?.[0];
  return version === undefined ? undefined : { path, searchPath, version };
}

/** What a program prints; "" when it fails or is none. */
function said(command: string[], searchPath = process.env["PATH"] ?? ""): string {
  try {
    // Some write settings when they are only asked for their version.
    const env = { ...process.env, PATH: searchPath, HOME: CACHE };
    const { exitCode, stdout } = Bun.spawnSync(command, {
      env,
      stdin: "ignore",
      stderr: "ignore",
      timeout: VERSION_MS,
    });
    return exitCode === 0 ? stdout.toString().trim() : "";
  } catch {
    // A package whose install script was blocked leaves a file that is no program.
    return "";
  }
}
