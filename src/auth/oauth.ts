import { z } from "zod";
import { parseJson } from "../lib/json.ts";
import { unreachable } from "../lib/unreachable.ts";
import { errorCode, networkRefusal, type AuthFetch } from "./login-service.ts";
import type { FreshTokens } from "./source.ts";

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

/** Why the token endpoint gave nothing. `isPermanent`: this refresh token is dead, asking again is useless. */
export class RefreshFailure extends Error {
  readonly isPermanent: boolean;
  /** Somebody else has spent the token: newer ones may be on disk. */
  readonly isReused: boolean;
  /** What may help, as a sentence; only where the network is at fault. */
  readonly hint: string | undefined;

  constructor(message: string, kind: { isPermanent: boolean; isReused?: boolean; hint?: string; cause?: unknown }) {
    super(message, { cause: kind.cause });
    this.isPermanent = kind.isPermanent;
    this.isReused = kind.isReused ?? false;
    this.hint = kind.hint;
  }
}

const TIMEOUT_MS = 30_000;

const TokenReply = z.looseObject({
  access_token: z.string().min(1).nullish(),
  refresh_token: z.string().min(1).nullish(),
  id_token: z.string().min(1).nullish(),
});

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
  const reply = TokenReply.safeParse(parseJson(text));
  const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken } = reply.data ?? {};
  // Any field may be missing. A refresh token that comes alone must be kept all the same: the old one is spent.
  if (!accessToken && !refreshToken) {
    throw new RefreshFailure("The login service answered with something that is no token.", { isPermanent: false });
  }
  return {
    accessToken: accessToken ?? undefined,
    refreshToken: refreshToken ?? undefined,
    idToken: idToken ?? undefined,
  };
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
    throw new RefreshFailure(`The login could not be renewed: ${message}`, {
      isPermanent: false,
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
