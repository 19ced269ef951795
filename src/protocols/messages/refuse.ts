import { RelayError } from "../../lib/errors.ts";

/*
 * This dialect's error body has no room for the path of a field, so the message begins with it, as in
 * `messages.0.content.1.source: …`.
 */

/** A field that has to be there and is not. */
export function missing(param: string): RelayError {
  return new RelayError("missing_required_parameter", `${param}: Field required`, { param });
}

/** A value that cannot be taken. `reason` is a clause such as "must be a string". */
export function fault(param: string, reason: string): RelayError {
  return new RelayError("invalid_value", `${param}: ${reason}.`, { param });
}

/** Something that this API has and the backend has not, and that the answer would be another one without. */
export function unsupported(param: string, reason: string): RelayError {
  return new RelayError("unsupported_value", `${param}: ${reason}.`, { param });
}
