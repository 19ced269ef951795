import { isObject, type JsonObject } from "../../lib/json.ts";
import { fault } from "./refuse.ts";
import type { MessagesRequest } from "./schema.ts";

/** The structured answer that is asked for, as Responses' `text.format`; undefined for plain text. */
export function textFormatOf(request: MessagesRequest): JsonObject | undefined {
  const param = request.output_config?.format ? "output_config.format" : "output_format";
  const format = request.output_config?.format ?? request.output_format;
  if (!format) return undefined;
  if (format.type !== "json_schema") throw fault(`${param}.type`, "must be json_schema");
  const schema = format["schema"];
  if (!isObject(schema)) throw fault(`${param}.schema`, "must be an object");
  // The backend wants a name, which this API has not.
  return { type: "json_schema", name: "answer", schema, strict: fitsStrictMode(schema) };
}

/** Keywords that the backend's strict mode does not take anywhere in a schema. */
const LOOSE = ["allOf", "oneOf", "not", "if", "then", "else", "patternProperties", "dependentSchemas"];

/**
 * True for a schema that the backend's strict mode takes: objects that are closed and whose every property is required.
 * This API makes fewer demands, and what does not fit is better taken as advice than refused.
 */
export function fitsStrictMode(schema: JsonObject): boolean {
  return schema["type"] === "object" && schema["anyOf"] === undefined && isClosed(schema);
}

function isClosed(schema: unknown): boolean {
  if (!isObject(schema)) return false;
  if (LOOSE.some((keyword) => schema[keyword] !== undefined)) return false;
  const { properties, items, anyOf, $defs, definitions, required } = schema;
  const isObjectType =
    schema["type"] === "object" || (Array.isArray(schema["type"]) && schema["type"].includes("object"));
  if (isObjectType || properties !== undefined) {
    const names = Object.keys(isObject(properties) ? properties : {});
    if (schema["additionalProperties"] !== false) return false;
    if (!names.every((name) => Array.isArray(required) && required.includes(name))) return false;
  }
  const inner = [properties, $defs, definitions].flatMap((group) => (isObject(group) ? Object.values(group) : []));
  const listed = [items, ...(Array.isArray(anyOf) ? (anyOf as unknown[]) : [])].filter((entry) => entry !== undefined);
  return [...inner, ...listed].every(isClosed);
}
