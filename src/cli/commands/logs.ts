import { defineCommand } from "citty";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { RelayError } from "../../lib/errors.ts";
import { INSPECTION, openBackgroundContext } from "../background/context.ts";
import { otherUsersFailure } from "../background/other-user.ts";
import { followLog, lastLines } from "../background/log-file.ts";
import { readableLine } from "../log-line.ts";
import { hasColors, printStyled } from "../output.ts";
import { fitted } from "../wrap.ts";
import { BACKGROUND_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { stdout } from "../streams.ts";

const LINES = 100;

const OWN: Readonly<Record<string, OwnFlag>> = {
  follow: { short: "f", help: "go on showing what is added, until stopped" },
  json: { help: "print the lines as they were written" },
  lines: { short: "n", value: "N", help: `how many of the last lines to show (default: ${LINES})` },
};

export const logs = defineCommand({
  meta: { name: "logs", description: "Show the log of the background relay." },
  args: citty(OWN, BACKGROUND_SETTINGS),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const count = countOf(flags.own["lines"]);
    const { paths } = await openBackgroundContext(flags.settings, INSPECTION);
    const others = otherUsersFailure(paths.logFile);
    if (others && !isReadable(paths.logFile)) throw others;
    if (!existsSync(paths.logFile)) {
      throw new RelayError("nothing_there", `There is no log at ${paths.logFile}.`, {
        hint: "`plansocket start` begins one.",
      });
    }
    // A pipe would be waited for, a folder shows nothing.
    if (!statSync(paths.logFile).isFile()) {
      throw new RelayError("nothing_there", `${paths.logFile} is no log: it is no plain file.`, {
        hint: "Move it away, or choose another place with --log-file.",
      });
    }
    const write = flags.own["json"] === true ? writeRaw : lineWriter();
    const { text, cursor } = await lastLines(paths.logFile, count);
    write(text);
    if (flags.own["follow"] !== true) return 0;
    const over = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => over.abort());
    await followLog(paths.logFile, cursor, write, over.signal);
    return 0;
  },
});

const writeRaw = (text: string | Uint8Array): void => void stdout().write(text);

/** Prints whole lines for people; the beginning of one waits for its end. */
function lineWriter(): (text: string | Uint8Array) => void {
  const decoder = new TextDecoder();
  const isColored = hasColors(stdout());
  let begun = "";
  return (text) => {
    const lines = (begun + (typeof text === "string" ? text : decoder.decode(text, { stream: true }))).split("\n");
    begun = lines.pop() ?? "";
    for (const line of lines) {
      const shown = readableLine(line, isColored);
      // A command to copy stays in one line.
      printStyled(/^ +curl /.test(line) ? shown : fitted(shown, stdout()));
    }
  };
}

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
