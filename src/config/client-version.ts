import { readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isObject, nonEmptyString, parseJson } from "../lib/json.ts";

/** Newest Codex CLI whose protocol the relay was built against. */
export const NEWEST_KNOWN = "0.171.0";

/** Where npm and Homebrew put a command: its package is at most this many folders up. */
const FOLDERS_UP = 4;

/** The version of the Codex CLI on this machine, from its model cache or its package, without running it. */
export async function installedClientVersion(codexHome: string, path: string): Promise<string> {
  return (await cachedVersion(codexHome)) ?? (await packageVersion(path)) ?? NEWEST_KNOWN;
}

async function cachedVersion(codexHome: string): Promise<string | undefined> {
  return version(await jsonAt(join(codexHome, "models_cache.json")), "client_version");
}

async function packageVersion(path: string): Promise<string | undefined> {
  const command = Bun.which("codex", { PATH: path });
  if (command === null) return undefined;
  let folder = dirname(await realpath(command).catch(() => command));
  for (let level = 0; level < FOLDERS_UP; level += 1) {
    const manifest = await jsonAt(join(folder, "package.json"));
    if (isObject(manifest) && manifest["name"] === "@openai/codex") return version(manifest, "version");
    folder = dirname(folder);
  }
  return undefined;
}

async function jsonAt(path: string): Promise<unknown> {
  return parseJson(await readFile(path, "utf8").catch(() => ""));
}

function version(value: unknown, key: string): string | undefined {
  const found = isObject(value) ? nonEmptyString(value[key]) : undefined;
  return found !== undefined && /^\d+\.\d+\.\d+/.test(found) ? found : undefined;
}
