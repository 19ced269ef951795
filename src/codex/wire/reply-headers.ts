import { isObject } from "../../lib/json.ts";

/** Of an upstream reply: why this account may not do this, in words for the person. */
export const AUTHORIZATION_HEADER = "x-openai-authorization-error";

/** Of an upstream reply, for every client, beside all that begin with `x-codex-`. */
const FOR_CLIENT: ReadonlySet<string> = new Set([
  AUTHORIZATION_HEADER,
  "x-models-etag",
  "x-reasoning-included",
  "openai-model",
  "openai-processing-ms",
]);

/** The state of a turn, which the backend wants back with the turn's next request. */
export const TURN_STATE_HEADER = "x-codex-turn-state";

/** A reply's headers by their names in lower case. */
export type ReplyHeaders = Readonly<Record<string, string | undefined>>;

/** All headers in one go: of `Headers`, each one that is looked at costs as much. */
export function namedHeaders(headers: Headers): ReplyHeaders {
  return headers.toJSON();
}

/** Upstream's headers that clients may see, and its plan window in the form that SDKs know. The caller's to add to. */
export function clientHeaders(upstream: ReplyHeaders): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name in upstream) {
    const value = upstream[name];
    if (value !== undefined && (name.startsWith("x-codex-") || FOR_CLIENT.has(name))) headers[name] = value;
  }
  addRateLimit(headers);
  return headers;
}

const WINDOWS = ["primary", "secondary", "monthly", "spend"].map((window) => ({
  usedPercent: `x-codex-${window}-used-percent`,
  resetAfter: `x-codex-${window}-reset-after-seconds`,
}));

/** The first window that upstream names, as a percentage of 100 "requests". */
function addRateLimit(headers: Record<string, string>): void {
  for (const { usedPercent, resetAfter } of WINDOWS) {
    const used = Number.parseFloat(headers[usedPercent] ?? "");
    if (Number.isNaN(used)) continue;
    headers["x-ratelimit-limit-requests"] = "100";
    headers["x-ratelimit-remaining-requests"] = String(Math.max(0, Math.round(100 - used)));
    const reset = Number.parseInt(headers[resetAfter] ?? "", 10);
    if (!Number.isNaN(reset)) headers["x-ratelimit-reset-requests"] = `${reset}s`;
    return;
  }
}

/** Upstream's own name for a request. */
export function upstreamRequestId(upstream: ReplyHeaders): string | undefined {
  return upstream["x-request-id"] ?? upstream["x-oai-request-id"];
}

/** The headers that an error frame carries in place of a reply's own. */
export function frameHeaders(value: unknown): Headers {
  const headers = new Headers();
  if (!isObject(value)) return headers;
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== "string" && typeof text !== "number") continue;
    try {
      headers.set(name, String(text));
    } catch {
      // A name or value that no HTTP header can have.
    }
  }
  return headers;
}
