import { RelayError } from "../lib/errors.ts";
import type { CredentialProvider, Credentials, RefreshCounts } from "./credentials.ts";
import { credentialsOf, isUsable, type HeldLogin } from "./held-login.ts";
import { readClaims } from "./jwt.ts";
import { TokenRefresher, type RefresherOptions } from "./refresh.ts";
import { invalidPersonalToken, type PersonalTokenOwners } from "./personal-token.ts";
import type { CredentialSource, Login } from "./sources/source.ts";
import { UnsavedTokens } from "./unsaved-tokens.ts";
import { unwritable } from "./unwritable.ts";
import { asError } from "../lib/thrown.ts";

/** Between attempts to renew a token that still works. */
const EARLY_RETRY_MS = 60_000;

export interface KeeperOptions extends Omit<RefresherOptions, "load" | "unsaved"> {
  /** The first one that holds a login is used. */
  readonly sources: readonly CredentialSource[];
  readonly personalTokens: PersonalTokenOwners;
}

/** What may be shown of a login. */
export interface LoginFacts extends Omit<Credentials, "accessToken"> {
  /** Of the access token, in epoch milliseconds. */
  readonly issuedAtMs: number | undefined;
  /** When its file was last written by a login or a renewal, in epoch milliseconds. */
  readonly renewedAtMs: number | undefined;
  /** False when it ends with its access token. */
  readonly canRenew: boolean;
  /** True for a personal access token, which lasts until its owner revokes it. */
  readonly isPersonalToken: boolean;
}

/**
 * Hands out credentials and keeps them alive. The sources are the one truth: they are looked at for every request, or for
 * those that come within the milliseconds that `current` is given, and read again whenever they changed. So a login made
 * elsewhere counts at once, or after these.
 */
export class CredentialKeeper implements CredentialProvider {
  readonly #options: KeeperOptions;
  readonly #unsaved: UnsavedTokens;
  readonly #refresher: TokenRefresher;
  #held: HeldLogin | undefined;
  /** When the sources were last seen to hold that one, in the milliseconds of `performance.now()`. */
  #seenAtMs = Number.NEGATIVE_INFINITY;
  /** Until when a token that still works is used without trying to renew it. */
  #retryEarlyAtMs = 0;
  #hasWarnedEarly = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    const { log, now, sleep } = options;
    this.#unsaved = new UnsavedTokens({ log, now, sleep, onAttempt: () => (this.#held = undefined) });
    this.#refresher = new TokenRefresher({
      ...options,
      unsaved: this.#unsaved,
      load: (isForced) => this.#load(isForced),
    });
  }

  get refreshes(): Readonly<RefreshCounts> {
    return this.#refresher.counts;
  }

  async current(maxAgeMs = 0): Promise<Credentials> {
    const held = (this.#unsaved.isPending ? undefined : this.#unchanged(maxAgeMs)) ?? (await this.#load());
    if (!this.#refresher.isDue(held)) return held.credentials;
    const { now } = this.#options;
    if (now() < this.#retryEarlyAtMs && isUsable(held, now())) return held.credentials;
    try {
      const { credentials } = await this.#refresher.refresh("proactive_expiry");
      this.#retryEarlyAtMs = 0;
      this.#hasWarnedEarly = false;
      return credentials;
    } catch (error) {
      // Renewal before the end is optional: a token that still works is used until it does not.
      if (!isUsable(held, now())) throw error;
      this.#retryEarlyAtMs = now() + EARLY_RETRY_MS;
      this.#warnEarly(held, asError(error));
      return held.credentials;
    }
  }

  async recover(rejected: Credentials, attempt: 1 | 2): Promise<Credentials> {
    const held = await this.#load(true);
    if (held.login.kind === "api-key") return held.credentials;
    if (held.login.kind === "personal-token" && attempt === 2) throw invalidPersonalToken(held.source.tokenRemedy);
    if (attempt === 1 || held.credentials.accessToken !== rejected.accessToken) return held.credentials;
    return (await this.#refresher.refresh("unauthorized_recovery", rejected.accessToken)).credentials;
  }

  /** Facts for people: no secret. Looks only, renews nothing. Throws `codex_auth_required`. */
  async describe(): Promise<LoginFacts> {
    const held = await this.#load();
    const { accessToken: _secret, ...facts } = held.credentials;
    const isPersonalToken = held.login.kind === "personal-token";
    if (held.login.kind !== "chatgpt") {
      return { ...facts, issuedAtMs: undefined, renewedAtMs: undefined, canRenew: false, isPersonalToken };
    }
    const { accessToken, refreshToken, lastRefreshMs } = held.login.tokens;
    return {
      ...facts,
      isPersonalToken,
      issuedAtMs: readClaims(accessToken).issuedAtMs,
      renewedAtMs: lastRefreshMs,
      canRenew: refreshToken !== undefined && this.#refresher.refusalOf(held) === undefined,
    };
  }

  /** Why a renewed login could not be saved; undefined when it could, or when there is nothing to renew. */
  async savingFault(): Promise<RelayError | undefined> {
    const { login, source } = await this.#load();
    if (login.kind !== "chatgpt" || login.tokens.refreshToken === undefined) return undefined;
    return source.proveWritable().then(
      () => undefined,
      (error: unknown) => (error instanceof RelayError ? error : unwritable(source, error)),
    );
  }

  /**
   * For a process that stays. Where a renewed login cannot be saved, the access token is used to its end, then renewed
   * into memory; commands that end soon refuse instead. Warns now, while the login is whole.
   */
  async allowUnsaved(): Promise<void> {
    this.#refresher.allowUnsaved();
    const fault = await this.savingFault().catch(() => undefined);
    // A store tells by itself when it is away and when it is back.
    if (!fault || fault.code === "store_unavailable") return;
    const text = "A renewed login could not be saved here, and is lost when this relay stops after a renewal.";
    this.#options.log.warn(`${text} ${fault.hint ?? ""}`.trim(), { reason: fault.message });
  }

  /**
   * Before the process ends: waits for a token that is being spent and saves what is still unsaved. No other token is
   * spent from now on.
   */
  async settle(): Promise<void> {
    await this.#refresher.settle();
    await this.#unsaved.settle(() => this.#load(true));
  }

  /** The first source that holds a login, read again only when it changed. */
  async #load(isForced = false): Promise<HeldLogin> {
    await this.#unsaved.retryIfDue();
    const held = isForced ? undefined : this.#unchanged();
    if (held) return held;
    const versions: string[] = [];
    const seenAtMs = performance.now();
    // What is in hand was not seen again: when this fails, the next request must not take it for a look just made.
    this.#seenAtMs = Number.NEGATIVE_INFINITY;
    for (const source of this.#options.sources) {
      versions.push(source.version());
      const loaded = await source.load();
      if (!loaded) continue;
      const login = this.#unsaved.applyTo(source, loaded);
      this.#held = { source, versions, login, credentials: await this.#credentialsOf(source, login) };
      this.#seenAtMs = seenAtMs;
      return this.#held;
    }
    this.#held = undefined;
    const places = this.#options.sources
      .map(({ name }) => (name === "environment" ? `the ${name}` : name))
      .join(" or ");
    throw new RelayError("codex_auth_required", `There is no login in ${places}.`, {
      hint:
        this.#options.sources.at(-1)?.signIn ?? "Run `plansocket login` (or `codex login`, if you have the Codex CLI).",
    });
  }

  /** The login in hand, if no source has changed since it was loaded, or none had `maxAgeMs` ago. */
  #unchanged(maxAgeMs = 0): HeldLogin | undefined {
    const held = this.#held;
    if (!held) return undefined;
    const nowMs = performance.now();
    if (nowMs - this.#seenAtMs < maxAgeMs) return held;
    const { sources } = this.#options;
    if (held.versions.some((version, index) => sources[index]?.version() !== version)) return undefined;
    this.#seenAtMs = nowMs;
    return held;
  }

  async #credentialsOf(source: CredentialSource, login: Login): Promise<Credentials> {
    if (login.kind !== "personal-token") return credentialsOf(source, login);
    const owner = await this.#options.personalTokens.ownerOf(login.token, source.tokenRemedy);
    return { kind: "chatgpt", accessToken: login.token, expiresAtMs: undefined, source: source.name, ...owner };
  }

  #warnEarly(held: HeldLogin, error: Error): void {
    if (this.#hasWarnedEarly || error === this.#refresher.refusalOf(held)) return;
    this.#hasWarnedEarly = true;
    this.#options.log.warn("The login could not be renewed early; the old token still works.", {
      reason: error.message,
    });
  }
}
