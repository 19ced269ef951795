import { defaultText, environmentNames, SETTINGS, type Setting } from "../config/settings.ts";
import { NAME, VERSION } from "../version.ts";
import { COMMANDS, type CommandEntry } from "./command-table.ts";
import { flagRows } from "./flag-rows.ts";

/** The manual page in the language of man(7), from the tables of commands and settings. */
export async function manPage(): Promise<string> {
  const commands = await Promise.all(Object.entries(COMMANDS).map(([name, entry]) => commandPart(name, entry)));
  return [
    `.TH ${NAME.toUpperCase()} 1 "" "${NAME} ${VERSION}" "User Commands"`,
    ".SH NAME",
    `${NAME} \\- use the models of your ChatGPT plan from any LLM client`,
    ".SH SYNOPSIS",
    `.B ${NAME}`,
    ".I COMMAND",
    ".RI [ FLAGS ]",
    ".SH COMMANDS",
    ...commands.flat(),
    ".SH SETTINGS",
    "A flag wins over the environment, that over the config file, that over the default.",
    ...Object.values<Setting>(SETTINGS).flatMap(settingPart),
    ".SH FILES",
    ".TP",
    text("$XDG_CONFIG_HOME/plansocket/config.json"),
    "settings, as a JSON object",
    ".TP",
    text("$CODEX_HOME/auth.json"),
    "the login, shared with the Codex CLI",
    ".SH EXIT STATUS",
    "0 done, 1 failed, 2 wrong usage.",
  ].join("\n");
}

async function commandPart(name: string, entry: CommandEntry): Promise<string[]> {
  const own = (await flagRows(await entry.load())).filter((row) => !row.isSetting);
  return [
    ".TP",
    `.B ${text(`${name}${entry.operands === undefined ? "" : ` ${entry.operands}`}`)}`,
    text(`${entry.about}.`),
    ...own.flatMap(({ flag, short, value, help }) => [
      ".RS",
      ".TP",
      `.B ${text(`${short === undefined ? "" : `${short}, `}${flag}${value === undefined ? "" : ` ${value}`}`)}`,
      text(help),
      ".RE",
    ]),
  ];
}

function settingPart(setting: Setting): string[] {
  const names = [...setting.flags, ...environmentNames(setting)].join(", ") || setting.key;
  const usual = defaultText(setting);
  return [".TP", `.B ${text(names)}`, text(usual === "" ? setting.help : `${setting.help} (default: ${usual})`)];
}

/** Text without meaning to roff: backslashes, hyphens that copy as such, and control characters at a line's start. */
function text(plain: string): string {
  const ascii = plain.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...");
  return ascii.replace(/^[.']/, "\\&$&");
}
