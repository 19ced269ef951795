import { defaultText, type SettingName, settingEntries } from "../config/settings.ts";
import type { OwnFlag } from "./flags.ts";

/** One flag of a command, as help, completions and the manual show it. */
export interface FlagRow {
  /** As in `--port`. */
  readonly flag: string;
  /** As in `-p`. */
  readonly short: string | undefined;
  /** What its value looks like; undefined for switches. */
  readonly value: string | undefined;
  readonly help: string;
  /** It sets a setting, which the environment and the config file can do as well. */
  readonly isSetting: boolean;
}

/**
 * A command's own flags, and then the settings that matter to it (all when `names` is left out). Other settings are taken
 * as well: one config file or alias serves every command. `usual` has the defaults that are other ones in this command.
 */
export function flagRows(
  own: Readonly<Record<string, OwnFlag>> = {},
  names?: readonly SettingName[],
  usual: Readonly<Partial<Record<SettingName, string>>> = {},
): FlagRow[] {
  const rows = Object.entries(own).map(([name, { short, value, help }]): FlagRow => {
    return { flag: `--${name}`, short: short === undefined ? undefined : `-${short}`, value, help, isSetting: false };
  });
  for (const [name, setting] of settingEntries()) {
    if (names && !names.includes(name)) continue;
    const [flag, ...aliases] = setting.flags;
    if (flag === undefined || rows.some((row) => row.flag === flag)) continue;
    const shown = usual[name] ?? defaultText(setting);
    const help = shown === "" ? setting.help : `${setting.help} (default: ${shown})`;
    const short = aliases.find((alias) => alias.length === 2);
    rows.push({ flag, short, value: setting.value, help, isSetting: true });
  }
  return rows;
}
