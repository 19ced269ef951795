import { extname } from "node:path";
import { applyPatch, structuredPatch, type StructuredPatch, type StructuredPatchHunk } from "diff";
import { isObject } from "../../lib/json.ts";
import { editJson, readJson, removeJson, removeJsonItem, replaceJsonItem, type JsonFile } from "./formats/json-edit.ts";
import { skipBlank } from "./formats/json-text.ts";
import { parseToml } from "./formats/toml-text.ts";

/** Lines around a change that may have changed meanwhile. */
const FUZZ_LINES = 2;

/**
 * A file's text without what setup put there, after its client or its owner has edited it: `written` is what setup
 * wrote, `before` what was there. Values that were changed since stay as they are. Undefined where the two cannot be
 * told apart any more.
 */
export function withoutOurs(path: string, before: string, written: string, current: string): string | undefined {
  if (/^\.json[c5]?$/.test(extname(path))) {
    const isList = skipBlankStart(written) === "[";
    return jsonWithoutOurs({ path, isJson5: path.endsWith("5"), isList }, before, written, current);
  }
  const patch = structuredPatch(path, path, written, before, "", "", { context: FUZZ_LINES });
  const text = patched(current, patch);
  if (extname(path) !== ".toml" || text === undefined || keepsTheirs(text, written, current)) return text;
  // They have put keys below a table that setup began: its header stays.
  const rest = patched(current, { ...patch, hunks: patch.hunks.map(withHeaders) });
  return rest !== undefined && keepsTheirs(rest, written, current) ? rest : undefined;
}

function patched(text: string, patch: StructuredPatch): string | undefined {
  const result = applyPatch(text, patch, { fuzzFactor: FUZZ_LINES, autoConvertLineEndings: true });
  return result === false ? undefined : result;
}

function withHeaders(hunk: StructuredPatchHunk): StructuredPatchHunk {
  const lines = hunk.lines.map((line) => (/^-\s*\[/.test(line) ? ` ${line.slice(1)}` : line));
  return { ...hunk, lines, newLines: lines.filter((line) => !line.startsWith("-") && !line.startsWith("\\")).length };
}

/** True when every value that was set since setup wrote the file is still under its own name. */
function keepsTheirs(text: string, written: string, current: string): boolean {
  const now = tomlLeaves(current);
  // A file that its owner broke has no names to lose.
  if (!now) return true;
  const ours = tomlLeaves(written);
  const rest = tomlLeaves(text);
  return [...now].every(([name, value]) => ours?.get(name) === value || rest?.get(name) === value);
}

function tomlLeaves(text: string): Map<string, string> | undefined {
  try {
    return new Map(leavesOf(parseToml(text)));
  } catch {
    return undefined;
  }
}

/** Every value of a document that is no table, as JSON, by its path. */
function leavesOf(value: unknown, path: readonly string[] = []): [string, string][] {
  if (!isObject(value)) return [[JSON.stringify(path), JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

function jsonWithoutOurs(file: JsonFile, before: string, written: string, current: string): string | undefined {
  try {
    let text = current;
    for (const { path, old } of changesBetween(readJson(file, before), readJson(file, written))) {
      const value = valueAt(readJson(file, written), path);
      const now = valueAt(readJson(file, text), path);
      if (Array.isArray(value) && Array.isArray(now)) {
        const rest = listWithoutOurs(file, text, path, { old: old?.value, written: value });
        if (rest === undefined) return undefined;
        const isEmptied = old === undefined && path.length > 0 && isEmptyList(valueAt(readJson(file, rest), path));
        text = isEmptied ? removeEmptied(file, rest, path, before) : rest;
        continue;
      }
      // What somebody has changed since is theirs.
      if (!Bun.deepEquals(now, value)) continue;
      text = old === undefined ? removeEmptied(file, text, path, before) : editJson(file, text, [[path, old.value]]);
    }
    return text;
  } catch {
    return undefined;
  }
}

/**
 * The items of a list that setup added are taken out one by one, and one that it replaced comes back in its place.
 * Undefined where an item of setup's was edited: nobody can say whose it is then.
 */
function listWithoutOurs(
  file: JsonFile,
  current: string,
  path: readonly string[],
  { old, written }: { readonly old: unknown; readonly written: readonly unknown[] },
): string | undefined {
  const before: readonly unknown[] = Array.isArray(old) ? old : [];
  let text = current;
  for (const [place, ours] of written.entries()) {
    if (has(before, ours)) continue;
    const now = valueAt(readJson(file, text), path);
    const items: readonly unknown[] = Array.isArray(now) ? now : [];
    const index = items.findIndex((item) => Bun.deepEquals(item, ours));
    if (index === -1 && items.some((item) => !has(before, item) && isEditOf(item, ours))) return undefined;
    if (index === -1) continue;
    // Setup replaces an item where it stands, and adds others behind the last.
    const isReplaced = place < before.length && !has(written, before[place]);
    text = isReplaced
      ? replaceJsonItem(file, text, path, index, before[place])
      : removeJsonItem(file, text, path, index);
  }
  return text;
}

function has(items: readonly unknown[], wanted: unknown): boolean {
  return items.some((item) => Bun.deepEquals(item, wanted));
}

/** True of two objects of which most members are the same. */
function isEditOf(item: unknown, ours: unknown): boolean {
  if (!isObject(item) || !isObject(ours)) return false;
  const members = Object.entries(ours);
  return members.filter(([key, value]) => Bun.deepEquals(item[key], value)).length * 2 > members.length;
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** The first character that is neither white space nor part of a remark. */
function skipBlankStart(text: string): string | undefined {
  return text[skipBlank(text, 0)];
}

interface Difference {
  readonly path: readonly string[];
  /** Undefined where there was no such member. */
  readonly old: { readonly value: unknown } | undefined;
}

function changesBetween(before: unknown, after: unknown, path: readonly string[] = []): Difference[] {
  if (Array.isArray(after)) return [{ path, old: Array.isArray(before) ? { value: before } : undefined }];
  if (!isObject(after) || !isObject(before)) return [];
  return Object.entries(after).flatMap(([key, value]): Difference[] => {
    const at = [...path, key];
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    if (isObject(value) && (isObject(old) || old === undefined)) {
      const inner = changesBetween(old ?? {}, value, at);
      return inner.length > 0 || old !== undefined ? inner : [{ path: at, old: undefined }];
    }
    if (Bun.deepEquals(old, value)) return [];
    return [{ path: at, old: Object.hasOwn(before, key) ? { value: old } : undefined }];
  });
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), root);
}

/** Takes a member out, and with it the objects around it that setup made and that hold nothing else. */
function removeEmptied(file: JsonFile, text: string, path: readonly string[], before: string): string {
  let at = path;
  let rest = removeJson(file, text, at);
  while (at.length > 1) {
    at = at.slice(0, -1);
    const parent = valueAt(readJson(file, rest), at);
    const wasThere = valueAt(readJson(file, before), at) !== undefined;
    if (wasThere || !isObject(parent) || Object.keys(parent).length > 0) break;
    rest = removeJson(file, rest, at);
  }
  return rest;
}
