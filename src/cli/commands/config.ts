import { defineCommand, type ArgsDef } from "citty";
import { checkConfig, configText, loadSettings } from "../../config/load.ts";
import { configFile } from "../../config/paths.ts";
import { RelayError } from "../../lib/errors.ts";
import { nearest } from "../../lib/nearest.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { print, say } from "../output.ts";
import { shownSettings } from "../settings-view.ts";

const OWN: Readonly<Record<string, OwnFlag>> = { json: { help: "print JSON" } };

type Action = (args: readonly string[]) => Promise<number>;

const ACTIONS: Readonly<Record<string, Action>> = {
  print: printSettings,
  path: async (args) => {
    parseFlags(args);
    print(configFile(process.env));
    return 0;
  },
  check,
  schema: async (args) => {
    parseFlags(args);
    const { configSchema } = await import("../../config/schema.ts");
    print(JSON.stringify(configSchema(), undefined, 2));
    return 0;
  },
};

const ARGS: ArgsDef = {
  action: { type: "positional", required: false, description: "print, path, check [FILE] or schema" },
  ...citty(OWN, []),
};

export const config = defineCommand({
  meta: { name: "config", description: "Show the settings, check their file, or print its JSON Schema." },
  args: ARGS,
  run({ rawArgs }) {
    const [name = "", ...rest] = rawArgs;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action) return action(rest);
    const names = Object.keys(ACTIONS);
    throw new RelayError("usage", name === "" ? "What about the settings?" : `Unknown action '${name.slice(0, 40)}'.`, {
      hint: name === "" ? `Say ${names.join(", ")}.` : `Did you mean '${nearest(name, names)}'?`,
    });
  },
});

/** The settings that a relay with these flags would have. */
async function printSettings(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, OWN);
  const rows = shownSettings(await loadSettings(flags.settings, process.env));
  if (flags.own["json"]) {
    const values = rows.map(({ key, value, origin }) => [key, { value, origin }] as const);
    print(JSON.stringify(Object.fromEntries(values), undefined, 2));
    return 0;
  }
  const width = (column: "key" | "text") => Math.min(48, Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map(
    ({ key, text, origin }) => `${key.padEnd(width("key"))}  ${text.padEnd(width("text"))}  ${origin}`,
  );
  print(lines.join("\n"));
  return 0;
}

/** All that is wrong with the file, not only what comes first. */
async function check(args: readonly string[]): Promise<number> {
  const [first] = args;
  const isNamed = first !== undefined && !first.startsWith("-");
  const { own } = parseFlags(isNamed ? args.slice(1) : args, OWN);
  const path = isNamed ? first : configFile(process.env);
  const text = await configText(path);
  if (text === undefined && isNamed) {
    throw new RelayError("usage", `${path} does not exist.`, { hint: "Give the path of a config file." });
  }
  const problems = text === undefined ? [] : checkConfig(text);
  if (own["json"]) print(JSON.stringify({ path, exists: text !== undefined, problems }, undefined, 2));
  else if (problems.length > 0) {
    print(problems.map(({ key, message, hint }) => `${key ?? path}: ${message} ${hint}`.trim()).join("\n"));
  }
  if (problems.length === 0) {
    say(text === undefined ? `${path} does not exist; the defaults hold.` : `${path} is in order.`);
    return 0;
  }
  say(`Mend ${path}; until then no command starts with it.`);
  return 1;
}
