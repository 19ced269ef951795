import { parseArgs } from "node:util";
import { SUITES, type Suite } from "./suites.ts";

export const USAGE = `bun test/suites/run.ts [WORD …] [--only NAME,NAME] [--list] [--record]

  WORD …            suites with one of these in their name
  --only NAME,NAME  suites of exactly these names; may be given again
  --list            print the names, run nothing
  --record          write their rows into .github/COMPATIBILITY.md`;

export interface Options {
  readonly suites: readonly Suite[];
  readonly isList: boolean;
  readonly isRecording: boolean;
}

/** What a command line asks for. Throws with words for its writer where it asks for what there is not. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: "string", multiple: true },
      list: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
    },
  });
  const names = (values.only ?? []).flatMap((list) => list.split(",")).map((name) => name.trim());
  for (const name of names) {
    if (!SUITES.some((suite) => suite.name === name)) throw new Error(`No suite is called '${name}'.`);
  }
  for (const word of positionals) {
    if (!SUITES.some((suite) => suite.name.includes(word))) throw new Error(`No suite has '${word}' in its name.`);
  }
  const isAll = names.length === 0 && positionals.length === 0;
  const suites = SUITES.filter(
    ({ name }) => isAll || names.includes(name) || positionals.some((word) => name.includes(word)),
  );
  return { suites, isList: values.list, isRecording: values.record };
}
