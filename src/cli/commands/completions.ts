import { RelayError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { completionData, SHELLS } from "../completions.ts";
import { parseFlags } from "../flags.ts";
import { print } from "../output.ts";
import type { Command } from "../command.ts";
import { flagRows } from "../flag-rows.ts";

export const completions: Command = {
  description: "Print a completion script for bash, zsh, fish or PowerShell.",
  flags: () => flagRows({}, []),
  async run([shell = "", ...rest]) {
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
};
