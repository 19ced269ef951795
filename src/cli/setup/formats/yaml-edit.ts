import { isObject } from "../../../lib/json.ts";
import { firstBadLine, lineEndOf, malformed, unreachable } from "./refuse.ts";

/** The file as plain data; an empty one is `{}`. Throws `setup_failed` with the line of the first fault. */
export function readYaml(path: string, text: string): Record<string, unknown> {
  const parsed = parsedOrNothing(text);
  if (!parsed)
    throw malformed(
      path,
      "YAML",
      "it cannot be read",
      firstBadLine(text, (part) => !!parsedOrNothing(part)),
    );
  const value = parsed.value ?? {};
  if (!isObject(value)) throw malformed(path, "YAML", "expected names with values at the top", 1);
  return value;
}

/**
 * Sets one text value below names that are indented under each other, in the text itself, because a new print would
 * lose comments and order. The result is read again and compared with what it should be: a file that writes the place
 * another way (in braces, through an anchor) is refused, not damaged. Throws `setup_failed`.
 */
export function setYaml(path: string, before: string, names: readonly string[], value: string): string {
  const wanted = structuredClone(readYaml(path, before));
  let at = wanted;
  for (const name of names.slice(0, -1)) {
    const next = (at[name] ??= {});
    if (!isObject(next)) throw unreachable(path, names.join("."));
    at = next;
  }
  at[names.at(-1) ?? ""] = value;
  return checked(path, withValue(before, names, value), wanted, names.join("."));
}

/** An item of a list at the top: what it is known by, and all that it says. */
export type YamlItem = Readonly<Record<string, string | number | readonly string[]>>;

/** Adds items to a list at the top of the file; one that has the same `id` value is replaced. Throws `setup_failed`. */
export function putYamlItems(
  path: string,
  before: string,
  list: string,
  items: readonly YamlItem[],
  id: string,
): string {
  let text = before;
  for (const item of items) {
    const wanted = structuredClone(readYaml(path, text));
    const present = wanted[list] ?? [];
    if (!Array.isArray(present)) throw unreachable(path, list);
    const index = (present as unknown[]).findIndex((each) => isObject(each) && each[id] === item[id]);
    wanted[list] = index < 0 ? [...(present as unknown[]), item] : (present as unknown[]).with(index, item);
    if (index >= 0 && Bun.deepEquals((present as unknown[])[index], item)) continue;
    text = checked(path, withItem(text, list, index, item), wanted, list);
  }
  return text;
}

function parsedOrNothing(text: string): { value: unknown } | undefined {
  try {
    return { value: Bun.YAML.parse(text) };
  } catch {
    return undefined;
  }
}

function checked(path: string, text: string, wanted: unknown, what: string): string {
  const parsed = parsedOrNothing(text);
  if (!parsed || !Bun.deepEquals(parsed.value, wanted)) throw unreachable(path, what);
  return text;
}

/** A text that cannot be mistaken for a number, a date or a remark. */
function scalar(value: string): string {
  return /^[A-Za-z][\w./-]*$/.test(value) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value)
    ? value
    : JSON.stringify(value);
}

interface Region {
  /** First line below the name. */
  readonly from: number;
  /** One past the last line that is not blank and no remark. */
  readonly to: number;
}

function withValue(before: string, names: readonly string[], value: string): string {
  const { lines, join } = split(before);
  let region: Region = { from: 0, to: endOfDocument(lines) };
  let indent = "";
  for (const [depth, name] of names.entries()) {
    const isLast = depth === names.length - 1;
    const at = findName(lines, region, indent, name);
    if (at === undefined) {
      const missing = names.slice(depth).map((each, deeper) => {
        const isValue = depth + deeper === names.length - 1;
        return `${indent}${"  ".repeat(deeper)}${each}:${isValue ? ` ${scalar(value)}` : ""}`;
      });
      lines.splice(region.to, 0, ...missing);
      return join(lines);
    }
    const line = lines[at] ?? "";
    if (isLast) {
      lines[at] = `${/^[^:]*:/.exec(line)?.[0] ?? ""} ${scalar(value)}${remarkOf(line)}`;
      return join(lines);
    }
    // `name: {}` becomes a name that others can stand below.
    lines[at] = line.replace(/:\s*(?:\{\s*\}|null|~)(?=\s*(?:#|$))/, ":");
    region = below(lines, at, indent);
    indent = indentWithin(lines, region) ?? `${indent}  `;
  }
  return join(lines);
}

function withItem(before: string, list: string, index: number, item: YamlItem): string {
  const { lines, join } = split(before);
  const at = findName(lines, { from: 0, to: lines.length }, "", list);
  if (at === undefined) {
    lines.splice(endOfDocument(lines), 0, `${list}:`, ...itemLines(item, "  "));
    return join(lines);
  }
  lines[at] = (lines[at] ?? "").replace(/:\s*(?:\[\s*\]|null|~)(?=\s*(?:#|$))/, ":");
  const region = below(lines, at, "");
  const indent = indentWithin(lines, region) ?? "  ";
  const starts = linesOfItems(lines, region, indent);
  const from = index < 0 ? region.to : (starts[index] ?? region.to);
  const to = index < 0 ? region.to : lastUsed(lines, from, starts[index + 1] ?? region.to);
  lines.splice(from, to - from, ...itemLines(item, indent));
  return join(lines);
}

function itemLines(item: YamlItem, indent: string): string[] {
  const lines = Object.entries(item).flatMap(([name, value]) => {
    if (typeof value === "object") return [`${name}:`, ...value.map((each) => `  - ${scalar(each)}`)];
    return [`${name}: ${typeof value === "number" ? value : scalar(value)}`];
  });
  return lines.map((line, index) => `${indent}${index === 0 ? "- " : "  "}${line}`);
}

function split(before: string): { lines: string[]; join: (lines: readonly string[]) => string } {
  const lineEnd = lineEndOf(before);
  const lines = before === "" ? [] : before.replace(/\r?\n$/, "").split(/\r?\n/);
  return { lines, join: (all) => all.join(lineEnd) + lineEnd };
}

/** Where a name that is new at the top goes: behind everything, but before remarks and `...` at the end. */
function endOfDocument(lines: readonly string[]): number {
  return lastUsed(lines, 0, lines.length);
}

function findName(lines: readonly string[], { from, to }: Region, indent: string, name: string): number | undefined {
  for (let index = from; index < to; index += 1) {
    const line = lines[index] ?? "";
    if (!line.startsWith(indent)) continue;
    const rest = line.slice(indent.length);
    if ([name, `"${name}"`, `'${name}'`].some((each) => new RegExp(`^${escape(each)}\\s*:(\\s|$)`).test(rest))) {
      return index;
    }
  }
  return undefined;
}

/** The lines that belong to the name at `at`: those indented deeper, and list items at its own depth. */
function below(lines: readonly string[], at: number, indent: string): Region {
  let end = at + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end] ?? "";
    if (isEmpty(line)) continue;
    const own = /^ */.exec(line)?.[0].length ?? 0;
    if (own < indent.length || (own === indent.length && !/^\s*-(\s|$)/.test(line))) break;
  }
  return { from: at + 1, to: lastUsed(lines, at + 1, end) };
}

function linesOfItems(lines: readonly string[], { from, to }: Region, indent: string): number[] {
  const starts: number[] = [];
  for (let index = from; index < to; index += 1) {
    if (new RegExp(`^${indent}-(\\s|$)`).test(lines[index] ?? "")) starts.push(index);
  }
  return starts;
}

function indentWithin(lines: readonly string[], { from, to }: Region): string | undefined {
  const first = lines.slice(from, to).find((line) => !isEmpty(line));
  return first === undefined ? undefined : /^ */.exec(first)?.[0];
}

function lastUsed(lines: readonly string[], from: number, to: number): number {
  let end = to;
  while (end > from && (isEmpty(lines[end - 1] ?? "") || lines[end - 1]?.trim() === "...")) end -= 1;
  return end;
}

function isEmpty(line: string): boolean {
  return /^\s*(#.*)?$/.test(line);
}

function remarkOf(line: string): string {
  return /\s+#[^"']*$/.exec(line)?.[0] ?? "";
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
