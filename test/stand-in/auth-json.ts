import type { JsonObject } from "../../src/lib/json.ts";
import type { StandInAccount } from "./account.ts";

export interface TokenSet {
  readonly id_token: string;
  readonly access_token: string;
  readonly refresh_token: string;
}

/** `auth.json` as the Codex CLI writes it after a login. */
export function makeAuthJson(tokens: TokenSet, account: StandInAccount, issuer: string, nowMs: number): JsonObject {
  return {
    auth_mode: "chatgpt",
    OPENAI_API_KEY: null,
    tokens: {
      ...tokens,
      oauth_provenance: { issuer, client_id: account.clientId },
      login_owner_id: "c3RhbmQtaW4tbG9naW4tb3duZXItaWQ",
      account_id: account.accountId,
    },
    last_refresh: new Date(nowMs).toISOString(),
  };
}
