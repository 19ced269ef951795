import type { CommandDef } from "citty";
import { SETTINGS, type Setting } from "../config/settings.ts";

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

const SETTING_FLAGS = new Set(Object.values<Setting>(SETTINGS).flatMap(({ flags }) => flags));

/** All flags of a command: its own first, then settings. Operands are no flags. */
export async function flagRows(command: CommandDef): Promise<FlagRow[]> {
  const args = await (typeof command.args === "function" ? command.args() : (command.args ?? {}));
  const rows = Object.entries(args)
    .filter(([, arg]) => arg.type !== "positional")
    .map(([name, arg]): FlagRow => {
      const aliases = "alias" in arg && arg.alias !== undefined ? [arg.alias].flat() : [];
      const letter = aliases.find((alias) => alias.length === 1);
      return {
        flag: `--${name}`,
        short: letter === undefined ? undefined : `-${letter}`,
        value: arg.type === "string" ? (arg.valueHint ?? "VALUE") : undefined,
        help: arg.description ?? "",
        isSetting: SETTING_FLAGS.has(`--${name}`),
      };
    });
  return rows.toSorted((a, b) => Number(a.isSetting) - Number(b.isSetting));
}
