import { stateFolder } from "../../config/paths.ts";
import type { Settings } from "../../config/settings.ts";
import { KeyFile, keysPath } from "../../keys/key-file.ts";
import type { KeyPlace } from "../../keys/key-list.ts";
import { UsageFile, usagePath, type UsagePlace } from "../../keys/usage-file.ts";
import type { Environment } from "../../lib/environment.ts";
import { SILENT_LOG } from "../../lib/log.ts";
import { openStore } from "../store.ts";

/** Where the keys of these settings are, read once. Throws `usage` and `store_unavailable`. */
export async function keyPlace(settings: Settings, env: Environment): Promise<KeyPlace> {
  const store = await openStore(settings, env, SILENT_LOG);
  if (!store) return new KeyFile(keysPath(stateFolder(env, settings)));
  const keys = store.keys();
  await keys.load();
  return keys;
}

/** Where what they have used is, read once. Throws `usage` and `store_unavailable`. */
export async function usagePlace(settings: Settings, env: Environment): Promise<Pick<UsagePlace, "read">> {
  const store = await openStore(settings, env, SILENT_LOG);
  if (!store) return new UsageFile(usagePath(stateFolder(env, settings)));
  const state = await store.usage().load();
  return { read: () => state };
}
