import type { Log } from "../lib/log.ts";
import { mergedTokens } from "./held-login.ts";
import type { CredentialSource, FreshTokens, Login } from "./sources/source.ts";
import { TokenHistory } from "./token-history.ts";
import { failureWord } from "./unwritable.ts";

/** Between attempts to save that a request brings about. */
const RETRY_MS = 60_000;
/** Between attempts to save while no request comes; unsaved tokens reach a repaired disk within a minute. */
const BACKGROUND_RETRY_MS = 20_000;
/** A login file that is away at the end of the process is looked for this often. */
const FINAL_LOOKS = 8;
const FINAL_LOOK_MS = 250;

interface Unsaved {
  readonly source: CredentialSource;
  /** The refresh token that the source still holds; more than one refresh behind when saving keeps failing. */
  readonly replaces: string;
  readonly fresh: FreshTokens;
  readonly refreshedAtMs: number;
  /** Time of the last attempt to save them; undefined before the first. */
  triedAtMs: number | undefined;
}

export interface UnsavedTokensOptions {
  readonly log: Log;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Called after each attempt to save: what was loaded before may be out of date. */
  readonly onAttempt: () => void;
}

/**
 * Renewed tokens between the login service and the disk. They are used from memory as long as the source still holds
 * the token that was spent for them, and saving is tried again until it succeeds.
 */
export class UnsavedTokens {
  readonly #options: UnsavedTokensOptions;
  readonly #history = new TokenHistory();
  #unsaved: Unsaved | undefined;
  /** The last renewed login had no place to be saved: it was removed, or another login was there. */
  #hasNoPlace = false;
  /** One save at a time: a slow attempt must not overwrite the tokens of a later refresh. */
  #saving: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: UnsavedTokensOptions) {
    this.#options = options;
  }

  get isPending(): boolean {
    return this.#unsaved !== undefined;
  }

  /** Takes what the login service gave for `spent` and tries to save it. Never throws: tokens stay in memory. */
  async add(source: CredentialSource, spent: string, fresh: FreshTokens, refreshedAtMs: number): Promise<void> {
    this.#history.remember(spent, fresh, refreshedAtMs);
    await this.#saving;
    // The file may hold another login by now, with unsaved tokens of its own.
    const before = this.#unsaved && newestRefreshToken(this.#unsaved) === spent ? this.#unsaved : undefined;
    this.#unsaved = {
      source,
      replaces: before?.replaces ?? spent,
      fresh: {
        accessToken: fresh.accessToken ?? before?.fresh.accessToken,
        refreshToken: fresh.refreshToken ?? before?.fresh.refreshToken,
        idToken: fresh.idToken ?? before?.fresh.idToken,
      },
      refreshedAtMs,
      triedAtMs: undefined,
    };
    await this.#save(this.#unsaved);
  }

  /** Tries to save again when the last attempt is long enough ago. */
  async retryIfDue(): Promise<void> {
    const unsaved = this.#unsaved;
    if (unsaved === undefined) return;
    const { triedAtMs } = unsaved;
    // The absolute difference: a clock may be set back.
    const isTime = triedAtMs === undefined || Math.abs(this.#options.now() - triedAtMs) >= RETRY_MS;
    if (isTime) await this.#save(unsaved);
  }

  /** The login with its unsaved tokens, if it is the one that they were renewed from. */
  applyTo(source: CredentialSource, login: Login): Login {
    if (login.kind !== "chatgpt") return login;
    const { refreshToken } = login.tokens;
    // A store's source shows what it has in hand, which the store need not have yet.
    if (this.#unsaved?.source === source && newestRefreshToken(this.#unsaved) === refreshToken) return login;
    if (this.#unsaved?.replaces !== refreshToken) {
      const successor = this.#history.successorOf(login.tokens);
      this.#unsaved = successor && {
        source,
        replaces: refreshToken ?? "",
        fresh: successor.fresh,
        refreshedAtMs: successor.atMs,
        triedAtMs: undefined,
      };
    }
    const unsaved = this.#unsaved;
    if (unsaved === undefined) return login;
    return { kind: "chatgpt", tokens: mergedTokens(login.tokens, unsaved.fresh, unsaved.refreshedAtMs) };
  }

  /** The last attempt, before the process ends. `reload` reads the sources again. Logs when the login is lost. */
  async settle(reload: () => Promise<unknown>): Promise<void> {
    // A file that was moved away may be back in a moment.
    for (let look = 0; this.#hasNoPlace && look < FINAL_LOOKS; look += 1) {
      await reload().catch(() => {});
      if (this.#unsaved) break;
      await this.#options.sleep(FINAL_LOOK_MS);
    }
    const unsaved = this.#unsaved;
    if (unsaved === undefined) return;
    await this.#save(unsaved);
    clearTimeout(this.#timer);
    if (this.#unsaved !== unsaved) return;
    const { folder, name, remedy } = unsaved.source;
    const text = `The renewed login could not be saved in ${folder} and is lost with this process.`;
    this.#options.log.error(`${text} ${remedy}`, { place: name });
  }

  #save(unsaved: Unsaved): Promise<void> {
    this.#saving = this.#trySaving(unsaved);
    return this.#saving;
  }

  /** Whoever logged in or out meanwhile has the last word: then nothing is written and the tokens are dropped. */
  async #trySaving(unsaved: Unsaved): Promise<void> {
    const { log, now, onAttempt } = this.#options;
    const isFirst = unsaved.triedAtMs === undefined;
    unsaved.triedAtMs = now();
    clearTimeout(this.#timer);
    try {
      const isSaved = await unsaved.source.save(unsaved.fresh, unsaved.refreshedAtMs, unsaved.replaces);
      this.#hasNoPlace = !isSaved;
      if (this.#unsaved === unsaved) this.#unsaved = undefined;
      if (isSaved && !isFirst) log.info("The renewed login is saved now.", { place: unsaved.source.name });
    } catch (error) {
      const fields = { place: unsaved.source.name, reason: failureWord(error) };
      const text = "The renewed login could not be saved yet; it is lost if the relay stops now.";
      if (isFirst) log.error(text, fields);
      else log.debug(text, fields);
      this.#retryInBackground(unsaved);
    }
    onAttempt();
  }

  #retryInBackground(unsaved: Unsaved): void {
    this.#timer = setTimeout(() => {
      if (this.#unsaved === unsaved) void this.#save(unsaved);
    }, BACKGROUND_RETRY_MS);
    this.#timer.unref();
  }
}

function newestRefreshToken({ fresh, replaces }: Unsaved): string {
  return fresh.refreshToken ?? replaces;
}
