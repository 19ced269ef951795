import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { asList, asObject, shown } from "../../src/demo/json.ts";

/** What is wrong with a schema in strict mode, in the server's words; undefined when nothing is. */
export function strictSchemaFault(schema: JsonObject): string | undefined {
  if (schema["type"] !== "object") {
    return `schema must be a JSON Schema of 'type: "object"', got 'type: "${shown(schema["type"])}"'.`;
  }
  return faultIn(schema, []);
}

function faultIn(schema: unknown, path: readonly string[]): string | undefined {
  if (!isObject(schema)) return undefined;
  return ownFault(schema, path) ?? faultBelow(schema, path);
}

/** Of JSON Schema, what strict mode leaves out. */
const NOT_PERMITTED = ["allOf", "oneOf", "not", "if", "patternProperties", "uniqueItems", "default", "contains"];

function ownFault(schema: JsonObject, path: readonly string[]): string | undefined {
  const context = `In context=(${path.map((step) => `'${step}'`).join(", ")}), `;
  const banned = NOT_PERMITTED.find((keyword) => schema[keyword] !== undefined);
  if (banned !== undefined) return `${context}'${banned}' is not permitted.`;
  if (/\(\?<?[=!]/.test(shown(schema["pattern"] ?? ""))) return `${context}'pattern' must not look around.`;
  const isObjectType = schema["type"] === "object" || asList(schema["type"]).includes("object");
  if (!isObjectType) return undefined;
  if (schema["additionalProperties"] !== false) {
    return `${context}'additionalProperties' is required to be supplied and to be false.`;
  }
  const required = asList(schema["required"]);
  const absent = Object.keys(asObject(schema["properties"])).find((name) => !required.includes(name));
  if (absent !== undefined) {
    return (
      `${context}'required' is required to be supplied and to be an array including every key in properties. ` +
      `Missing '${absent}'.`
    );
  }
  const extra = required.find((name) => !(shown(name) in asObject(schema["properties"])));
  return extra === undefined
    ? undefined
    : `${context}'required' is invalid. Extra required key '${shown(extra)}' supplied.`;
}

function faultBelow(schema: JsonObject, path: readonly string[]): string | undefined {
  for (const group of ["properties", "$defs", "definitions"]) {
    for (const [name, child] of Object.entries(asObject(schema[group]))) {
      const fault = faultIn(child, [...path, group, name]);
      if (fault !== undefined) return fault;
    }
  }
  for (const [index, child] of asList(schema["anyOf"]).entries()) {
    const fault = faultIn(child, [...path, "anyOf", String(index)]);
    if (fault !== undefined) return fault;
  }
  return faultIn(schema["items"], [...path, "items"]);
}
