import type { CommandDef } from "citty";
import { NAME } from "../version.ts";
import { COMMANDS, GROUPS, type CommandEntry } from "./command-table.ts";
import { flagRows, type FlagRow } from "./flag-rows.ts";
import { hasColors } from "./output.ts";
import { columnsOf, wrapWords } from "./wrap.ts";
import { stdout } from "./streams.ts";

/** Flags of settings that a command's help shows without `--all`. */
const USUAL_FLAGS = new Set(["--host", "--port", "--api-key", "--auth-file", "--proxy", "--models", "--log-level"]);

/** Longer lines are hard to read. */
const WIDEST = 100;

/** Columns that help is wrapped to, on a terminal and elsewhere. */
function helpWidth(): number {
  return Math.min(WIDEST, columnsOf(stdout()));
}

/** The list of commands, by group. */
export function rootHelp(width = helpWidth()): string {
  const groups = Object.entries(GROUPS).map(([group, title]) => {
    const rows = Object.entries(COMMANDS)
      .filter(([, entry]) => entry.group === group)
      .map(([name, { about }]) => [name, about] as const);
    return [heading(title), ...table(rows, width, 13)].join("\n");
  });
  return [
    wrapWords("Use the models of your ChatGPT plan from any LLM client.", width).join("\n"),
    usage(`${NAME} COMMAND [FLAGS]`, width),
    ...groups,
    wrapWords(
      `\`${NAME} COMMAND --help\` explains one command. First steps: \`${NAME} login\`, \`${NAME} serve\`, \`${NAME} setup\`.`,
      width,
    ).join("\n"),
  ].join("\n\n");
}

/** One command: what it does, examples, and its usual flags or all of them. */
export async function commandHelp(
  name: string,
  entry: CommandEntry,
  isAll: boolean,
  width = helpWidth(),
): Promise<string> {
  const command = await entry.load();
  const rows = await flagRows(command);
  const shown = rows.filter((row) => isAll || !row.isSetting || USUAL_FLAGS.has(row.flag));
  const hidden = rows.length - shown.length;
  const operands = entry.operands === undefined ? "" : ` ${entry.operands}`;
  return [
    wrapWords(await descriptionOf(command, entry), width).join("\n"),
    usage(`${NAME} ${name}${name === "run" ? " [FLAGS]" : ""}${operands}${name === "run" ? "" : " [FLAGS]"}`, width),
    [heading("Examples"), ...examples(entry, width)].join("\n"),
    ...(shown.length === 0 ? [] : [[heading("Flags"), ...table(shown.map(cells), width, 24)].join("\n")]),
    ...(hidden === 0
      ? []
      : [wrapWords(`\`${NAME} ${name} --help --all\` shows ${hidden} more flags.`, width).join("\n")]),
  ].join("\n\n");
}

/** Continued under the command. */
function usage(form: string, width: number): string {
  return `${heading("Usage")}  ${wrapWords(form, width - 7).join(`\n${" ".repeat(7)}`)}`;
}

async function descriptionOf(command: CommandDef, { about }: CommandEntry): Promise<string> {
  const meta = await (typeof command.meta === "function" ? command.meta() : command.meta);
  return meta?.description ?? about;
}

function examples({ examples: all }: CommandEntry, width: number): string[] {
  return all.flatMap(([command, effect]) => [
    `  ${command.includes(`| ${NAME} `) ? command : `${NAME} ${command}`}`,
    ...wrapWords(effect, width - 6).map((line) => `      ${line}`),
  ]);
}

function cells({ flag, short, value, help }: FlagRow): readonly [string, string] {
  return [`${short === undefined ? "" : `${short}, `}${flag}${value === undefined ? "" : ` ${value}`}`, help];
}

/** Two columns, the first `first` wide; where a cell is wider, its text begins on the next line. */
function table(rows: readonly (readonly [string, string])[], width: number, first: number): string[] {
  // A narrow screen has no room for two columns.
  const column = width < 40 ? 4 : Math.min(first, Math.floor(width / 2));
  return rows.flatMap(([cell, text]) => {
    const lines = wrapWords(text, width - column - 2);
    const isWide = cell.length + 1 >= column + 1;
    const indent = " ".repeat(column + 2);
    if (isWide) return [`  ${cell}`, ...lines.map((line) => `${indent}${line}`)];
    return lines.map((line, index) => (index === 0 ? `  ${cell.padEnd(column)}${line}` : `${indent}${line}`));
  });
}

function heading(text: string): string {
  return hasColors(stdout()) ? `\u001b[1m${text}\u001b[0m` : text;
}
