import { isSettingName, type SettingName, type Settings } from "./settings.ts";

/** Settings that a running relay takes over. All others are fixed when it starts: where it listens, whom it asks. */
export const RELOADABLE: readonly SettingName[] = [
  "apiKey",
  "logLevel",
  "instructions",
  "models",
  "claudeModels",
  "modelAliases",
  "reasoning",
  "strict",
  "corsOrigins",
  "allowHosts",
  "trustProxies",
  "transport",
  "lite",
  "maxBodyMib",
  "stopAt",
  "fallback",
  "fallbackApiKey",
  "prices",
  "firstByteTimeout",
  "idleTimeout",
  "keepAlive",
];

/** What a second reading of the settings comes to. */
export interface Reload {
  /** The settings in force from now on. */
  readonly settings: Settings;
  readonly taken: readonly SettingName[];
  /** Changed too, but only a restart can take them over. */
  readonly waiting: readonly SettingName[];
}

export function reload(before: Settings, after: Settings): Reload {
  const names = Object.keys(after).filter(isSettingName);
  const changed = names.filter((name) => !Bun.deepEquals(before[name], after[name]));
  const taken = changed.filter((name) => RELOADABLE.includes(name));
  return {
    settings: { ...before, ...Object.fromEntries(taken.map((name) => [name, after[name]])) },
    taken,
    waiting: changed.filter((name) => !RELOADABLE.includes(name)),
  };
}
