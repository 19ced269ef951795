import { defineCommand, type ArgsDef } from "citty";
import { configText } from "../../config/file.ts";
import { checkConfig, loadSettings } from "../../config/load.ts";
import { configFile } from "../../config/paths.ts";
import { RelayError } from "../../lib/errors.ts";
import { expandTilde } from "../../lib/home.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { print, printJson, printText, say, warnOf } from "../output.ts";
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
    printJson(configSchema());
    return 0;
  },
  reference: async (args) => {
    parseFlags(args);
    const { settingsReference } = await import("../../config/reference.ts");
    print(settingsReference());
    return 0;
  },
};

const ARGS: ArgsDef = {
  action: { type: "positional", required: false, description: "print, path, check [FILE], schema or reference" },
  ...citty(OWN, []),
};

export const config = defineCommand({
  meta: {
    name: "config",
    description:
      "Show the settings, check their file, print its JSON Schema, or the reference of all settings in Markdown.",
  },
  args: ARGS,
  run({ rawArgs }) {
    const [name = "", ...rest] = rawArgs;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action) return action(rest);
    const names = Object.keys(ACTIONS);
    throw new RelayError("usage", name === "" ? "An action is missing." : `Unknown action '${name.slice(0, 40)}'.`, {
      hint: didYouMean(name, name === "" ? [] : names, `Actions: ${names.join(", ")}.`),
    });
  },
});

/** The settings that a relay with these flags would have. */
async function printSettings(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, OWN);
  const loaded = await loadSettings(flags.settings, process.env, { needs: [], toleratesFile: true });
  warnOf(loaded.warnings);
  const rows = shownSettings(loaded);
  if (flags.own["json"]) {
    const values = rows.map(({ key, value, origin }) => [key, { value, origin }] as const);
    printJson(Object.fromEntries(values));
    return 0;
  }
  const width = (column: "key" | "text") => Math.min(48, Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map(
    ({ key, text, origin }) => `${key.padEnd(width("key"))}  ${text.padEnd(width("text"))}  ${origin}`,
  );
  print(lines.join("\n"));
  return 0;
}

/** Every fault of the file, not only the first. */
async function check(args: readonly string[]): Promise<number> {
  const [first] = args;
  const isNamed = first !== undefined && !first.startsWith("-");
  const { own } = parseFlags(isNamed ? args.slice(1) : args, OWN);
  const path = isNamed ? expandTilde(first) : configFile(process.env);
  const text = await configText(path);
  if (text === undefined && isNamed) {
    throw new RelayError("usage", `${path} does not exist.`, { hint: "Give the path of a config file." });
  }
  const problems = text === undefined ? [] : checkConfig(text);
  if (own["json"]) printJson({ path, exists: text !== undefined, problems });
  else if (problems.length > 0) {
    for (const { key, message, hint } of problems) {
      printText(`${key === undefined ? path : `${key}:`} ${message} ${hint}`.trim());
    }
  }
  if (problems.length === 0) {
    say(text === undefined ? `${path} does not exist; the defaults apply.` : `${path} is valid.`);
    return 0;
  }
  // A fault of the whole file has named it.
  const isNamedAlready = problems.some(({ key }) => key === undefined) && !own["json"];
  say(isNamedAlready ? "Until then no relay starts with it." : `Fix ${path}; until then no relay starts with it.`);
  return 1;
}
