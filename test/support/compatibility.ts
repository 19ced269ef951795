import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = join(import.meta.dir, "../../.github/COMPATIBILITY.md");

/** Parts of the file, each written by its own script. */
export type Section = "suites" | "clients";

/** A row of a table, and what else there is to say of it. */
export interface Finding {
  /** The first cell; no other row of its table has it. */
  readonly name: string;
  readonly cells: readonly string[];
  readonly remarks: readonly string[];
}

/** Puts rows into their part of the file, each with the day, in the place of those of the same name. */
export function record(section: Section, columns: readonly string[], findings: readonly Finding[], now: Date): void {
  const day = now.toISOString().slice(0, 10);
  const dated = findings.map((finding) => ({ ...finding, cells: [...finding.cells, day] }));
  writeFileSync(FILE, withFindings(readFileSync(FILE, "utf8"), section, [...columns, "run on"], dated));
}

/** The lines of a table, and below it what there is to say of its rows. */
export function tableLines(columns: readonly string[], findings: readonly Finding[]): string[] {
  const rows = [columns, columns.map(() => "---"), ...findings.map(({ name, cells }) => [name, ...cells])];
  const remarks = findings.flatMap(({ name, remarks }) => remarks.map((remark) => `- ${name}: ${remark}`));
  return [...rows.map((cells) => `| ${cells.join(" | ")} |`), ...(remarks.length === 0 ? [] : ["", ...remarks])];
}

/** A text with a part's rows replaced or added. Throws where it has no such part. */
export function withFindings(
  text: string,
  section: Section,
  columns: readonly string[],
  findings: readonly Finding[],
): string {
  const [start, end] = [`<!-- ${section} -->\n`, `<!-- /${section} -->\n`];
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from === -1 || to < from) throw new Error(`No part '${section}' in the file.`);
  const rows = new Map(findingsIn(text.slice(from, to)).map((finding) => [finding.name, finding]));
  for (const finding of findings) rows.set(finding.name, finding);
  const lines = tableLines(columns, [...rows.values()]);
  return `${text.slice(0, from + start.length)}\n${lines.join("\n")}\n\n${text.slice(to)}`;
}

/** The rows of a table as it was written. */
function findingsIn(text: string): Finding[] {
  const lines = text.split("\n");
  const [, , ...rows] = lines.filter((line) => line.startsWith("| "));
  return rows.map((row) => {
    const [name = "", ...cells] = row.slice(2, -2).split(" | ");
    const mark = `- ${name}: `;
    const remarks = lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
    return { name, cells, remarks };
  });
}
