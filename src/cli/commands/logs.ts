import { defineCommand } from "citty";
import { accessSync, constants, existsSync } from "node:fs";
import { RelayError } from "../../lib/errors.ts";
import { LOOKING, openDesk } from "../background/context.ts";
import { otherUsersFailure } from "../background/other-user.ts";
import { followLog, lastLines } from "../background/log-file.ts";
import { BACKGROUND_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";

const LINES = 100;

const OWN: Readonly<Record<string, OwnFlag>> = {
  follow: { short: "f", help: "go on showing what is added, until stopped" },
  lines: { short: "n", value: "N", help: `how many of the last lines to show (default: ${LINES})` },
};

export const logs = defineCommand({
  meta: { name: "logs", description: "Show the log of the background relay." },
  args: citty(OWN, BACKGROUND_SETTINGS),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const count = countOf(flags.own["lines"]);
    const { places } = await openDesk(flags.settings, LOOKING);
    const others = otherUsersFailure(places.logFile);
    if (others && !isReadable(places.logFile)) throw others;
    if (!existsSync(places.logFile)) {
      throw new RelayError("nothing_there", `There is no log at ${places.logFile}.`, {
        hint: "`plansocket start` begins one.",
      });
    }
    const { text, cursor } = await lastLines(places.logFile, count);
    process.stdout.write(text);
    if (flags.own["follow"] !== true) return 0;
    const over = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => over.abort());
    // A reader such as `head` that has seen enough.
    process.stdout.once("error", () => over.abort());
    await followLog(places.logFile, cursor, (bytes) => void process.stdout.write(bytes), over.signal);
    return 0;
  },
});

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function countOf(text: string | true | undefined): number {
  const count = Number(text ?? LINES);
  if (Number.isInteger(count) && count >= 0) return count;
  throw new RelayError("usage", `Bad value '${String(text).slice(0, 40)}' for --lines.`, {
    hint: "It is a whole number.",
  });
}
