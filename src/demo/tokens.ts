import type { JsonObject } from "../lib/json.ts";
import type { DemoAccount } from "./account.ts";

export interface TokenTimes {
  readonly nowMs: number;
  readonly expiresInMs: number;
}

/** An unsigned JWT with the claims that clients read, and `more` of them. No client checks the signature. */
export function makeJwt(
  account: DemoAccount,
  issuer: string,
  times: TokenTimes,
  id: string,
  more: { readonly auth?: JsonObject; readonly root?: JsonObject } = {},
): string {
  const issuedAt = Math.floor(times.nowMs / 1000);
  const claims = {
    iss: issuer,
    aud: ["https://api.openai.com/v1"],
    client_id: "app_EMoamEEZ73f0CkXaXp7hrann",
    jti: id,
    iat: issuedAt,
    exp: issuedAt + Math.floor(times.expiresInMs / 1000),
    email: account.email,
    email_verified: true,
    "https://api.openai.com/auth": {
      chatgpt_account_id: account.accountId,
      chatgpt_user_id: account.userId,
      user_id: account.userId,
      chatgpt_plan_type: account.plan,
      chatgpt_account_is_fedramp: account.isFedramp,
      organization_id: "org-stand-in",
      project_id: "proj_stand_in",
      completed_platform_onboarding: true,
      is_org_owner: true,
      ...more.auth,
    },
    "https://api.openai.com/profile": { email: account.email, email_verified: true },
    ...more.root,
  };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.${Buffer.from("stand-in").toString("base64url")}`;
}
