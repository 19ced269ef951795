import { defineCommand, type ArgsDef } from "citty";
import { RelayError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { completionData, SHELLS } from "../completions.ts";
import { citty, parseFlags } from "../flags.ts";
import { print } from "../output.ts";

const ARGS: ArgsDef = {
  shell: { type: "positional", required: false, description: Object.keys(SHELLS).join(", ") },
  ...citty({}, []),
};

export const completions = defineCommand({
  meta: { name: "completions", description: "Print a completion script for bash, zsh, fish or PowerShell." },
  args: ARGS,
  async run({ rawArgs: [shell = "", ...rest] }) {
    parseFlags(rest);
    const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
    if (script) {
      print(script(await completionData()));
      return 0;
    }
    const names = Object.keys(SHELLS);
    throw new RelayError("usage", shell === "" ? "A shell is missing." : `Unknown shell '${shell.slice(0, 40)}'.`, {
      hint: didYouMean(shell, shell === "" ? [] : names, `Shells: ${names.join(", ")}.`),
    });
  },
});
