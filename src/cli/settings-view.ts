import type { Loaded } from "../config/load.ts";
import { defaultText, type Setting, settingEntries } from "../config/settings.ts";

/** One setting as it may be shown: never a secret. */
export interface ShownSetting {
  readonly key: string;
  /** As in the config file; null when there is none. */
  readonly value: unknown;
  /** For people. */
  readonly text: string;
  readonly origin: string;
}

const MASK = "(set)";

/** The settings in force, each with where it came from. */
export function shownSettings({ settings, origins }: Pick<Loaded, "settings" | "origins">): ShownSetting[] {
  return settingEntries().map(([name, setting]) => {
    const value: unknown = settings[name];
    const isMasked = setting.isSecret === true && value !== undefined;
    return {
      key: setting.key,
      value: isMasked ? MASK : (value ?? null),
      text: isMasked ? MASK : textOf(setting, value),
      origin: origins[name],
    };
  });
}

function textOf(setting: Setting, value: unknown): string {
  if (value === undefined || Bun.deepEquals(value, setting.default)) {
    return defaultText(setting) || (setting.value === undefined ? "off" : "none");
  }
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "boolean") return value ? "on" : "off";
  // Instructions can be a page long; one line is enough to know them by.
  return (typeof value === "string" ? value : JSON.stringify(value)).replace(/\s+/g, " ");
}
