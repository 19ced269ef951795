import { isObject, type JsonObject } from "../../../lib/json.ts";

/** A schema with one of these at its top says there what it allows. */
const COMPOSES = ["$ref", "allOf", "anyOf", "oneOf", "enum", "const", "not", "if"] as const;

/**
 * Tools whose schemas have what the backend refuses every request without: an object at the top, and its properties.
 * Nothing of what is there changes; tools that lack nothing stay the very same objects.
 */
export function completeTools(tools: readonly unknown[]): unknown[] {
  return tools.map(completeTool);
}

function completeTool(tool: unknown): unknown {
  if (!isObject(tool)) return tool;
  const { tools } = tool;
  if (tool["type"] === "namespace" && Array.isArray(tools)) {
    const inner = completeTools(tools);
    return inner.every((entry, index) => entry === tools[index]) ? tool : { ...tool, tools: inner };
  }
  if (tool["type"] !== "function") return tool;
  const { parameters } = tool;
  if (parameters === undefined || parameters === null) {
    return { ...tool, parameters: { type: "object", properties: {} } };
  }
  if (!isObject(parameters)) return tool;
  const complete = completeSchema(parameters);
  return complete === parameters ? tool : { ...tool, parameters: complete };
}

function completeSchema(schema: JsonObject): JsonObject {
  if (COMPOSES.some((keyword) => schema[keyword] !== undefined)) return schema;
  const lacksType = schema["type"] === undefined || schema["type"] === null;
  if (!lacksType && schema["type"] !== "object") return schema;
  const lacksProperties = schema["properties"] === undefined || schema["properties"] === null;
  if (!lacksType && !lacksProperties) return schema;
  return {
    ...schema,
    ...(lacksType ? { type: "object" } : {}),
    ...(lacksProperties ? { properties: {} } : {}),
  };
}
