import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { isGiven } from "../unread-fields.ts";

/** A request in this API's own fields, and the names of the others that were honoured. */
export interface ResponsesFields {
  readonly body: JsonObject;
  readonly honoured: readonly string[];
}

/** Chat Completions' fields that say what this API says elsewhere, and where. The first of them that is given counts. */
const LIMITS = ["max_completion_tokens", "max_tokens"];

/** Without these the answer would be another one, and nothing here says the same. */
const REFUSED: Readonly<Record<string, string>> = {
  messages: "input",
  functions: "tools",
  function_call: "tool_choice",
};

/**
 * Some clients write Chat Completions' fields on this route. Those with a counterpart take its place unless it is given
 * too; those without one are refused where the answer would be another one.
 */
export function inResponsesFields(request: JsonObject): ResponsesFields {
  refuseOtherAnswers(request);
  const honoured: string[] = [];
  const body: JsonObject = { ...request };
  const limit = LIMITS.find((name) => isGiven(request[name]));
  if (limit !== undefined && !isGiven(request["max_output_tokens"])) {
    body["max_output_tokens"] = request[limit];
    honoured.push(limit);
  }
  move(body, "reasoning_effort", ["reasoning", "effort"], honoured);
  move(body, "verbosity", ["text", "verbosity"], honoured);
  const format = textFormatOf(request["response_format"]);
  if (format !== undefined) {
    body["response_format"] = format;
    move(body, "response_format", ["text", "format"], honoured);
  }
  for (const name of honoured) delete body[name];
  return { body, honoured };
}

function move(body: JsonObject, name: string, [group, field]: readonly [string, string], honoured: string[]): void {
  const given = body[group];
  const value = body[name];
  if (!isGiven(value) || (isGiven(given) && !isObject(given))) return;
  if (isObject(given) && isGiven(given[field])) return;
  body[group] = { ...(isObject(given) ? given : {}), [field]: value };
  honoured.push(name);
}

/** `response_format` as `text.format`, which has the schema's fields at its own top. */
function textFormatOf(format: unknown): JsonObject | undefined {
  if (!isObject(format)) return undefined;
  const { type, json_schema: definition } = format;
  if (type === "text" || type === "json_object") return { type };
  if (type !== "json_schema" || !isObject(definition)) return undefined;
  return { strict: false, ...definition, type };
}

function refuseOtherAnswers(request: JsonObject): void {
  for (const [name, instead] of Object.entries(REFUSED)) {
    if (!isGiven(request[name])) continue;
    throw new RelayError("unsupported_parameter", `'${name}' is a field of Chat Completions.`, {
      param: name,
      hint: `Say it in '${instead}', or ask /v1/chat/completions.`,
    });
  }
  const { n, modalities } = request;
  if (typeof n === "number" && n !== 1)
    throw new RelayError("unsupported_value", "Only n=1 is supported.", { param: "n" });
  if (Array.isArray(modalities) && modalities.some((name) => name !== "text")) {
    throw new RelayError("unsupported_value", "The Codex backend answers in text only.", { param: "modalities" });
  }
}
