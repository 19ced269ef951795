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

/** Lines of both, in order, by the longest common subsequence of what differs between a common head and tail. */
function diff(before: readonly string[], after: readonly string[]): DiffLine[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  const room = Math.min(before.length, after.length) - head;
  while (tail < room && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const same = (text: string): DiffLine => ({ mark: " ", text });
  return [
    ...before.slice(0, head).map(same),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

function middle(before: readonly string[], after: readonly string[]): DiffLine[] {
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      const [below, right] = [common[i + 1]?.[j] ?? 0, common[i]?.[j + 1] ?? 0];
      const row = common[i];
      if (row) row[j] = before[i] === after[j] ? (common[i + 1]?.[j + 1] ?? 0) + 1 : Math.max(below, right);
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push({ mark: " ", text: before[i] ?? "" });
      [i, j] = [i + 1, j + 1];
    } else if (j >= after.length || (i < before.length && (common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0))) {
      lines.push({ mark: "-", text: before[i] ?? "" });
      i += 1;
    } else {
      lines.push({ mark: "+", text: after[j] ?? "" });
      j += 1;
    }
  }
  return lines;
}

function masked(line: string): string {
  return line.replace(
    /((?:api[-_]?key|[-_]key|token|secret|password)["']?\s*[:=]\s*)(["']?)[^"',\s{}[\]]+\2/gi,
    (_, name: string, quote: string) => `${name}${quote}••••${quote}`,
  );
}
