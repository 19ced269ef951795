import { readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isObject, nonEmptyString, parseJson } from "../lib/json.ts";
import { isOlder } from "../lib/version-order.ts";

/** Newest Codex CLI whose protocol the relay was built against. */
export const NEWEST_KNOWN = "0.171.0";

/** Where npm and Homebrew put a command: its package is at most this many folders up. */
const FOLDERS_UP = 4;

/**
 * The largest of three: the newest known version, and those of the Codex CLI on this machine, from its model cache and
 * its package, without running it. The backend hides models from older clients, so an old CLI must not take them away.
 */
export async function effectiveClientVersion(codexHome: string, path: string): Promise<string> {
  const found = await Promise.all([cachedVersion(codexHome), packageVersion(path)]);
  return found
    .filter((version) => version !== undefined)
    .reduce((largest, version) => (isOlder(largest, version) ? version : largest), NEWEST_KNOWN);
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
