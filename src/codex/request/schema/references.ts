import { isObject, type JsonObject, objectOf } from "../../../lib/json.ts";

/** A chain of references this long is a circle. */
const LONGEST_CHAIN = 32;

/** Deeper schemas stay as they are: no model follows them, and no server takes them. */
const DEEPEST = 64;

/** What a schema stands for, and what stood beside the references on the way, which holds as well. */
interface Resolved {
  readonly target: unknown;
  readonly siblings: readonly JsonObject[];
}

/** Follows references inside one document. Those that lead nowhere, outside or in a circle lead to an empty schema. */
export function resolved(schema: unknown, root: JsonObject): Resolved {
  const siblings: JsonObject[] = [];
  const seen = new Set<unknown>();
  let target = schema;
  while (isObject(target) && typeof target["$ref"] === "string") {
    if (seen.has(target) || seen.size > LONGEST_CHAIN) return { target: {}, siblings };
    seen.add(target);
    const { $ref, ...beside } = target;
    if (Object.keys(beside).length > 0) siblings.push(beside);
    target = lookUp(root, $ref) ?? {};
  }
  return { target, siblings };
}

/** What a reference such as `#/$defs/Line` leads to; undefined for other documents and for nothing. */
export function lookUp(root: unknown, reference: unknown): unknown {
  if (typeof reference !== "string" || !/^#(\/|$)/.test(reference)) return undefined;
  return reference
    .split("/")
    .slice(1)
    .reduce<unknown>((at, part) => {
      const name = unescaped(part);
      if (Array.isArray(at)) return /^\d+$/.test(name) ? (at[Number(name)] as unknown) : undefined;
      return isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
    }, root);
}

/** As JSON pointers in URIs are written (RFC 6901, section 6). */
function unescaped(part: string): string {
  let text = part;
  try {
    text = decodeURIComponent(part);
  } catch {
    // No escape after all.
  }
  return text.replaceAll("~1", "/").replaceAll("~0", "~");
}

/**
 * Gives a rebuilt schema the definitions that its references still need: what `before` had in places that `after` does
 * not have moves to `$defs`.
 */
export class DefinitionMover {
  readonly #before: JsonObject;
  readonly #after: JsonObject;
  readonly #names = new Map<string, string>();
  readonly #definitions: JsonObject = {};

  constructor(before: JsonObject, after: JsonObject) {
    this.#before = before;
    this.#after = after;
  }

  /** `after` with every reference leading somewhere; the object itself where all of them do. */
  moved(): JsonObject {
    const schema = objectOf(this.#walked(this.#after, 0));
    if (this.#names.size === 0) return schema;
    const known = isObject(schema["$defs"]) ? schema["$defs"] : {};
    return { ...schema, $defs: { ...known, ...this.#definitions } };
  }

  #walked(value: unknown, depth: number): unknown {
    if (depth > DEEPEST) return value;
    if (Array.isArray(value)) {
      const list = value.map((entry: unknown) => this.#walked(entry, depth + 1));
      return list.every((entry, index) => entry === value[index]) ? value : list;
    }
    if (!isObject(value)) return value;
    const entries = Object.entries(value).map(([keyword, inner]) => {
      return [keyword, keyword === "$ref" ? this.#reference(inner, depth) : this.#walked(inner, depth + 1)] as const;
    });
    return entries.every(([keyword, inner]) => inner === value[keyword]) ? value : Object.fromEntries(entries);
  }

  #reference(reference: unknown, depth: number): unknown {
    if (typeof reference !== "string" || lookUp(this.#after, reference) !== undefined) return reference;
    const known = this.#names.get(reference);
    if (known !== undefined) return known;
    const target = lookUp(this.#before, reference);
    if (target === undefined) return reference;
    const name = `moved_${this.#names.size + 1}`;
    this.#names.set(reference, `#/$defs/${name}`);
    this.#definitions[name] = this.#walked(target, depth + 1);
    return `#/$defs/${name}`;
  }
}
