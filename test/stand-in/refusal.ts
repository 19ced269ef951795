import type { JsonObject } from "../../src/lib/json.ts";
import { shown } from "../../src/demo/json.ts";

/** A "no" of the stand-in, in the words of the real backend. */
export interface Refusal {
  readonly status: number;
  readonly body: JsonObject;
  /** The sentence inside the body, for tests and logs. */
  readonly detail: string;
}

/** The backend's own short form. */
export function refuse(detail: string, status = 400): Refusal {
  return { status, body: { detail }, detail };
}

/** The public API's envelope, which the backend uses for whatever the model server checks. */
export function refuseParam(message: string, param: string | null, code: string | null = null, status = 400): Refusal {
  return {
    status,
    body: { error: { message, type: "invalid_request_error", param, code } },
    detail: message,
  };
}

export function missing(param: string): Refusal {
  return refuseParam(`Missing required parameter: '${param}'.`, param, "missing_required_parameter");
}

export function wrongType(param: string, expected: string): Refusal {
  return refuseParam(`Invalid type for '${param}': expected ${expected}.`, param, "invalid_type");
}

export function wrongValue(param: string, value: unknown, supported: readonly string[]): Refusal {
  const list = supported.map((name) => `'${name}'`).join(", ");
  const message = `Invalid value: '${shown(value)}'. Supported values are: ${list}.`;
  return refuseParam(message, param, "invalid_value");
}

export function unknownKey(param: string): Refusal {
  return refuseParam(`Unknown parameter: '${param}'.`, param, "unknown_parameter");
}

/** The first refusal of a row of checks that are run one after the other. */
export function firstRefusal<T>(
  things: Iterable<T>,
  check: (thing: T, index: number) => Refusal | undefined,
): Refusal | undefined {
  let index = 0;
  for (const thing of things) {
    const refusal = check(thing, index);
    if (refusal) return refusal;
    index += 1;
  }
  return undefined;
}
