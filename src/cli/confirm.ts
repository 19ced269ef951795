import { createInterface } from "node:readline";
import { RelayError } from "../lib/errors.ts";
import { printableText } from "../lib/printable.ts";
import { fitted } from "./wrap.ts";
import { stderr } from "./streams.ts";

/**
 * A yes-or-no question on the terminal; anything but yes is no. Where nobody can answer it throws `usage`, with the
 * flag that answers instead: a script must not hang.
 */
export async function confirm(question: string, insteadFlag: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new RelayError("usage", `${question} Nobody can answer here: this is no terminal.`, {
      hint: `Add ${insteadFlag} to say yes.`,
    });
  }
  const terminal = createInterface({ input: process.stdin, output: stderr() });
  const { promise, resolve } = Promise.withResolvers<string>();
  terminal.question(`${fitted(printableText(`${question} [y/N]`), stderr())} `, resolve);
  // The end of input is no answer, and so no yes.
  terminal.on("close", () => resolve(""));
  const answer = await promise;
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** What is typed or piped in, line by line, until `close`. */
export interface Lines extends AsyncIterable<string> {
  close(): void;
}

/** Lines of stdin. Not for use together with a pending `confirm`. */
export function typedLines(): Lines {
  const terminal = createInterface({ input: process.stdin });
  return {
    [Symbol.asyncIterator]: () => terminal[Symbol.asyncIterator](),
    close() {
      terminal.close();
      process.stdin.pause();
    },
  };
}
