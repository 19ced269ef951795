import { parseFlags } from "../flags.ts";
import { manPage } from "../man.ts";
import { print } from "../output.ts";
import type { Command } from "../command.ts";
import { flagRows } from "../flag-rows.ts";

export const man: Command = {
  description: "Print the manual page, as `man` reads it.",
  flags: () => flagRows({}, []),
  async run(argv) {
    parseFlags(argv);
    print(await manPage());
    return 0;
  },
};
