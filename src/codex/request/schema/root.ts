import { isObject, listOf, type JsonObject } from "../../../lib/json.ts";
import { DefinitionMover, resolved } from "./references.ts";

/** Keywords that some of the backend's models refuse at the top of a tool's schema. */
const NOT_AT_ROOT = ["anyOf", "oneOf", "allOf", "enum", "const", "not", "$ref"] as const;

/** The rules about an object, drawn together from all the places that state them. */
interface ObjectRules {
  readonly properties: ReadonlyMap<string, unknown>;
  readonly required: readonly string[];
  /** Nothing beside the named properties is allowed. */
  readonly isClosed: boolean;
}

const NO_RULES: ObjectRules = { properties: new Map(), required: [], isClosed: false };

/**
 * One plain object schema that allows all that `schema` allows, with every property and every fixed value of its
 * choices. What only one of several branches asks for is no longer asked for. The schema itself where it is plain.
 */
export function plainRoot(schema: JsonObject): JsonObject {
  const isPlain = schema["type"] === "object" && NOT_AT_ROOT.every((keyword) => schema[keyword] === undefined);
  if (isPlain) return schema;
  const rules = new RuleReader(schema).rulesOf(schema);
  const rest = Object.fromEntries(
    Object.entries(schema).filter(([keyword]) => !NOT_AT_ROOT.some((refused) => refused === keyword)),
  );
  const { required: _required, ...annotations } = rest;
  const plain: JsonObject = {
    ...annotations,
    type: "object",
    properties: Object.fromEntries(rules.properties),
    ...(rules.required.length > 0 ? { required: [...rules.required] } : {}),
    ...(rules.isClosed ? { additionalProperties: false } : {}),
  };
  return new DefinitionMover(schema, plain).moved();
}

/** Draws rules together; schemas may refer to each other in circles, so each is looked at once. */
class RuleReader {
  readonly #root: JsonObject;
  readonly #known = new Map<unknown, ObjectRules>();

  constructor(root: JsonObject) {
    this.#root = root;
  }

  rulesOf(schema: unknown): ObjectRules {
    const { target, siblings } = resolved(schema, this.#root);
    const beside = siblings.map((sibling) => this.rulesOf(sibling));
    return [...beside, this.#ofTarget(target)].reduce(both);
  }

  #ofTarget(target: unknown): ObjectRules {
    if (!isObject(target)) return NO_RULES;
    const known = this.#known.get(target);
    if (known) return known;
    // Whoever comes round to it again has nothing to add.
    this.#known.set(target, NO_RULES);
    const inner = (keyword: string) => listIn(target, keyword).map((branch) => this.rulesOf(branch));
    const choices = [inner("anyOf"), inner("oneOf")].filter((branches) => branches.length > 0).map(either);
    const rules = [ownRules(target), ...inner("allOf"), ...choices].reduce(both);
    this.#known.set(target, rules);
    return rules;
  }
}

function ownRules(schema: JsonObject): ObjectRules {
  return {
    properties: new Map(Object.entries(isObject(schema["properties"]) ? schema["properties"] : {})),
    required: textsIn(schema["required"]),
    isClosed: schema["additionalProperties"] === false,
  };
}

/** What holds when two sets of rules hold at once. */
function both(left: ObjectRules, right: ObjectRules): ObjectRules {
  return {
    properties: merged(left.properties, right.properties, intersection),
    required: [...new Set([...left.required, ...right.required])],
    isClosed: left.isClosed || right.isClosed,
  };
}

/** What holds whichever of several branches is taken. */
function either(branches: readonly ObjectRules[]): ObjectRules {
  return branches.reduce((left, right) => ({
    properties: merged(left.properties, right.properties, union),
    required: left.required.filter((name) => right.required.includes(name)),
    isClosed: left.isClosed && right.isClosed,
  }));
}

function merged(
  left: ReadonlyMap<string, unknown>,
  right: ReadonlyMap<string, unknown>,
  merge: (left: unknown, right: unknown) => unknown,
): Map<string, unknown> {
  const all = new Map(left);
  for (const [name, schema] of right) all.set(name, all.has(name) ? merge(all.get(name), schema) : schema);
  return all;
}

/** A value that fits one of two schemas. Fixed values become one list of them. */
function union(left: unknown, right: unknown): unknown {
  if (Bun.deepEquals(left, right)) return left;
  if (isObject(left) && isObject(right)) {
    const [some, more] = [fixedValues(left), fixedValues(right)];
    if (some && more && left["type"] === right["type"]) {
      const { const: _const, ...rest } = left;
      const values = [...some, ...more].filter((entry, index, all) => firstLike(all, entry) === index);
      return { ...rest, enum: values };
    }
  }
  const alternatives = [...alternativesOf(left), ...alternativesOf(right)];
  return { anyOf: alternatives.filter((entry, index) => firstLike(alternatives, entry) === index) };
}

/** A value that fits both of two schemas. */
function intersection(left: unknown, right: unknown): unknown {
  if (Bun.deepEquals(left, right) || right === true) return left;
  if (left === true) return right;
  if (isObject(left) && isObject(right)) {
    const clashes = Object.keys(left).some(
      (keyword) => keyword in right && !Bun.deepEquals(left[keyword], right[keyword]),
    );
    if (!clashes) return { ...left, ...right };
  }
  return { allOf: [left, right] };
}

function fixedValues(schema: JsonObject): unknown[] | undefined {
  if (schema["const"] !== undefined) return [schema["const"]];
  return Array.isArray(schema["enum"]) ? (schema["enum"] as unknown[]) : undefined;
}

function alternativesOf(schema: unknown): unknown[] {
  const isChoice = isObject(schema) && Array.isArray(schema["anyOf"]) && Object.keys(schema).length === 1;
  return isChoice ? [...listOf(schema["anyOf"])] : [schema];
}

function firstLike(list: readonly unknown[], value: unknown): number {
  return list.findIndex((entry) => Bun.deepEquals(entry, value));
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

function listIn(schema: JsonObject, keyword: string): unknown[] {
  const list = schema[keyword];
  return Array.isArray(list) ? (list as unknown[]) : [];
}
