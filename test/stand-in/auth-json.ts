import { CLIENT_ID } from "../../src/demo/tokens.ts";
import type { JsonObject } from "../../src/lib/json.ts";

export interface TokenSet {
  readonly id_token: string;
  readonly access_token: string;
  readonly refresh_token: string;
}

/** `auth.json` as the Codex CLI writes it after a login. */
export function makeAuthJson(tokens: TokenSet, accountId: string, issuer: string, nowMs: number): JsonObject {
  return {
    auth_mode: "chatgpt",
    OPENAI_API_KEY: null,
    tokens: {
      ...tokens,
      oauth_provenance: { issuer, client_id: CLIENT_ID },
      login_owner_id: "c3RhbmQtaW4tbG9naW4tb3duZXItaWQ",
      account_id: accountId,
    },
    last_refresh: new Date(nowMs).toISOString(),
  };
}
