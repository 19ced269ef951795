import { RelayError } from "../lib/errors.ts";

/** A field that has to be there and is not, in OpenAI's words. */
export function missing(param: string): RelayError {
  return new RelayError("missing_required_parameter", `Missing required parameter: '${param}'.`, { param });
}

/** A value that is not among those allowed. `supported` is the list as it reads in the sentence. */
export function unknownValue(value: unknown, supported: string, param: string): RelayError {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return new RelayError("invalid_value", `Invalid value: '${text.slice(0, 60)}'. Supported values are: ${supported}.`, {
    param,
  });
}

/** A value of the wrong type. `expected` reads as in "an array of objects". */
export function wrongType(param: string, expected: string, value: unknown): RelayError {
  const got = typeName(value);
  return new RelayError("invalid_type", `Invalid type for '${param}': expected ${expected}, but got ${got} instead.`, {
    param,
  });
}

const MOST_STOPS = 4;

/** What is wrong with a list of stop sequences that is longer than OpenAI's APIs take. */
export function tooManyStops(stop: unknown): RelayError | undefined {
  if (!Array.isArray(stop) || stop.length <= MOST_STOPS) return undefined;
  return new RelayError(
    "array_above_max_length",
    `Invalid 'stop': array too long. Expected an array with maximum length ${MOST_STOPS}, but got an array with length ${stop.length} instead.`,
    { param: "stop" },
  );
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return Number.isInteger(value) ? "an integer" : "a decimal number";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
