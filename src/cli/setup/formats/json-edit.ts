import { isObject } from "../../../lib/json.ts";
import { JsonTextError, parseJsonText, skipBlank, type JsonMember, type JsonNode } from "./json-text.ts";
import { lineEndOf, malformed, unreachable } from "./refuse.ts";

/** One value at one place; the objects on the way are made where they are missing. */
export type JsonEdit = readonly [path: readonly string[], value: unknown];

export interface JsonFile {
  readonly path: string;
  readonly isJson5?: boolean;
  /** The file is a list, not an object. */
  readonly isList?: boolean;
}

/** The whole file as plain data; an empty one is `{}`. Throws `setup_failed` with the place of the first fault. */
export function readJson(file: JsonFile, text: string): Record<string, unknown> {
  const value = text.trim() === "" ? {} : parse(file, text).value;
  if (!isHolder(value)) throw unreachable(file.path, "its value");
  return value;
}

/** True for objects, and for lists, whose entries are under their indexes. */
function isHolder(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/**
 * Sets values in the text itself: a parse and a new print would lose comments, order, spacing and trailing commas. Only
 * the bytes of a changed value are replaced, and a new member goes behind the last one of its object. The result is
 * read again and compared with what it should be. Throws `setup_failed`.
 */
export function editJson(file: JsonFile, before: string, edits: readonly JsonEdit[]): string {
  let text = before.trim() === "" ? `{}${lineEndOf(before)}` : before;
  const wanted = structuredClone(readJson(file, text));
  for (const [path, value] of edits) {
    text = setValue(file, text, path, value);
    setIn(wanted, path, value);
  }
  if (!Bun.deepEquals(parse(file, text).value, wanted)) throw unreachable(file.path, "something");
  return text;
}

/**
 * Puts an object into the list at `path` (the file itself for []): in the place of the one that has all values of `id`,
 * else behind the last. The list is made where it is missing. Throws `setup_failed`.
 */
export function putJsonItem(
  file: JsonFile,
  before: string,
  path: readonly string[],
  item: Readonly<Record<string, unknown>>,
  id: Readonly<Record<string, unknown>>,
): string {
  const empty = file.isList === true ? "[]" : "{}";
  const text = before.trim() === "" ? `${empty}${lineEndOf(before)}` : before;
  const root = parse(file, text);
  const list = nodeAt(root, path);
  if (!list) return setValue(file, text, path, [item]);
  if (list.kind !== "array") throw unreachable(file.path, path.join(".") || "the list");
  const style = styleOf(text, root);
  const known = list.items.find(
    ({ value }) => isObject(value) && Object.entries(id).every(([key, wanted]) => value[key] === wanted),
  );
  if (known) return replaceNode(text, known, item, style);
  const last = list.items.at(-1);
  const outer = indentOfLine(text, list.start);
  const inner = last ? indentOfLine(text, last.start) : outer + style.unit;
  const shown = `${style.lineEnd}${inner}${print(item, inner, style)}`;
  if (last) return `${text.slice(0, last.end)},${shown}${text.slice(last.end).replace(/^\s*,/, "")}`;
  return `${text.slice(0, list.end - 1).trimEnd()}${shown}${style.lineEnd}${outer}${text.slice(list.end - 1)}`;
}

/** Writes a value in the place of one item of the list at `path`. Throws `setup_failed`. */
export function replaceJsonItem(
  file: JsonFile,
  text: string,
  path: readonly string[],
  index: number,
  item: unknown,
): string {
  const root = parse(file, text);
  const node = nodeAt(root, path)?.items[index];
  return node ? replaceNode(text, node, item, styleOf(text, root)) : text;
}

/** Takes one item out of the list at `path`, with its comma; nothing where it is missing. Throws `setup_failed`. */
export function removeJsonItem(file: JsonFile, text: string, path: readonly string[], index: number): string {
  const list = nodeAt(parse(file, text), path);
  const item = list?.items[index];
  if (!list || !item) return text;
  const [previous, next] = [list.items[index - 1], list.items[index + 1]];
  if (next) return text.slice(0, item.start) + text.slice(next.start);
  if (previous) return text.slice(0, previous.end) + text.slice(item.end);
  return `${text.slice(0, list.start)}[]${text.slice(list.end)}`;
}

/** Takes the member at `path` out of the text, with its comma; nothing where it is missing. Throws `setup_failed`. */
export function removeJson(file: JsonFile, text: string, path: readonly string[]): string {
  let node = parse(file, text);
  for (const [depth, key] of path.entries()) {
    const index = node.members.findLastIndex((member) => member.key === key);
    const member = node.members[index];
    if (!member) return text;
    if (depth < path.length - 1) {
      node = member.node;
      continue;
    }
    const comma = skipBlank(text, member.node.end);
    const hasComma = text[comma] === ",";
    const previous = node.members[index - 1];
    // With its own comma, else with the one before it: the last member has none.
    const from = !hasComma && previous ? previous.node.end : text.slice(0, member.keyStart).trimEnd().length;
    const to = hasComma ? comma + 1 : member.node.end;
    const rest = text.slice(to);
    return node.members.length === 1 ? `${text.slice(0, from)}${rest.trimStart()}` : text.slice(0, from) + rest;
  }
  return text;
}

function nodeAt(root: JsonNode, path: readonly string[]): JsonNode | undefined {
  return path.reduce<JsonNode | undefined>(
    (node, key) => node?.members.findLast((member) => member.key === key)?.node,
    root,
  );
}

function replaceNode(text: string, node: JsonNode, value: unknown, style: Style): string {
  if (Bun.deepEquals(node.value, value)) return text;
  return text.slice(0, node.start) + print(value, indentOfLine(text, node.start), style) + text.slice(node.end);
}

function parse(file: JsonFile, text: string): JsonNode {
  try {
    const root = parseJsonText(text, file.isJson5);
    const wanted = file.isList === true ? "array" : "object";
    if (root.kind !== wanted) {
      throw new JsonTextError(
        `expected ${wanted === "array" ? "a list in brackets" : "an object in braces"}`,
        root.start,
      );
    }
    return root;
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    const lines = text.slice(0, error.offset).split("\n");
    throw malformed(
      file.path,
      file.isJson5 ? "JSON5" : "JSON",
      error.message,
      lines.length,
      (lines.at(-1) ?? "").length + 1,
    );
  }
}

function setValue(file: JsonFile, text: string, path: readonly string[], value: unknown): string {
  let node = parse(file, text);
  const style = styleOf(text, node);
  for (const [depth, key] of path.entries()) {
    if (node.kind !== "object") throw unreachable(file.path, path.slice(0, depth).join("."));
    // Of doubled names the last one counts, as in every JSON reader.
    const member = node.members.findLast((each) => each.key === key);
    if (!member) return insert(text, node, key, nested(path.slice(depth + 1), value), style);
    if (depth < path.length - 1) node = member.node;
    else return replace(text, node, member, value, style);
  }
  return text;
}

interface Style {
  readonly unit: string;
  readonly lineEnd: string;
}

function styleOf(text: string, root: JsonNode): Style {
  const first = root.members[0];
  const indent = first ? indentBefore(text, first.keyStart) : undefined;
  return { unit: indent === undefined || indent === "" ? "  " : indent, lineEnd: lineEndOf(text) };
}

function replace(text: string, parent: JsonNode, member: JsonMember, value: unknown, style: Style): string {
  if (Bun.deepEquals(member.node.value, value)) return text;
  const indent = indentOfLine(text, member.keyStart);
  const shown = isOneLine(text, parent) ? JSON.stringify(value) : print(value, indent, style);
  return text.slice(0, member.node.start) + shown + text.slice(member.node.end);
}

function insert(text: string, parent: JsonNode, key: string, value: unknown, style: Style): string {
  const last = parent.members.at(-1);
  const name = JSON.stringify(key);
  if (!last) {
    const outer = indentOfLine(text, parent.start);
    const inner = outer + style.unit;
    const head = text.slice(0, parent.end - 1).trimEnd();
    const member = `${inner}${name}: ${print(value, inner, style)}`;
    return `${head}${style.lineEnd}${member}${style.lineEnd}${outer}${text.slice(parent.end - 1)}`;
  }
  const comma = skipBlank(text, last.node.end);
  const hasComma = text[comma] === ",";
  if (isOneLine(text, parent)) {
    const at = hasComma ? comma + 1 : last.node.end;
    const compact = `${hasComma ? "" : ","} ${name}: ${JSON.stringify(value)}${hasComma ? "," : ""}`;
    return text.slice(0, at) + compact + text.slice(at);
  }
  const indent = indentBefore(text, last.keyStart) ?? indentOfLine(text, parent.start) + style.unit;
  const member = `${style.lineEnd}${indent}${name}: ${print(value, indent, style)}${hasComma ? "," : ""}`;
  const afterValue = hasComma ? comma + 1 : last.node.end;
  // A remark at the end of that line belongs to the member before.
  const remark = /^[ \t]*(?:\/\/[^\r\n]*|\/\*[^\r\n]*?\*\/[ \t]*)?(?=\r?\n|$)/.exec(text.slice(afterValue))?.[0] ?? "";
  const at = afterValue + remark.length;
  return text.slice(0, afterValue) + (hasComma ? "" : ",") + remark + member + text.slice(at);
}

function print(value: unknown, indent: string, style: Style): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((each) => print(each, indent + style.unit, style))
    : Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${print(each, indent + style.unit, style)}`);
  const [open, close] = isList ? "[]" : "{}";
  if (parts.length === 0) return `${open}${close}`;
  // Short lists of words read better on one line.
  if (isList && value.every((each) => typeof each !== "object")) return `[${parts.join(", ")}]`;
  const inner = `${style.lineEnd}${indent}${style.unit}`;
  return `${open}${inner}${parts.join(`,${inner}`)}${style.lineEnd}${indent}${close}`;
}

function isOneLine(text: string, node: JsonNode): boolean {
  return !text.slice(node.start, node.end).includes("\n");
}

/** The white space before `offset` when nothing else stands before it on its line. */
function indentBefore(text: string, offset: number): string | undefined {
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return before.trim() === "" ? before : undefined;
}

function indentOfLine(text: string, offset: number): string {
  return /[ \t]*/y.exec(text.slice(text.lastIndexOf("\n", offset - 1) + 1))?.[0] ?? "";
}

function nested(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
}

function setIn(target: Record<string, unknown>, [key = "", ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const next = target[key];
  if (isObject(next)) setIn(next, rest, value);
  else target[key] = nested(rest, value);
}
