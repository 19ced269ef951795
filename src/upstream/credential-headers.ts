import type { Credentials } from "../auth/credentials.ts";

/** A workspace that is pinned to a region is refused without it (contract 0.1). */
const RESIDENCY_HEADER = "x-openai-internal-codex-residency";

/** Headers that say to the backend who is asking. */
export function credentialHeaders(credentials: Credentials): Record<string, string> {
  return {
    authorization: `Bearer ${credentials.accessToken}`,
    ...(credentials.accountId === undefined ? {} : { "chatgpt-account-id": credentials.accountId }),
    ...(credentials.residency === undefined ? {} : { [RESIDENCY_HEADER]: credentials.residency }),
    ...(credentials.isFedramp ? { "x-openai-fedramp": "true" } : {}),
  };
}
