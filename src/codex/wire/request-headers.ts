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
