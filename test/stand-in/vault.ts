import { makeJwt } from "../../src/demo/tokens.ts";
import type { StandInAccount } from "./account.ts";
import type { TokenSet } from "./auth-json.ts";

export interface VaultOptions {
  readonly now: () => number;
  readonly tokenLifetimeMs: number;
  readonly issuer: () => string;
}

type RefreshState = "live" | "used" | "revoked" | "expired";

/** What is known about a bearer: whose it is, or why it does not count. */
export type Bearer = { readonly account: StandInAccount } | "expired" | "unknown";

/** All tokens that the stand-in has given out. */
export class Vault {
  readonly #options: VaultOptions;
  readonly #access = new Map<string, { account: StandInAccount; expiresAtMs: number }>();
  readonly #refresh = new Map<string, { account: StandInAccount; state: RefreshState }>();
  readonly #apiKeys = new Set<string>();
  #count = 0;

  constructor(options: VaultOptions) {
    this.#options = options;
  }

  /** A new set of tokens. Older access tokens stay valid, as they do in real life. */
  issue(account: StandInAccount, expiresInMs = this.#options.tokenLifetimeMs): TokenSet {
    this.#count += 1;
    const nowMs = this.#options.now();
    const times = { nowMs, expiresInMs };
    const issuer = this.#options.issuer();
    const claim = account.residency === undefined ? {} : { chatgpt_compute_residency: account.residency };
    const more = account.residencyAt === "root" ? { root: claim } : { auth: claim };
    const accessToken = makeJwt(account, issuer, times, `at_${this.#count}`, more);
    const refreshToken = `rt_stand_in_${this.#count}_${crypto.randomUUID().slice(0, 8)}`;
    this.#access.set(accessToken, { account, expiresAtMs: nowMs + expiresInMs });
    this.#refresh.set(refreshToken, { account, state: "live" });
    const idToken = makeJwt(account, issuer, times, `id_${this.#count}`);
    return { id_token: idToken, access_token: accessToken, refresh_token: refreshToken };
  }

  /** A personal access token: it says nothing about its owner and is never refreshed. */
  issuePersonalToken(account: StandInAccount): string {
    const token = `at-stand-in-${crypto.randomUUID()}`;
    this.#access.set(token, { account, expiresAtMs: Number.POSITIVE_INFINITY });
    return token;
  }

  issueApiKey(): string {
    const key = `sk-stand-in-${crypto.randomUUID()}`;
    this.#apiKeys.add(key);
    return key;
  }

  isApiKey(key: string): boolean {
    return this.#apiKeys.has(key);
  }

  bearer(token: string): Bearer {
    const known = this.#access.get(token);
    if (!known) return "unknown";
    return known.expiresAtMs > this.#options.now() ? { account: known.account } : "expired";
  }

  expireAccessTokens(): void {
    for (const known of this.#access.values()) known.expiresAtMs = 0;
  }

  /** Spends a refresh token; an error code when that cannot be done. Only the client that logged in may do so. */
  spend(token: string, clientId: string): TokenSet | string {
    const known = this.#refresh.get(token);
    if (known && known.account.clientId !== clientId) return "invalid_client";
    if (!known) return "refresh_token_invalidated";
    if (known.state === "used") return "refresh_token_reused";
    if (known.state === "expired") return "refresh_token_expired";
    if (known.state === "revoked") return "refresh_token_invalidated";
    known.state = "used";
    return this.issue(known.account);
  }

  setRefreshState(token: string, state: RefreshState): void {
    const known = this.#refresh.get(token);
    if (known) known.state = state;
  }
}
