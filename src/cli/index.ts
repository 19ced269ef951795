import { runCommand, type CommandDef } from "citty";
import type { Setting } from "../config/settings.ts";
import { RelayError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { COMMIT, NAME, VERSION } from "../version.ts";
import { COMMANDS, type CommandEntry } from "./command-table.ts";
import { deferredWorkOver } from "./defer-signals.ts";
import { endWithReader, print, printFailure, printStyled, sayAsIs } from "./output.ts";

/** Runs one command. Returns the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<number> {
  endWithReader(deferredWorkOver);
  try {
    const [name, ...rest] = argv;
    if (name === "--version" || name === "-v" || name === "-V" || name === "version") return printVersion();
    if (name === undefined) {
      // Not asked for, so it is no data.
      const { rootHelp } = await import("./help.ts");
      sayAsIs(rootHelp());
      return 2;
    }
    if (name === "--help" || name === "-h" || name === "help") return await help(rest);
    if (name.startsWith("-")) throw await misplacedFlag(name);
    const entry = find(name);
    // What follows `--` belongs to the command that is run.
    const own = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
    if (own.includes("--version")) return printVersion();
    if (own.includes("--help") || own.includes("-h")) return await help([name, ...own]);
    const { result } = await runCommand(withoutArgs(await entry.load()), { rawArgs: rest });
    return typeof result === "number" ? result : 0;
  } catch (error) {
    return printFailure(error);
  } finally {
    await deferredWorkOver();
  }
}

/**
 * What a command's `args` say is for help alone: each command reads its flags by itself, strictly, and citty's reading of
 * a hundred of them took a tenth of a start.
 */
function withoutArgs(command: CommandDef): CommandDef {
  return { ...command, args: {} };
}

/** Help of the command that is named, else of the whole program; `--all` shows every flag. */
async function help(words: readonly string[]): Promise<number> {
  const { commandHelp, rootHelp } = await import("./help.ts");
  const name = words.find((word) => !word.startsWith("-"));
  printStyled(name === undefined ? rootHelp() : await commandHelp(name, find(name), words.includes("--all")));
  return 0;
}

function printVersion(): number {
  print(`${NAME} ${VERSION}${COMMIT === "" ? "" : ` (${COMMIT})`}`);
  return 0;
}

/** Flags belong behind a command. */
async function misplacedFlag(word: string): Promise<RelayError> {
  const { SETTINGS } = await import("../config/settings.ts");
  const flag = word.split("=")[0] ?? word;
  if (Object.values<Setting>(SETTINGS).some(({ flags }) => flags.includes(flag))) {
    return new RelayError("usage", `${flag} comes before the command.`, {
      hint: `Write the command first, as in \`${NAME} serve ${flag} …\`.`,
    });
  }
  return new RelayError("usage", `Unknown flag '${flag.slice(0, 40)}'.`, {
    hint: didYouMean(flag, ["--help", "--version"], `\`${NAME} --help\` lists the commands; flags come behind them.`),
  });
}

function find(name: string): CommandEntry {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry) return entry;
  throw new RelayError("usage", `Unknown command '${name.slice(0, 40)}'.`, {
    hint: didYouMean(name, [...Object.keys(COMMANDS), "help", "version"], `\`${NAME} --help\` lists the commands.`),
  });
}
