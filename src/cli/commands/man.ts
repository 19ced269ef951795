import { defineCommand } from "citty";
import { citty, parseFlags } from "../flags.ts";
import { manPage } from "../man.ts";
import { print } from "../output.ts";

export const man = defineCommand({
  meta: { name: "man", description: "Print the manual page, as `man` reads it." },
  args: citty({}, []),
  async run({ rawArgs }) {
    parseFlags(rawArgs);
    print(await manPage());
    return 0;
  },
});
