import type { Credentials } from "./credentials.ts";
import { readClaims } from "./jwt.ts";
import type { CredentialSource, FreshTokens, Login, Tokens } from "./sources/source.ts";

/** Renew this long before the end, as the Codex CLI does. */
const EARLY_MS = 5 * 60_000;
/** Renew this long after the last time when the token does not say when it ends. */
const UNDATED_MS = 8 * 24 * 60 * 60_000;

/** A login as it was loaded. */
export interface HeldLogin {
  readonly source: CredentialSource;
  /** `version()` of each source up to this one at the time of loading; those before it held no login. */
  readonly versions: readonly string[];
  readonly login: Login;
  /** What requests get: tokens are decoded once, not for each request. */
  readonly credentials: Credentials;
}

/** True when the access token is to be renewed now. `nowMs`: epoch milliseconds. */
export function isDue({ login, credentials }: HeldLogin, nowMs: number): boolean {
  if (login.kind !== "chatgpt") return false;
  const { tokens } = login;
  if (tokens.accessToken === undefined) return true;
  const { expiresAtMs } = credentials;
  if (expiresAtMs !== undefined) return expiresAtMs <= nowMs + EARLY_MS;
  return tokens.lastRefreshMs !== undefined && tokens.lastRefreshMs <= nowMs - UNDATED_MS;
}

/** True as long as the access token has not ended. */
export function isUsable({ credentials: { accessToken, expiresAtMs } }: HeldLogin, nowMs: number): boolean {
  return accessToken !== "" && (expiresAtMs === undefined || expiresAtMs > nowMs);
}

/** Tokens with what the login service gave for them; whatever it did not give stays. */
export function mergedTokens(tokens: Tokens, fresh: FreshTokens, refreshedAtMs: number): Tokens {
  return {
    ...tokens,
    accessToken: fresh.accessToken ?? tokens.accessToken,
    refreshToken: fresh.refreshToken ?? tokens.refreshToken,
    idToken: fresh.idToken ?? tokens.idToken,
    // Said of the old access token.
    expiresAtMs: fresh.accessToken === undefined ? tokens.expiresAtMs : undefined,
    lastRefreshMs: refreshedAtMs,
  };
}

/** What upstream requests need of a login that says by itself whose it is. */
export function credentialsOf(
  source: CredentialSource,
  login: Exclude<Login, { kind: "personal-token" }>,
): Credentials {
  if (login.kind === "api-key") {
    return {
      kind: "api-key",
      accessToken: login.key,
      accountId: undefined,
      expiresAtMs: undefined,
      isFedramp: false,
      email: undefined,
      plan: undefined,
      source: source.name,
    };
  }
  const { tokens } = login;
  const identity = readClaims(tokens.idToken);
  const access = readClaims(tokens.accessToken);
  return {
    kind: "chatgpt",
    accessToken: tokens.accessToken ?? "",
    accountId: tokens.accountId ?? identity.accountId ?? access.accountId,
    expiresAtMs: access.expiresAtMs ?? tokens.expiresAtMs,
    isFedramp: identity.isFedramp,
    residency: access.residency,
    email: identity.email ?? access.email,
    plan: identity.plan ?? access.plan,
    source: source.name,
  };
}
