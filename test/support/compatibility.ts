import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = join(import.meta.dir, "../../.github/COMPATIBILITY.md");

/** Parts of the file, each written by its own script. */
export type Section = "suites" | "clients";

/** Puts what a script found into its part of the file, with the day. Throws where the file has no such part. */
export function record(section: Section, lines: readonly string[], now: Date): void {
  writeFileSync(FILE, withSection(readFileSync(FILE, "utf8"), section, lines, now.toISOString().slice(0, 10)));
}

/** A text with everything between a part's marks replaced. `day` is YYYY-MM-DD. */
export function withSection(text: string, section: Section, lines: readonly string[], day: string): string {
  const [start, end] = [`<!-- ${section} -->\n`, `<!-- /${section} -->\n`];
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from === -1 || to < from) throw new Error(`No part '${section}' in the file.`);
  const part = [`Run on ${day}.`, "", ...lines, ""].join("\n");
  return text.slice(0, from + start.length) + part + text.slice(to);
}
