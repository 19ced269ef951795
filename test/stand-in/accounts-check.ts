import type { JsonObject } from "../../src/lib/json.ts";
import type { StandInAccount } from "./account.ts";

/** The body of /wham/accounts/check. The Codex CLI goes on only if `origin` is https. */
export function accountsReply(account: StandInAccount, origin: string): JsonObject {
  return {
    accounts: [
      {
        id: account.accountId,
        plan_type: account.plan,
        workspace_backend_origin: origin,
        account_routing_override: "NO_CONSTRAINT",
        name: null,
        profile_picture_url: null,
        structure: "personal",
      },
    ],
    account_ordering: [account.accountId],
    default_account_id: account.accountId,
  };
}
