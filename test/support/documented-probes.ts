import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { Shape } from "./documented-types.ts";

type ObjectShape = Extract<Shape, { kind: "object" }>;

/** One parameter of an API: a value with it, and the same without. */
export interface Probe {
  /** Names from the top, without places in lists. */
  readonly path: readonly string[];
  /** The kinds of the objects on the way, where there are several: their `type` or `role`. */
  readonly kinds: readonly string[];
  readonly without: unknown;
  readonly with: unknown;
  /** What the parameter says. */
  readonly value: unknown;
}

/** Sample values of fields whose type says too little, by the field's name. */
export type Samples = Readonly<JsonObject>;

/** Every field in a type, with each of its values, and the fields inside those, `depth` objects deep. */
export function* probesOf(shape: Shape, samples: Samples, depth: number): Generator<Probe> {
  if (shape.kind === "union") {
    for (const each of shape.of) yield* probesOf(each, samples, depth);
  } else if (shape.kind === "array") yield* elementsOf(shape.of, samples, depth);
  else if (shape.kind === "object") yield* fieldsOf(shape, samples, depth);
}

function* elementsOf(shape: Shape, samples: Samples, depth: number): Generator<Probe> {
  for (const each of shape.kind === "union" ? shape.of : [shape]) {
    const kind = kindOf(each);
    const value = leastOf(each, samples);
    if (kind !== undefined) yield { path: [], kinds: [kind], without: [], with: [value], value };
    for (const probe of probesOf(each, samples, depth)) {
      yield { ...probe, without: [probe.without], with: [probe.with] };
    }
  }
}

function* fieldsOf(shape: ObjectShape, samples: Samples, depth: number): Generator<Probe> {
  const least = leastOf(shape, samples) as JsonObject;
  const kind = kindOf(shape);
  const kinds = kind === undefined ? [] : [kind];
  for (const [name, { shape: of, isRequired }] of shape.fields) {
    for (const value of isRequired ? [] : valuesOf(of, name, samples)) {
      yield { path: [name], kinds, without: least, with: { ...least, [name]: value }, value };
    }
    if (depth <= 1 || Object.hasOwn(samples, name)) continue;
    for (const probe of probesOf(of, samples, depth - 1)) {
      yield {
        path: [name, ...probe.path],
        kinds: [...kinds, ...probe.kinds],
        without: { ...least, [name]: probe.without },
        with: { ...least, [name]: probe.with },
        value: probe.value,
      };
    }
  }
}

/** What a value of the type may be: each literal and each kind of object once, with what is required and nothing else. */
function valuesOf(shape: Shape, name: string, samples: Samples): unknown[] {
  if (Object.hasOwn(samples, name) && shape.kind !== "literal") return [samples[name]];
  switch (shape.kind) {
    case "literal":
      return [shape.value];
    case "string":
    case "unknown":
      return ["x"];
    case "number":
      // Where one is usual, two is not.
      return [2];
    case "record":
      return [{ a: "b" }];
    case "array":
      return valuesOf(shape.of, name, samples).map((value) => [value]);
    case "object":
      return [leastOf(shape, samples)];
    case "union":
      return distinct(shape.of.flatMap((each) => valuesOf(each, name, samples)));
    default:
      return shape satisfies never;
  }
}

function distinct(values: unknown[]): unknown[] {
  return values.filter((value, index) => values.findIndex((other) => Bun.deepEquals(other, value)) === index);
}

function leastOf(shape: Shape, samples: Samples): unknown {
  if (shape.kind !== "object") return valuesOf(shape, "", samples)[0];
  const required = [...shape.fields].filter(([, { isRequired }]) => isRequired);
  return Object.fromEntries(required.map(([name, { shape: of }]) => [name, valuesOf(of, name, samples)[0]]));
}

/** What tells an object of a union from the others. */
function kindOf(shape: Shape): string | undefined {
  if (shape.kind !== "object") return undefined;
  const literals = ["type", "role"].map((name) => shape.fields.get(name)?.shape);
  const found = literals.find((each) => each?.kind === "literal");
  return found?.kind === "literal" ? String(found.value) : undefined;
}

/** True for a value that says nothing: false, or an object or a list with nothing in it but who speaks. */
export function isNothing(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === false || (isObject(value) && Object.keys(value).every((key) => key === "role"));
}
