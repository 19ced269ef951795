import type { FlagRow } from "./flag-rows.ts";

/** A command, as the table loads it. */
export interface Command {
  /** A sentence or two, for its help. */
  readonly description: string;
  /** Asked for by help, completions and the manual alone. */
  readonly flags: () => readonly FlagRow[];
  /** `argv` is what stands behind its name. Returns the exit code, 0 where there is none. Throws RelayError. */
  readonly run: (argv: readonly string[]) => Promise<number | void> | number;
}
