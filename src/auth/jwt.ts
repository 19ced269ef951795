import { isObject, nonEmptyString, parseJson, type JsonObject } from "../lib/json.ts";
import { validEpochMs } from "../lib/epoch.ts";

/** What the relay reads out of a token. Tokens are not verified: that is the backend's business. */
export interface Claims {
  readonly issuedAtMs: number | undefined;
  readonly expiresAtMs: number | undefined;
  readonly accountId: string | undefined;
  readonly email: string | undefined;
  readonly plan: string | undefined;
  readonly isFedramp: boolean;
  /** Region that the workspace is pinned to, as the backend names it; undefined when it is not pinned. */
  readonly residency: string | undefined;
}

const AUTH = "https://api.openai.com/auth";
const PROFILE = "https://api.openai.com/profile";

/** The claims of a JWT; nothing is known of text that is none. */
export function readClaims(token: string | undefined): Claims {
  const payload = payloadOf(token ?? "");
  const auth = objectAt(payload, AUTH);
  return {
    issuedAtMs: momentMs(payload["iat"]),
    expiresAtMs: momentMs(payload["exp"]),
    accountId: nonEmptyString(auth["chatgpt_account_id"]),
    residency: residencyOf(auth) ?? residencyOf(payload),
    email: nonEmptyString(payload["email"]) ?? nonEmptyString(objectAt(payload, PROFILE)["email"]),
    plan: nonEmptyString(auth["chatgpt_plan_type"]),
    isFedramp: auth["chatgpt_account_is_fedramp"] === true,
  };
}

/** True for text of three parts whose middle one is a JSON object. */
export function isJwt(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 3 && isObject(payloadIn(text));
}

function residencyOf(claims: JsonObject): string | undefined {
  const value = nonEmptyString(claims["chatgpt_compute_residency"]);
  return value !== undefined && value !== "no_constraint" && /^[\w.-]{1,64}$/.test(value) ? value : undefined;
}

function payloadIn(token: string): unknown {
  return parseJson(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
}

function payloadOf(token: string): JsonObject {
  const payload = payloadIn(token);
  return isObject(payload) ? payload : {};
}

function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isObject(value) ? value : {};
}

/** Tokens count in seconds. */
function momentMs(value: unknown): number | undefined {
  return typeof value === "number" ? validEpochMs(value * 1000) : undefined;
}
