import { RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { RefreshCounts } from "./credentials.ts";
import { isDue, isUsable, type HeldLogin } from "./held-login.ts";
import type { AuthFetch } from "./login-service.ts";
import { refreshTokens, RefreshFailure, type RefreshReason } from "./refresh-call.ts";
import type { CredentialSource, FreshTokens, Tokens } from "./sources/source.ts";
import type { UnsavedTokens } from "./unsaved-tokens.ts";
import { failureWord, unwritable } from "./unwritable.ts";

/** A token that another process has just spent may take it a moment to be saved: 8 reads, 2 seconds. */
const REUSE_REREADS = 8;
const REUSE_REREAD_MS = 250;
/** A token that is due as soon as it is issued means a wrong clock; it is used for this long all the same. */
const GRACE_MS = 60_000;

/** How long another replica's renewal is waited for: with a token that still works, and without. It takes at most 30 s. */
const PATIENCE_MS = 1000;
const URGENT_PATIENCE_MS = 35_000;

export interface RefresherOptions {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly fetch: AuthFetch;
  /** The proxy that a URL would use, without its credentials; for messages. */
  readonly proxyFor: (url: string) => string | undefined;
  readonly log: Log;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly unsaved: UnsavedTokens;
  /** The login as the sources have it; `isForced` reads them again. */
  readonly load: (isForced?: boolean) => Promise<HeldLogin>;
  /** Called when a refresh token is about to be spent, with the promise that settles once the result is handled. */
  readonly onSpending: (spending: Promise<unknown>) => void;
}

/**
 * Renews the login. One refresh at a time in this process, one at a time between processes, never with a token that
 * somebody else has spent, and never before it is known that the result can be saved.
 */
export class TokenRefresher {
  readonly counts: RefreshCounts = { ok: 0, failed: 0 };
  readonly #options: RefresherOptions;
  #refreshing: Promise<HeldLogin> | undefined;
  /** The refresh token that the login service has refused for good, and the error; another token ends it. */
  #refusedToken: { readonly refreshToken: string; readonly error: RelayError } | undefined;
  /** From spending a token until its result is saved, or could not be. */
  #spending: Promise<unknown> | undefined;
  /** The process is about to end: no token is spent any more. */
  #isEnding = false;
  /** What the last refresh gave, and when. */
  #renewed: { readonly accessToken: string | undefined; readonly atMs: number } | undefined;
  /** Renewals whose result cannot be saved are allowed once the old token has ended. */
  #allowsUnsaved = false;

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /** For a process that stays: better an unsaved login than none once the old token has ended. */
  allowUnsaved(): void {
    this.#allowsUnsaved = true;
  }

  /** True when the access token is to be renewed now. */
  isDue(held: HeldLogin): boolean {
    const now = this.#options.now();
    const renewed = this.#renewed;
    const isNew =
      renewed !== undefined &&
      held.login.kind === "chatgpt" &&
      renewed.accessToken === held.login.tokens.accessToken &&
      Math.abs(now - renewed.atMs) < GRACE_MS;
    return !isNew && isDue(held, now);
  }

  /** The error of a login whose refresh token was refused for good; undefined for any other. */
  refusalOf({ login }: HeldLogin): RelayError | undefined {
    const refused = this.#refusedToken;
    if (login.kind !== "chatgpt" || refused?.refreshToken !== login.tokens.refreshToken) return undefined;
    return refused?.error;
  }

  /** `rejected` is an access token that the backend refused although it looked good. */
  refresh(reason: RefreshReason, rejected?: string): Promise<HeldLogin> {
    this.#refreshing ??= this.#refreshLocked(reason, rejected).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /** Waits for a token that is being spent; no other is spent from now on. */
  async settle(): Promise<void> {
    this.#isEnding = true;
    await this.#spending?.catch(() => {});
  }

  async #refreshLocked(reason: RefreshReason, rejected: string | undefined): Promise<HeldLogin> {
    const { load, onSpending } = this.#options;
    const before = await load();
    this.#assertNotRefused(before);
    const { sleep, now } = this.#options;
    const isUrgent = rejected !== undefined || !isUsable(before, now());
    const lock = await before.source.lock({ sleep, patienceMs: isUrgent ? URGENT_PATIENCE_MS : PATIENCE_MS });
    try {
      const held = await load(true);
      if (held.login.kind !== "chatgpt") return held;
      const { tokens } = held.login;
      // Another process was faster: what it saved is as good as what a refresh would give.
      if (tokens.accessToken !== rejected && !this.isDue(held)) return held;
      this.#assertNotRefused(held);
      if (tokens.refreshToken === undefined) throw notRenewable(held.source);
      if (this.#isEnding) throw stopping();
      await this.#assertSavable(held, tokens.accessToken === rejected);
      if (lock.failure !== undefined) this.#warnUnlocked(held.source, lock.failure);
      await lock.confirm(tokens.refreshToken);
      if (this.#isEnding) throw stopping();
      if (this.#refreshing) onSpending(this.#refreshing);
      const spending = this.#spend(held.source, tokens, tokens.refreshToken, reason);
      this.#spending = spending;
      return await spending;
    } finally {
      this.#spending = undefined;
      await lock.release();
    }
  }

  /**
   * The proof comes before the refresh: the token is single use, and a process that cannot save what it gets would end
   * the login. `isEnded`: the backend no longer takes the access token.
   */
  async #assertSavable(held: HeldLogin, isEnded: boolean): Promise<void> {
    try {
      await held.source.proveWritable();
    } catch (error) {
      // A store that is away has said so itself, and other replicas may be renewing meanwhile.
      if (error instanceof RelayError) throw error;
      const isLost = this.#options.unsaved.isPending;
      if (this.#allowsUnsaved && (isLost || isEnded || !isUsable(held, this.#options.now()))) return;
      throw unwritable(held.source, error);
    }
  }

  async #spend(
    source: CredentialSource,
    tokens: Tokens,
    refreshToken: string,
    reason: RefreshReason,
  ): Promise<HeldLogin> {
    const { fetch, proxyFor, tokenUrl, log, now, unsaved, load } = this.#options;
    const clientId = tokens.clientId ?? this.#options.clientId;
    let fresh: FreshTokens;
    try {
      fresh = await refreshTokens({ fetch, proxyFor, tokenUrl, clientId, refreshToken, reason });
    } catch (error) {
      const failure =
        error instanceof RefreshFailure
          ? error
          : new RefreshFailure("The login could not be renewed.", { isPermanent: false, cause: error });
      const adopted = failure.isReused ? await this.#adoptNewer(refreshToken) : undefined;
      if (adopted) return adopted;
      this.counts.failed += 1;
      throw this.#errorOf(source, refreshToken, failure);
    }
    const atMs = now();
    this.#renewed = { accessToken: fresh.accessToken, atMs };
    await unsaved.add(source, refreshToken, fresh, atMs);
    const held = await load(true);
    if (fresh.accessToken === undefined && !isUsable(held, now())) {
      this.counts.failed += 1;
      throw new RelayError("upstream_unreachable", "The login service answered without an access token.", {
        hint: "Its new refresh token is kept; try again in a moment.",
        retryAfterMs: 5000,
      });
    }
    this.counts.ok += 1;
    log.debug("The login was renewed.", { reason });
    return held;
  }

  /** After `refresh_token_reused`: whoever spent the token is about to save what it got. */
  async #adoptNewer(spent: string): Promise<HeldLogin | undefined> {
    for (let attempt = 0; attempt < REUSE_REREADS; attempt += 1) {
      const held = await this.#options.load(true);
      if (held.login.kind !== "chatgpt" || held.login.tokens.refreshToken !== spent) return held;
      await this.#options.sleep(REUSE_REREAD_MS);
    }
    return undefined;
  }

  #errorOf(source: CredentialSource, refreshToken: string, failure: RefreshFailure): RelayError {
    if (!failure.isPermanent) {
      // Not 401: clients would ask their user to log in again, and the login is good.
      const state = failure.mayBeSpent ? "should still be good" : "is still good";
      return new RelayError(failure.isTimeout ? "upstream_timeout" : "upstream_unreachable", failure.message, {
        cause: failure,
        hint: `${failure.hint === undefined ? "" : `${failure.hint} `}The login itself ${state}; try again in a moment.`,
        retryAfterMs: 5000,
      });
    }
    const error = new RelayError("codex_auth_required", failure.message, { cause: failure, hint: source.remedy });
    this.#refusedToken = { refreshToken, error };
    this.#options.log.error(`${failure.message} ${source.remedy}`);
    return error;
  }

  #assertNotRefused(held: HeldLogin): void {
    const refusal = this.refusalOf(held);
    if (refusal) throw refusal;
  }

  #warnUnlocked(source: CredentialSource, failure: unknown): void {
    this.#options.log.warn("The login's folder cannot be written; renewing without a lock.", {
      place: source.name,
      reason: failureWord(failure),
    });
  }
}

function notRenewable(source: CredentialSource): RelayError {
  return new RelayError("codex_auth_required", "The access token has expired and there is none to renew it with.", {
    hint: source.remedy,
  });
}

function stopping(): RelayError {
  return new RelayError("relay_stopping", "The relay is stopping.", { retryAfterMs: 1000 });
}
