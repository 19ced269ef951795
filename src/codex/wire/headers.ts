import { isObject } from "../../lib/json.ts";
import { RESERVE_MODEL } from "../plan-limits.ts";

/** Facts that name the relay to the backend. */
export interface ClientIdentity {
  /** Version of the Codex CLI whose protocol is spoken. */
  readonly clientVersion: string;
  /** As in `Linux 6.1; x86_64`. */
  readonly platform: string;
  /** `plansocket/0.1.0`. */
  readonly product: string;
  /** Program that the backend is told to be speaking with; the Codex CLI's own is `codex_cli_rs`. */
  readonly originator: string;
}

/** Of a Codex client's request: conversation, turn and window, which it manages itself. */
const FROM_CODEX_CLIENT =
  /^(x-codex-.*|session-id|session_id|thread-id|x-client-request-id|x-openai-.*|originator|user-agent|version|openai-beta)$/;

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

/** Headers that name the relay on any backend call, before credentials. */
export function identityHeaders(identity: ClientIdentity): Record<string, string> {
  return {
    originator: identity.originator,
    "user-agent": `${identity.originator}/${identity.clientVersion} (${identity.platform}) ${identity.product}`,
    version: identity.clientVersion,
  };
}

/** Headers that tie the requests of one conversation together; `conversationId` is a UUID. */
export function conversationHeaders(conversationId: string): Record<string, string> {
  return {
    "session-id": conversationId,
    "thread-id": conversationId,
    "x-client-request-id": conversationId,
  };
}

/** Headers that requests for some models need: Luna Reserve answers only those that say that they mean it. */
export function modelHeaders(model: string): Readonly<Record<string, string>> {
  return model === RESERVE_MODEL ? RESERVE_HEADERS : NO_HEADERS;
}

const RESERVE_HEADERS = { "x-openai-codex-luna-reserve": "1" };
const NO_HEADERS = {};

/** What a Codex client sent about its conversation, to be passed on as it is. */
export function codexClientHeaders(headers: Headers): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) if (FROM_CODEX_CLIENT.test(name)) passed[name] = value;
  return passed;
}

/** True for the Codex CLI and its relatives, which speak the backend's language themselves. */
export function isCodexClient(headers: Headers): boolean {
  const originator = headers.get("originator") ?? "";
  const agent = headers.get("user-agent") ?? "";
  // Programs of the desktop kind have a space in their names, as in `Codex Desktop`.
  return /^codex[ _-]/i.test(originator) || /^codex(?:[_-](?:cli|exec|tui|vscode|ts|sdk)| desktop)/i.test(agent);
}

/** Upstream's headers that clients may see, and its plan window in the form that SDKs know. The caller's to add to. */
export function clientHeaders(upstream: Headers): Record<string, string> {
  const headers: Record<string, string> = {};
  // In one go: of `Headers`, each one that is looked at costs as much.
  const all: Readonly<Record<string, string>> = upstream.toJSON();
  for (const name in all) {
    const value = all[name];
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
export function upstreamRequestId(upstream: Headers): string | undefined {
  return upstream.get("x-request-id") ?? upstream.get("x-oai-request-id") ?? undefined;
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
