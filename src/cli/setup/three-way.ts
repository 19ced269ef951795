import { extname } from "node:path";
import { applyPatch, structuredPatch } from "diff";
import { isObject } from "../../lib/json.ts";
import { editJson, readJson, removeJson, type JsonFile } from "./formats/json-edit.ts";

/** Lines around a change that may have changed meanwhile. */
const FUZZ_LINES = 2;

/**
 * A file's text without what setup put there, after its client or its owner has edited it: `written` is what setup
 * wrote, `before` what was there. Values that were changed since stay as they are. Undefined where the two cannot be
 * told apart any more.
 */
export function withoutOurs(path: string, before: string, written: string, current: string): string | undefined {
  if (/^\.json[c5]?$/.test(extname(path))) {
    const isList = written.trimStart().startsWith("[");
    if (!isList) return jsonWithoutOurs({ path, isJson5: path.endsWith("5") }, before, written, current);
  }
  const patch = structuredPatch(path, path, written, before, "", "", { context: FUZZ_LINES });
  const text = applyPatch(current, patch, { fuzzFactor: FUZZ_LINES, autoConvertLineEndings: true });
  return text === false ? undefined : text;
}

function jsonWithoutOurs(file: JsonFile, before: string, written: string, current: string): string | undefined {
  try {
    let text = current;
    for (const { path, old } of changesBetween(readJson(file, before), readJson(file, written))) {
      const value = valueAt(readJson(file, written), path);
      // What somebody has changed since is theirs.
      if (!Bun.deepEquals(valueAt(readJson(file, text), path), value)) continue;
      text = old === undefined ? removeEmptied(file, text, path, before) : editJson(file, text, [[path, old.value]]);
    }
    return text;
  } catch {
    return undefined;
  }
}

interface Difference {
  readonly path: readonly string[];
  /** Undefined where there was no such member. */
  readonly old: { readonly value: unknown } | undefined;
}

function changesBetween(before: unknown, after: unknown, path: readonly string[] = []): Difference[] {
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
