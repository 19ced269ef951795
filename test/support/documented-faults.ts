import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { Shape } from "./documented-types.ts";

/** What a value lacks, or has of another kind, beside its documented type; each with its place. More than that may be there. */
export function faultsOf(shape: Shape, value: unknown, path = ""): string[] {
  switch (shape.kind) {
    case "literal":
      return value === shape.value ? [] : [`${path}: ${JSON.stringify(value)} is not ${JSON.stringify(shape.value)}`];
    case "string":
    case "number":
      return typeof value === shape.kind ? [] : [`${path}: ${JSON.stringify(value)} is no ${shape.kind}`];
    case "record":
      return isObject(value) ? [] : [`${path}: ${JSON.stringify(value)} is no object`];
    case "unknown":
      return [];
    case "array":
      if (!Array.isArray(value)) return [`${path}: ${JSON.stringify(value)} is no list`];
      return value.flatMap((entry, index) => faultsOf(shape.of, entry, `${path}[${index}]`));
    case "union":
      return faultsInUnion(shape.of, value, path);
    case "object":
      return isObject(value)
        ? faultsInFields(shape.fields, value, path)
        : [`${path}: ${JSON.stringify(value)} is no object`];
    default:
      return shape satisfies never;
  }
}

function faultsInFields(
  fields: Extract<Shape, { kind: "object" }>["fields"],
  value: JsonObject,
  path: string,
): string[] {
  return [...fields].flatMap(([name, { shape, isRequired, mayBeNull }]) => {
    const at = path === "" ? name : `${path}.${name}`;
    const field = value[name];
    if (field === undefined) return isRequired ? [`${at} is missing`] : [];
    if (field === null) return mayBeNull ? [] : [`${at} is null`];
    return faultsOf(shape, field, at);
  });
}

/** Of the kind that the value says it is, else of the one that it is most like. */
function faultsInUnion(shapes: readonly Shape[], value: unknown, path: string): string[] {
  const meant = shapes.filter((shape) => isMeant(shape, value));
  const found = (meant.length > 0 ? meant : shapes).map((shape) => faultsOf(shape, value, path));
  return found.toSorted((one, other) => one.length - other.length)[0] ?? [];
}

function isMeant(shape: Shape, value: unknown): boolean {
  if (shape.kind !== "object" || !isObject(value)) return false;
  const type = shape.fields.get("type")?.shape;
  return type?.kind === "literal" && type.value === value["type"];
}
