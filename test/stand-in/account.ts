import { DEMO_ACCOUNT, type DemoAccount } from "../../src/demo/account.ts";
import type { JsonObject } from "../../src/lib/json.ts";

/** Who is signed in at the stand-in. */
export interface StandInAccount extends DemoAccount {
  /** Region that the workspace is pinned to, as `chatgpt_compute_residency` of its tokens says it. */
  readonly residency: string | undefined;
  /** Where the claim stands: with the other claims about the account, or at the root of the token. */
  readonly residencyAt: "auth" | "root";
  /** Client that the login was made with. */
  readonly clientId: string;
  /** What the usage endpoint says instead of the usual windows. */
  readonly usage: JsonObject;
}

/** What a test says about an account; the rest is made up. */
export interface LoginOptions {
  readonly accountId?: string;
  readonly plan?: string;
  readonly email?: string;
  readonly expiresInMs?: number;
  readonly fedramp?: boolean;
  readonly residency?: string;
  readonly residencyAt?: "auth" | "root";
  readonly clientId?: string;
  readonly usage?: JsonObject;
}

/** The public client id of every Codex login. */
export const CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann";

export function makeAccount(login: LoginOptions): StandInAccount {
  return {
    accountId: login.accountId ?? DEMO_ACCOUNT.accountId,
    userId: DEMO_ACCOUNT.userId,
    email: login.email ?? DEMO_ACCOUNT.email,
    plan: login.plan ?? DEMO_ACCOUNT.plan,
    isFedramp: login.fedramp === true,
    residency: login.residency,
    residencyAt: login.residencyAt ?? "auth",
    clientId: login.clientId ?? CLIENT_ID,
    usage: login.usage ?? {},
  };
}
