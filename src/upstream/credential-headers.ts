import type { Credentials } from "../auth/credentials.ts";

/** Who is asking, as the backend wants to hear it. */
export function credentialHeaders(credentials: Credentials): Record<string, string> {
  return {
    authorization: `Bearer ${credentials.accessToken}`,
    ...(credentials.accountId === undefined ? {} : { "chatgpt-account-id": credentials.accountId }),
    ...(credentials.isFedramp ? { "x-openai-fedramp": "true" } : {}),
  };
}
