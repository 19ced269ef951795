import { diffArrays } from "diff";

/** Unchanged lines shown around a change. */
const CONTEXT_LINES = 3;

interface DiffLine {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

/**
 * What changes between two texts, as a unified diff without line numbers. Values of keys and tokens are masked: a
 * preview ends up in scrollbacks and bug reports.
 */
export function previewOf(path: string, before: string | undefined, after: string): string {
  const lines = diff(linesOf(before ?? ""), linesOf(after));
  const shown = lines.map((_, index) => {
    const near = lines.slice(Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1);
    return near.some(({ mark }) => mark !== " ");
  });
  const body: string[] = [];
  for (const [index, { mark, text }] of lines.entries()) {
    if (shown[index]) body.push(`${mark} ${masked(text)}`.trimEnd());
    else if (shown[index - 1] === true || index === 0) body.push("  …");
  }
  return [`--- ${before === undefined ? "(new file)" : path}`, `+++ ${path}`, ...body].join("\n");
}

function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** Beyond so many differing lines the two are shown whole, one after the other: the search is quadratic in them. */
const MOST_DIFFERENCES = 2000;

function diff(before: readonly string[], after: readonly string[]): DiffLine[] {
  const parts = diffArrays([...before], [...after], { maxEditLength: MOST_DIFFERENCES });
  const marked = (mark: DiffLine["mark"], lines: readonly string[]) => lines.map((text): DiffLine => ({ mark, text }));
  if (!parts) return [...marked("-", before), ...marked("+", after)];
  return parts.flatMap(({ added, removed, value }) => marked(added ? "+" : removed ? "-" : " ", value));
}

function masked(line: string): string {
  return line.replace(
    /((?:api[-_]?key|[-_]key|token|secret|password)["']?\s*[:=]\s*)(["']?)[^"',\s{}[\]]+\2/gi,
    (_, name: string, quote: string) => `${name}${quote}••••${quote}`,
  );
}
