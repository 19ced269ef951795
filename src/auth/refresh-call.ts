import { isObject, parseJson } from "../lib/json.ts";
import { unreachable } from "../lib/unreachable.ts";
import { isJwt } from "./jwt.ts";
import { errorCode, networkRefusal, type AuthFetch } from "./login-service.ts";
import type { FreshTokens } from "./sources/source.ts";
import { errorCode as systemCode, errorName } from "../lib/thrown.ts";

export type RefreshReason = "proactive_expiry" | "unauthorized_recovery";

export interface RefreshCall {
  readonly fetch: AuthFetch;
  /** The proxy that a URL would use, without its credentials; for messages. */
  readonly proxyFor: (url: string) => string | undefined;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly refreshToken: string;
  readonly reason: RefreshReason;
}

interface FailureKind {
  readonly isPermanent: boolean;
  readonly isReused?: boolean;
  readonly isTimeout?: boolean;
  readonly mayBeSpent?: boolean;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Why the token endpoint gave nothing. `isPermanent`: this refresh token is dead, asking again is useless. */
export class RefreshFailure extends Error {
  readonly isPermanent: boolean;
  /** Somebody else has spent the token: newer ones may be on disk. */
  readonly isReused: boolean;
  /** No answer came in time. */
  readonly isTimeout: boolean;
  /** The token was sent, and nothing tells what became of it. */
  readonly mayBeSpent: boolean;
  /** What may help, as a sentence; only where the network is at fault. */
  readonly hint: string | undefined;

  constructor(message: string, kind: FailureKind) {
    super(message, { cause: kind.cause });
    this.isTimeout = kind.isTimeout ?? false;
    this.mayBeSpent = kind.mayBeSpent ?? false;
    this.isPermanent = kind.isPermanent;
    this.isReused = kind.isReused ?? false;
    this.hint = kind.hint;
  }
}

/** Commands have an answer for their user within 20 seconds. */
const TIMEOUT_MS = 18_000;

const PERMANENT: Readonly<Record<string, string>> = {
  refresh_token_expired: "The login has expired.",
  refresh_token_reused: "The login was already renewed by another program.",
  refresh_token_invalidated: "The login was revoked.",
};

/** Spends a refresh token. Throws RefreshFailure; its message is one sentence for people, without secrets. */
export async function refreshTokens(call: RefreshCall): Promise<FreshTokens> {
  const response = await post(call);
  const text = await response.text().catch(() => "");
  if (!response.ok) throw failureOf(response.status, text);
  const fresh = readTokens(parseJson(text.replace(/^\uFEFF/, "")));
  // A refresh token that comes alone is kept: the old one is spent.
  if (fresh.accessToken === undefined && fresh.refreshToken === undefined) {
    const page = networkRefusal(response.status, text);
    throw new RefreshFailure(page ?? "The login service answered with something that is no token.", {
      isPermanent: false,
      mayBeSpent: page === undefined,
    });
  }
  return fresh;
}

/**
 * Field by field: an odd value of one field must not cost the others, as the refresh token that was sent is spent. The
 * Codex CLI cannot read a file whose id_token is no JWT, so only a JWT replaces the old one.
 */
function readTokens(reply: unknown): FreshTokens {
  const { access_token: access, refresh_token: refresh, id_token: identity } = isObject(reply) ? reply : {};
  return {
    accessToken: tokenText(access),
    // It only ever travels in JSON, so any text will do.
    refreshToken: typeof refresh === "string" ? refresh.trim() || undefined : undefined,
    idToken: typeof identity === "string" && isJwt(identity) ? identity : undefined,
  };
}

/** Text that fits into a header. */
function tokenText(value: unknown): string | undefined {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value.trim()) ? value.trim() : undefined;
}

async function post(call: RefreshCall): Promise<Response> {
  try {
    return await call.fetch(call.tokenUrl, {
      method: "POST",
      // On one that has died in the pool nobody could tell whether the token was spent.
      keepalive: false,
      headers: { "content-type": "application/json", accept: "*/*" },
      body: JSON.stringify({
        client_id: call.clientId,
        grant_type: "refresh_token",
        refresh_reason: call.reason,
        refresh_token: call.refreshToken,
      }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    const { message, hint } = unreachable(cause, new URL(call.tokenUrl).host, call.proxyFor(call.tokenUrl));
    const isTimeout = errorName(cause) === "TimeoutError";
    throw new RefreshFailure(`The login could not be renewed: ${message}`, {
      isPermanent: false,
      isTimeout,
      mayBeSpent: isTimeout || systemCode(cause) === "ECONNRESET",
      ...(hint === undefined ? {} : { hint }),
      cause,
    });
  }
}

function failureOf(status: number, text: string): RefreshFailure {
  const code = errorCode(parseJson(text));
  const known = code === undefined ? undefined : PERMANENT[code];
  if (known !== undefined)
    return new RefreshFailure(known, { isPermanent: true, isReused: code === "refresh_token_reused" });
  const network = networkRefusal(status, text);
  if (network !== undefined) return new RefreshFailure(network, { isPermanent: false });
  if (status === 401 || (status === 400 && code === "invalid_grant")) {
    return new RefreshFailure("The login could not be renewed.", { isPermanent: true });
  }
  return new RefreshFailure(`The login service answered ${status}.`, { isPermanent: false });
}
