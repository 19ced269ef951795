import { NAME } from "../version.ts";
import { COMMANDS } from "./command-table.ts";
import { flagRows, type FlagRow } from "./flag-rows.ts";

/** One command, as completion scripts need it. */
interface Completed {
  readonly name: string;
  readonly about: string;
  /** Words that may follow it. */
  readonly words: readonly string[];
  readonly flags: readonly FlagRow[];
}

/** Every command with its words and flags, from the tables that parse them. */
export function completionData(): Promise<Completed[]> {
  return Promise.all(
    Object.entries(COMMANDS).map(async ([name, { about, words = [], load }]) => ({
      name,
      about,
      words: name === "setup" ? Object.keys((await import("./setup/index.ts")).CLIENTS) : words,
      flags: await flagRows(await load()),
    })),
  );
}

type Script = (commands: readonly Completed[]) => string;

/** The completion script of each shell. */
export const SHELLS: Readonly<Record<string, Script>> = { bash, zsh, fish, powershell };

/** What may follow a command, in one line of words. */
function followers({ words, flags }: Completed): string {
  return [...words, ...flags.map(({ flag }) => flag), "--help"].join(" ");
}

const isFile = ({ value }: FlagRow): boolean => value === "FILE" || value === "FOLDER";

function bash(commands: readonly Completed[]): string {
  const fileFlags = [...new Set(commands.flatMap(({ flags }) => flags.filter(isFile).map(({ flag }) => flag)))];
  return `# bash completion for ${NAME}
_${NAME}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" last="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  case "$last" in
    ${fileFlags.join("|")}) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${commands.map((command) => `    ${command.name}) COMPREPLY=($(compgen -W "${followers(command)}" -- "$word")) ;;`).join("\n")}
  esac
}
complete -o default -F _${NAME} ${NAME}`;
}

function zsh(commands: readonly Completed[]): string {
  const entry = (name: string, text: string) => singleQuoted(`${name.replaceAll(":", "\\:")}:${text}`);
  const flagSpec = ({ flag, value, help }: FlagRow) =>
    singleQuoted(`${flag}[${bracketed(help)}]${value === undefined ? "" : `:${value}:${isFileValue(value)}`}`);
  const cases = commands.map(({ name, words, flags }) => {
    const specs = flags.map(flagSpec);
    const first = words.length === 0 ? [] : [singleQuoted(`1:${name}:(${words.join(" ")})`)];
    return `    ${name}) _arguments ${[...first, ...specs, singleQuoted("--help[explain the command]")].join(" ")} ;;`;
  });
  return `#compdef ${NAME}
_${NAME}() {
  if (( CURRENT == 2 )); then
    local -a commands=(${commands.map(({ name, about }) => entry(name, about)).join(" ")})
    _describe command commands
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = "_${NAME}" ]; then _${NAME} "$@"; else compdef _${NAME} ${NAME}; fi`;
}

function isFileValue(value: string): string {
  return value === "FILE" || value === "FOLDER" ? "_files" : " ";
}

/** Brackets and colons end a description of \`_arguments\`. */
function bracketed(text: string): string {
  return text.replace(/[[\]:\\]/g, String.raw`\$&`);
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, about, words, flags }) => [
    `complete -c ${NAME} -f -n __fish_use_subcommand -a ${name} -d ${singleQuoted(about)}`,
    ...(words.length === 0
      ? []
      : [`complete -c ${NAME} -f -n '__fish_seen_subcommand_from ${name}' -a ${singleQuoted(words.join(" "))}`]),
    ...flags.map((row) => {
      const letter = row.short === undefined ? "" : ` -s ${row.short.slice(1)}`;
      const value = row.value === undefined ? "" : isFile(row) ? " -r -F" : " -x";
      return `complete -c ${NAME} -n '__fish_seen_subcommand_from ${name}' -l ${row.flag.slice(2)}${letter}${value} -d ${singleQuoted(row.help)}`;
    }),
  ]);
  return [`# fish completion for ${NAME}`, ...lines].join("\n");
}

function powershell(commands: readonly Completed[]): string {
  const table = commands.map(
    (command) => `    ${quotedForPowershell(command.name)} = ${quotedForPowershell(followers(command))}`,
  );
  return `# PowerShell completion for ${NAME}
Register-ArgumentCompleter -Native -CommandName ${NAME} -ScriptBlock {
  param($word, $ast, $position)
  $commands = [ordered]@{
${table.join("\n")}
  }
  $given = @($ast.CommandElements | ForEach-Object { "$_" })
  $isFirst = $given.Count -le 1 -or ($given.Count -eq 2 -and $word -ne '')
  $candidates = if ($isFirst) { $commands.Keys } elseif ($commands.Contains($given[1])) { $commands[$given[1]] -split ' ' } else { @() }
  $candidates | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}`;
}

/** For bash, zsh and fish alike: fish has the backslash as an escape inside, the others end the text for a quote. */
function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}

function quotedForPowershell(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
