import { RelayError } from "../../lib/errors.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import type { ChatRequest } from "./schema.ts";
import { missing, unknownValue } from "../refuse.ts";

/** `response_format` as Responses' `text.format`; undefined for plain text. */
export function textFormatOf(request: ChatRequest): JsonObject | undefined {
  const format = request.response_format;
  switch (format?.type) {
    case undefined:
      return ownFormat(request);
    case "text":
      return undefined;
    case "json_object":
      return { type: "json_object" };
    case "json_schema":
      return schemaFormat(format["json_schema"]);
    default:
      throw unknownValue(format?.type, "'text', 'json_object', and 'json_schema'", "response_format.type");
  }
}

/** True when the answer is meant for a JSON parser and nothing else may stand in it. */
export function wantsJson(request: ChatRequest): boolean {
  const type = request.response_format?.type ?? ownFormat(request)?.["type"];
  return type === "json_object" || type === "json_schema";
}

/** `text.format` as it is: what clients that send Responses' `input` speak of instead. */
function ownFormat(request: ChatRequest): JsonObject | undefined {
  const { text } = request;
  const format = isObject(text) ? text["format"] : undefined;
  return isObject(format) && format["type"] !== "text" ? format : undefined;
}

function schemaFormat(definition: unknown): JsonObject {
  if (!isObject(definition)) throw missing("response_format.json_schema");
  const name = nonEmptyString(definition["name"]);
  if (name === undefined) throw missing("response_format.json_schema.name");
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw new RelayError(
      "invalid_value",
      "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]{1,64}$'.",
      { param: "response_format.json_schema.name" },
    );
  }
  const { description, schema, strict } = definition;
  return {
    type: "json_schema",
    name,
    ...(typeof description === "string" ? { description } : {}),
    schema: isObject(schema) ? schema : {},
    strict: strict === true,
  };
}
