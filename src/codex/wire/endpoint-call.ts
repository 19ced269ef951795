import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

/** A file out of a multipart form. */
export class Upload {
  readonly name: string;
  /** Its media type as the sender named it; "" when it did not. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(name: string, type: string, bytes: Uint8Array<ArrayBuffer>) {
    this.name = name;
    this.type = type;
    this.bytes = bytes;
  }
}

export type Endpoint = "/images/generations" | "/images/edits" | "/responses/compact" | "/transcribe";

/** One question to an endpoint of the backend beside its stream of responses; the answer is one JSON object. */
export interface EndpointCall {
  readonly endpoint: Endpoint;
  /** JSON, or the fields of a form where one of them is an Upload. */
  readonly body: Readonly<JsonObject>;
  /** Fields without which the answer would be another one: when the backend refuses one of them, the call fails. */
  readonly required: readonly string[];
}

const NOT_HERE = new Set([403, 404, 405, 410, 501]);

/**
 * True when the backend has no such endpoint, or not for this account: what was asked for may be had another way, and
 * repeating cannot help.
 */
export function isEndpointRefused(error: RelayError): boolean {
  if (error.code === "model_not_found" || error.code === "quota_exceeded") return false;
  return NOT_HERE.has(error.upstreamBody?.status ?? 0);
}

/** An answer's objects under `name`. Throws when there is no list of them: an answer without is none. */
export function objectsIn(answer: JsonObject, name: string): JsonObject[] {
  const list = answer[name];
  if (Array.isArray(list)) return list.filter(isObject);
  throw new RelayError("upstream_error", `Upstream's answer has no '${name}'.`, { shouldRetry: false });
}
