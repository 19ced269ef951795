import type { JsonObject } from "../lib/json.ts";
import type { IssuedTokens } from "./code-exchange.ts";
import { readClaims } from "./jwt.ts";
import type { LoginService } from "./login-service.ts";
import { randomText } from "./pkce.ts";

/**
 * A new login in the form in which the Codex CLI keeps its own, key by key. The owner id is random there too. No API
 * key is asked for: a plan's login does not need one.
 */
export function newLoginFile(
  tokens: IssuedTokens,
  service: Pick<LoginService, "issuer" | "clientId">,
  nowMs: number,
): JsonObject {
  const accountId = accountOf(tokens);
  return {
    auth_mode: "chatgpt",
    OPENAI_API_KEY: null,
    tokens: {
      id_token: tokens.idToken,
      access_token: tokens.accessToken,
      refresh_token: tokens.refreshToken,
      oauth_provenance: { issuer: service.issuer, client_id: service.clientId },
      login_owner_id: randomText(32),
      ...(accountId === undefined ? {} : { account_id: accountId }),
    },
    last_refresh: new Date(nowMs).toISOString(),
  };
}

/** A new login for a sidecar's environment. `expires_at` is in epoch seconds, null when the token does not say. */
export function printedLogin(tokens: IssuedTokens): JsonObject {
  const { expiresAtMs } = readClaims(tokens.accessToken);
  return {
    refresh_token: tokens.refreshToken,
    access_token: tokens.accessToken,
    expires_at: expiresAtMs === undefined ? null : Math.floor(expiresAtMs / 1000),
    account_id: accountOf(tokens) ?? null,
  };
}

function accountOf(tokens: IssuedTokens): string | undefined {
  return readClaims(tokens.idToken).accountId ?? readClaims(tokens.accessToken).accountId;
}
