import { RelayError } from "../../lib/errors.ts";

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
