/** What one upstream request needs to prove who is asking. Never logged. */
export interface Credentials {
  /** `chatgpt` speaks to the plan's backend, `api-key` to the public API. */
  readonly kind: "chatgpt" | "api-key";
  /** Access token or API key: the value after `Bearer `. */
  readonly accessToken: string;
  /** Value of `chatgpt-account-id`; absent for API keys. */
  readonly accountId: string | undefined;
  /** When the access token ends, in epoch milliseconds; undefined when it cannot be read. */
  readonly expiresAtMs: number | undefined;
  /** True sends `x-openai-fedramp: true`. */
  readonly isFedramp: boolean;
  /** Region that the workspace is pinned to; sent as `x-openai-internal-codex-residency`. */
  readonly residency?: string | undefined;
  readonly email: string | undefined;
  readonly plan: string | undefined;
  /** Where they came from, for people: `~/.codex/auth.json` or `environment`. */
  readonly source: string;
}

/**
 * Hands out credentials that are good for now. Implemented by `CredentialKeeper`; tests and `demo` may bring their own.
 * All methods throw `RelayError`: `codex_auth_required` when there is no usable login, saying what to run, and
 * `upstream_unreachable` when a good one cannot be renewed right now.
 */
export interface CredentialProvider {
  /**
   * Credentials for the next request, refreshed first when they are about to expire. `maxAgeMs`: how long ago it may have
   * been seen that the login is still the same; left out, it is looked at now.
   */
  current(maxAgeMs?: number): Promise<Credentials>;
  /**
   * After upstream refused `rejected` with 401. `attempt` 1 re-reads the source and returns what is there, without
   * spending the refresh token; `attempt` 2 refreshes (once, however many callers ask) and returns the new ones.
   */
  recover(rejected: Credentials, attempt: 1 | 2): Promise<Credentials>;
  /** Renewals so far, where they are counted. */
  readonly refreshes?: Readonly<RefreshCounts>;
}

export interface RefreshCounts {
  ok: number;
  failed: number;
}
