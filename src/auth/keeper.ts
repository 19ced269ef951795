import { RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { takeLock } from "../lib/lock-file.ts";
import type { CredentialProvider, Credentials, RefreshCounts } from "./credentials.ts";
import { readClaims } from "./jwt.ts";
import { TokenHistory } from "./token-history.ts";
import type { AuthFetch } from "./login-service.ts";
import { refreshTokens, RefreshFailure, type RefreshReason } from "./oauth.ts";
import type { CredentialSource, FreshTokens, Login, Tokens } from "./source.ts";

/** Renew this long before the end, as the Codex CLI does. */
const EARLY_MS = 5 * 60_000;
/** Renew this long after the last time when the token does not say when it ends. */
const UNDATED_MS = 8 * 24 * 60 * 60_000;
/** A token that another process has just spent may take it a moment to be saved. */
const REUSE_REREADS = 8;
const REUSE_REREAD_MS = 250;
/** Between attempts to renew a token that still works, and to save tokens that could not be saved. */
const REST_MS = 60_000;
/** A token that is due as soon as it is issued means a wrong clock; it is used for this long all the same. */
const GRACE_MS = 60_000;

export interface KeeperOptions {
  readonly sources: readonly CredentialSource[];
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly fetch: AuthFetch;
  readonly proxyFor: (url: string) => string | undefined;
  readonly log: Log;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** SentText when a refresh token is about to be spent; the promise ends, well or badly, when all is done with it. */
  readonly onSpending: (spending: Promise<unknown>) => void;
}

interface Unsaved {
  readonly source: CredentialSource;
  /** The refresh token that the source still holds; more than one refresh behind when saving keeps failing. */
  readonly replaces: string;
  readonly fresh: FreshTokens;
  readonly atMs: number;
  /** Of the last attempt to save them; undefined before the first. */
  triedAtMs: number | undefined;
}

/** What may be shown of a login. */
export interface LoginFacts extends Omit<Credentials, "accessToken"> {
  /** Of the access token, in epoch milliseconds. */
  readonly issuedAtMs: number | undefined;
  /** When its file was last written by a login or a renewal, in epoch milliseconds. */
  readonly renewedAtMs: number | undefined;
  /** False when it ends with its access token. */
  readonly canRenew: boolean;
}

/** What was loaded, and from where. */
interface Held {
  readonly source: CredentialSource;
  readonly version: string;
  readonly login: Login;
  /** What requests get: tokens are read once, not for each of them. */
  readonly credentials: Credentials;
}

/**
 * Hands out credentials and keeps them alive. The sources are the one truth: they are looked at for every request and
 * read again whenever they changed, so a login made elsewhere counts at once. One refresh at a time in this process,
 * one at a time between processes, and never one with a token that somebody else has spent.
 */
export class CredentialKeeper implements CredentialProvider {
  readonly refreshes: RefreshCounts = { ok: 0, failed: 0 };
  readonly #options: KeeperOptions;
  #held: Held | undefined;
  #refreshing: Promise<Held> | undefined;
  /** The refresh token known to be dead, and how to say so; gone as soon as the source holds another one. */
  #dead: { readonly refreshToken: string; readonly error: RelayError } | undefined;
  /** Tokens that are not saved yet: used from memory as long as the source still holds what they replace. */
  #unsaved: Unsaved | undefined;
  /** What was renewed last had nowhere to go: its login was gone, or another one was there. */
  #isHomeless = false;
  /** One save at a time: a slow retry must not write over the tokens of a later refresh. */
  #saving: Promise<void> | undefined;
  /** What became of the tokens that were spent here. */
  readonly #lineage = new TokenHistory();
  /** From spending a token until what it gave is saved, or could not be. */
  #spending: Promise<unknown> | undefined;
  /** The process is about to end: nothing is spent any more. */
  #isEnding = false;
  /** What the last refresh gave, and when. */
  #renewed: { readonly accessToken: string | undefined; readonly atMs: number } | undefined;
  /** Until when a token that still works is used without trying to renew it. */
  #restUntilMs = 0;
  #hasWarnedEarly = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  async current(): Promise<Credentials> {
    const held = await this.#load();
    if (!this.#isDue(held)) return held.credentials;
    const { now } = this.#options;
    if (now() < this.#restUntilMs && this.#isUsable(held)) return held.credentials;
    try {
      return (await this.#refresh("proactive_expiry")).credentials;
    } catch (error) {
      // Early renewal is a courtesy: a token that still works is used until it does not.
      if (!this.#isUsable(held)) throw error;
      this.#restUntilMs = now() + REST_MS;
      if (!this.#hasWarnedEarly && error !== this.#dead?.error) {
        this.#hasWarnedEarly = true;
        this.#options.log.warn("The login could not be renewed early; the old token still works.", {
          reason: (error as Error).message,
        });
      }
      return held.credentials;
    }
  }

  async recover(rejected: Credentials, attempt: 1 | 2): Promise<Credentials> {
    const held = await this.#load(true);
    if (held.login.kind === "api-key") return held.credentials;
    const isAnother = held.login.tokens.accessToken !== rejected.accessToken;
    if (attempt === 1 || isAnother) return held.credentials;
    return (await this.#refresh("unauthorized_recovery", rejected.accessToken)).credentials;
  }

  /** Facts for people: no secret. Looks only, renews nothing. Throws `codex_auth_required`. */
  async describe(): Promise<LoginFacts> {
    const held = await this.#load();
    const { accessToken: _secret, ...facts } = held.credentials;
    if (held.login.kind === "api-key") {
      return { ...facts, issuedAtMs: undefined, renewedAtMs: undefined, canRenew: false };
    }
    const { accessToken, refreshToken, lastRefreshMs } = held.login.tokens;
    return {
      ...facts,
      issuedAtMs: readClaims(accessToken).issuedAtMs,
      renewedAtMs: lastRefreshMs,
      canRenew: refreshToken !== undefined && refreshToken !== this.#dead?.refreshToken,
    };
  }

  /**
   * Before the process ends: a token that is being spent is worth waiting for, and what it gave is saved if it can be.
   * No other is spent from now on.
   */
  async settle(): Promise<void> {
    this.#isEnding = true;
    await this.#spending?.catch(() => {});
    // A file that is away may be back in a moment.
    for (let attempt = 0; this.#isHomeless && attempt < REUSE_REREADS; attempt += 1) {
      await this.#load(true).catch(() => {});
      if (this.#unsaved) break;
      await this.#options.sleep(REUSE_REREAD_MS);
    }
    if (this.#unsaved) await this.#saveUnsaved(this.#unsaved);
  }

  /** The first source that holds something, read again only when it changed. */
  async #load(isForced = false): Promise<Held> {
    if (this.#unsaved && this.#isTimeToSave(this.#unsaved)) await this.#saveUnsaved(this.#unsaved);
    for (const source of this.#options.sources) {
      const version = source.version();
      if (!isForced && this.#held?.source === source && this.#held.version === version) return this.#held;
      const loaded = await source.load();
      if (!loaded) continue;
      const login = this.#withUnsaved(source, loaded);
      this.#held = { source, version, login, credentials: credentialsOf(source, login) };
      return this.#held;
    }
    this.#held = undefined;
    const places = this.#options.sources.map((source) => source.name).join(" or ");
    throw new RelayError("codex_auth_required", `There is no login in ${places}.`, {
      hint: "Run `plansocket login` (or `codex login`, if you have the Codex CLI).",
    });
  }

  #isTimeToSave({ triedAtMs }: Unsaved): boolean {
    // Either way: a clock may be set back.
    return triedAtMs === undefined || Math.abs(this.#options.now() - triedAtMs) >= REST_MS;
  }

  /** Tokens in memory replace those on disk only as long as the disk has ones that were spent for them. */
  #withUnsaved(source: CredentialSource, login: Login): Login {
    if (login.kind === "api-key") return login;
    const { refreshToken } = login.tokens;
    if (this.#unsaved?.replaces !== refreshToken) {
      const heir = this.#lineage.successorOf(login.tokens);
      this.#unsaved = heir && { source, replaces: refreshToken ?? "", ...heir, triedAtMs: undefined };
    }
    const unsaved = this.#unsaved;
    return unsaved ? { kind: "chatgpt", tokens: merged(login.tokens, unsaved.fresh, unsaved.atMs) } : login;
  }

  #isDue({ login, credentials }: Held): boolean {
    if (login.kind === "api-key") return false;
    const { tokens } = login;
    if (tokens.accessToken === undefined) return true;
    const now = this.#options.now();
    const renewed = this.#renewed;
    if (renewed && renewed.accessToken === tokens.accessToken && Math.abs(now - renewed.atMs) < GRACE_MS) return false;
    const { expiresAtMs } = credentials;
    if (expiresAtMs !== undefined) return expiresAtMs <= now + EARLY_MS;
    return tokens.lastRefreshMs !== undefined && tokens.lastRefreshMs <= now - UNDATED_MS;
  }

  #isUsable({ credentials: { accessToken, expiresAtMs } }: Held): boolean {
    return accessToken !== "" && (expiresAtMs === undefined || expiresAtMs > this.#options.now());
  }

  /** `rejected` is an access token that the backend refused although it looked good. */
  #refresh(reason: RefreshReason, rejected?: string): Promise<Held> {
    this.#refreshing ??= this.#refreshLocked(reason, rejected).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refreshLocked(reason: RefreshReason, rejected: string | undefined): Promise<Held> {
    const before = await this.#load();
    this.#refuseDead(before);
    const release = await this.#lock(before.source);
    try {
      const held = await this.#load(true);
      if (held.login.kind === "api-key") return held;
      const { tokens } = held.login;
      // Another process was faster: what it saved is as good as what we would get.
      if (tokens.accessToken !== rejected && !this.#isDue(held)) return held;
      this.#refuseDead(held);
      const { refreshToken } = tokens;
      if (refreshToken === undefined) {
        throw new RelayError(
          "codex_auth_required",
          "The access token has expired and there is none to renew it with.",
          {
            hint: held.source.remedy,
          },
        );
      }
      if (this.#isEnding) throw new RelayError("relay_stopping", "The relay is stopping.", { retryAfterMs: 1000 });
      if (this.#refreshing) this.#options.onSpending(this.#refreshing);
      const spending = this.#spend(held.source, refreshToken, reason);
      this.#spending = spending;
      return await spending;
    } finally {
      this.#spending = undefined;
      await release();
    }
  }

  async #spend(source: CredentialSource, refreshToken: string, reason: RefreshReason): Promise<Held> {
    const { fetch, proxyFor, tokenUrl, clientId, log } = this.#options;
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
      this.refreshes.failed += 1;
      throw this.#refused(source, refreshToken, failure);
    }
    this.refreshes.ok += 1;
    const atMs = this.#options.now();
    this.#lineage.remember(refreshToken, fresh, atMs);
    this.#renewed = { accessToken: fresh.accessToken, atMs };
    this.#restUntilMs = 0;
    this.#hasWarnedEarly = false;
    log.debug("The login was renewed.", { reason });
    await this.#saving;
    // The file may hold another login by now, with tokens in memory of its own.
    const before = this.#unsaved && newestOf(this.#unsaved) === refreshToken ? this.#unsaved : undefined;
    this.#unsaved = {
      source,
      replaces: before?.replaces ?? refreshToken,
      fresh: {
        accessToken: fresh.accessToken ?? before?.fresh.accessToken,
        refreshToken: fresh.refreshToken ?? before?.fresh.refreshToken,
        idToken: fresh.idToken ?? before?.fresh.idToken,
      },
      atMs,
      triedAtMs: undefined,
    };
    await this.#saveUnsaved(this.#unsaved);
    return this.#load(true);
  }

  /** Whoever logged in or out meanwhile has the last word: then nothing is written and the tokens are dropped. */
  #saveUnsaved(unsaved: Unsaved): Promise<void> {
    this.#saving = this.#trySaving(unsaved);
    return this.#saving;
  }

  async #trySaving(unsaved: Unsaved): Promise<void> {
    unsaved.triedAtMs = this.#options.now();
    try {
      this.#isHomeless = !(await unsaved.source.save(unsaved.fresh, unsaved.atMs, unsaved.replaces));
      if (this.#unsaved === unsaved) this.#unsaved = undefined;
    } catch (error) {
      this.#options.log.error("The renewed login could not be saved yet; it is lost if the relay stops now.", {
        place: unsaved.source.name,
        reason: (error as { code?: string }).code ?? "unknown",
      });
    }
    this.#held = undefined;
  }

  /** After `refresh_token_reused`: whoever spent it is about to save what it got. */
  async #adoptNewer(spent: string): Promise<Held | undefined> {
    for (let attempt = 0; attempt < REUSE_REREADS; attempt += 1) {
      const held = await this.#load(true);
      if (held.login.kind === "api-key" || held.login.tokens.refreshToken !== spent) return held;
      await this.#options.sleep(REUSE_REREAD_MS);
    }
    return undefined;
  }

  #refused(source: CredentialSource, refreshToken: string, failure: RefreshFailure): RelayError {
    if (!failure.isPermanent) {
      // Not 401: clients would ask their user to log in again, and the login is good.
      return new RelayError("upstream_unreachable", failure.message, {
        cause: failure,
        hint: `${failure.hint === undefined ? "" : `${failure.hint} `}The login itself is still good; try again in a moment.`,
        retryAfterMs: 5000,
      });
    }
    const error = new RelayError("codex_auth_required", failure.message, { cause: failure, hint: source.remedy });
    this.#dead = { refreshToken, error };
    this.#options.log.error(`${failure.message} ${source.remedy}`);
    return error;
  }

  #refuseDead({ login }: Held): void {
    if (login.kind === "chatgpt" && this.#dead && this.#dead.refreshToken === login.tokens.refreshToken) {
      throw this.#dead.error;
    }
  }

  /** Between processes. Where the folder cannot be written the refresh goes on without. */
  async #lock(source: CredentialSource): Promise<() => Promise<void>> {
    try {
      return await takeLock(await source.lockPath(), { sleep: this.#options.sleep });
    } catch (error) {
      this.#options.log.warn("The login's folder cannot be written; renewing without a lock.", {
        place: source.name,
        reason: (error as { code?: string }).code ?? (error as Error).message,
      });
      return () => Promise.resolve();
    }
  }
}

function newestOf({ fresh, replaces }: Unsaved): string {
  return fresh.refreshToken ?? replaces;
}

function merged(tokens: Tokens, fresh: FreshTokens, nowMs: number): Tokens {
  return {
    ...tokens,
    accessToken: fresh.accessToken ?? tokens.accessToken,
    refreshToken: fresh.refreshToken ?? tokens.refreshToken,
    idToken: fresh.idToken ?? tokens.idToken,
    expiresAtMs: undefined,
    lastRefreshMs: nowMs,
  };
}

function credentialsOf(source: CredentialSource, login: Login): Credentials {
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
    email: identity.email ?? access.email,
    plan: identity.plan ?? access.plan,
    source: source.name,
  };
}
