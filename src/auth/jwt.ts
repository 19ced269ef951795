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
}

const AUTH = "https://api.openai.com/auth";
const PROFILE = "https://api.openai.com/profile";

/** The claims of a JWT; nothing is known of text that is none. */
export function readClaims(token: string | undefined): Claims {
  const payload = payloadOf(token ?? "");
  const auth = objectAt(payload, AUTH);
  const organizations = auth["organizations"] ?? payload["organizations"];
  const first: unknown = Array.isArray(organizations) ? organizations[0] : undefined;
  return {
    issuedAtMs: momentMs(payload["iat"]),
    expiresAtMs: momentMs(payload["exp"]),
    accountId:
      nonEmptyString(auth["chatgpt_account_id"]) ?? (isObject(first) ? nonEmptyString(first["id"]) : undefined),
    email: nonEmptyString(payload["email"]) ?? nonEmptyString(objectAt(payload, PROFILE)["email"]),
    plan: nonEmptyString(auth["chatgpt_plan_type"]),
    isFedramp: auth["chatgpt_account_is_fedramp"] === true,
  };
}

function payloadOf(token: string): JsonObject {
  const payload = parseJson(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
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
