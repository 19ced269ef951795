import { isObject } from "../../../lib/json.ts";
import { parseToml } from "./toml-text.ts";
import { firstBadLine, lineEndOf, malformed, unreachable } from "./refuse.ts";
import { messageOf } from "../../../lib/thrown.ts";

export type TomlValue = string | boolean;

/** The file as plain data. Throws `setup_failed` with the line of the first fault. */
export function readToml(path: string, text: string): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    const reason = messageOf(error).replace(/^TOML Parse error: /, "");
    throw malformed(path, "TOML", reason, firstBadLine(text, isToml));
  }
}

/**
 * Sets simple values of one table (`[]` is the top) in the text itself, line by line, because a new print would lose
 * comments and order. A table that is missing is added at the end. The result is read again and compared with what it
 * should be, so that a table written in a form that this does not know (inline, dotted) is refused, not damaged.
 */
export function editToml(
  path: string,
  before: string,
  table: readonly string[],
  values: Readonly<Record<string, TomlValue>>,
): string {
  const wanted = structuredClone(readToml(path, before));
  Object.assign(tableOf(path, wanted, table), values);
  const text = withValues(before, table, values);
  if (!isToml(text) || !Bun.deepEquals(parseToml(text), wanted)) throw unreachable(path, `[${table.join(".")}]`);
  return text;
}

function isToml(text: string): boolean {
  try {
    parseToml(text);
    return true;
  } catch {
    return false;
  }
}

function tableOf(path: string, root: Record<string, unknown>, table: readonly string[]): Record<string, unknown> {
  let at = root;
  for (const name of table) {
    const next = (at[name] ??= {});
    if (!isObject(next)) throw unreachable(path, table.join("."));
    at = next;
  }
  return at;
}

function withValues(before: string, table: readonly string[], values: Readonly<Record<string, TomlValue>>): string {
  const lineEnd = lineEndOf(before);
  const lines = before === "" ? [] : before.replace(/\r?\n$/, "").split(/\r?\n/);
  const place = regionOf(lines, table);
  const own = place ?? { from: lines.length, to: lines.length };
  const missing: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    const at = lines.findIndex((line, index) => index >= own.from && index < own.to && keyOf(line) === key);
    if (at < 0) missing.push(`${key} = ${JSON.stringify(value)}`);
    else lines[at] = withValue(lines[at] ?? "", value);
  }
  if (missing.length > 0) {
    const at = lastUsedLine(lines, own);
    // Keys at the top keep a line of air before the first table.
    const air = table.length === 0 && /^\s*\[/.test(lines[at] ?? "") ? [""] : [];
    lines.splice(at, 0, ...header(place, table, lines), ...missing, ...air);
  }
  return lines.length === 0 ? "" : lines.join(lineEnd) + lineEnd;
}

interface Region {
  /** First line after the header. */
  readonly from: number;
  /** One past its last line. */
  readonly to: number;
}

/** The lines of a table; a header-like line inside a text or an array of several lines is none. */
function regionOf(lines: readonly string[], table: readonly string[]): Region | undefined {
  const headers: { index: number; name: string | undefined }[] = [];
  let open = "";
  for (const [index, line] of lines.entries()) {
    if (open === "") {
      const match = /^\s*\[(\[?)([^[\]]+)\]\]?\s*(?:#.*)?$/.exec(line);
      if (match) {
        headers.push({ index, name: match[1] === "[" ? undefined : nameOf(match[2] ?? "") });
        continue;
      }
    }
    open = openAfter(line, open);
  }
  const wanted = table.join("\0");
  if (table.length === 0) return { from: 0, to: headers[0]?.index ?? lines.length };
  const found = headers.findIndex(({ name }) => name === wanted);
  const header = headers[found];
  return header && { from: header.index + 1, to: headers[found + 1]?.index ?? lines.length };
}

function nameOf(header: string): string {
  const parts = header.match(/"(?:[^"\\]|\\.)*"|'[^']*'|[^\s."']+/g) ?? [];
  return parts.map((part) => part.replace(/^["']|["']$/g, "")).join("\0");
}

/** Behind the quotes that close a text of several lines; of five in a row two belong to it, and so do escaped ones. */
function endOfText(line: string, quotes: string, from: number): number | undefined {
  const closing = quotes === '"""' ? /(?:\\.|[^\\])*?"{3,5}/y : /.*?'{3,5}/y;
  closing.lastIndex = from;
  return closing.test(line) ? closing.lastIndex : undefined;
}

/** What is still open at the end of a line: `"""`, `'''`, or one `[` or `{` for each bracket of a value. */
function openAfter(line: string, open: string): string {
  let state = open;
  let at = 0;
  while (at < line.length) {
    if (state === '"""' || state === "'''") {
      const end = endOfText(line, state, at);
      if (end === undefined) return state;
      at = end;
      state = "";
      continue;
    }
    const token = /"""|'''|"(?:[^"\\]|\\.)*"|'[^']*'|#.*|[[\]{}]|./y;
    token.lastIndex = at;
    const found = token.exec(line)?.[0] ?? "";
    at += Math.max(1, found.length);
    if (found.startsWith("#")) break;
    if (found === '"""' || found === "'''") state = found;
    else if (found === "[" || found === "{") state += found;
    else if (found === "]" || found === "}") state = state.slice(0, -1);
  }
  return state;
}

function keyOf(line: string): string | undefined {
  const match = /^\s*(?:"([^"]+)"|'([^']+)'|([\w-]+))\s*=/.exec(line);
  return match?.[1] ?? match?.[2] ?? match?.[3];
}

/** Another value on the line of a key; a remark behind it stays. */
function withValue(line: string, value: TomlValue): string {
  const [, head = "", , tail = ""] = /^([^=]*=\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^#]*?)(\s*(?:#.*)?)$/.exec(line) ?? [];
  return head === "" ? line : `${head}${JSON.stringify(value)}${tail}`;
}

function lastUsedLine(lines: readonly string[], { from, to }: Region): number {
  let at = to;
  while (at > from && /^\s*(#.*)?$/.test(lines[at - 1] ?? "")) at -= 1;
  // A table that is new goes behind everything, also behind remarks at the end of the file.
  return from === lines.length ? lines.length : at;
}

function header(place: Region | undefined, table: readonly string[], lines: readonly string[]): string[] {
  if (place || table.length === 0) return [];
  const name = table.map((part) => (/^[\w-]+$/.test(part) ? part : JSON.stringify(part))).join(".");
  return [...(lines.length > 0 && lines.at(-1)?.trim() !== "" ? [""] : []), `[${name}]`];
}
