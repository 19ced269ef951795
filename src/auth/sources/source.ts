/** Tokens of a ChatGPT login, as a source holds them. */
export interface Tokens {
  readonly accessToken: string | undefined;
  /** Single use: spending it gives the next one. */
  readonly refreshToken: string | undefined;
  readonly idToken: string | undefined;
  readonly accountId: string | undefined;
  /** Said by the source itself; the token's own claim wins. */
  readonly expiresAtMs: number | undefined;
  readonly lastRefreshMs: number | undefined;
  /** OAuth client that the login was made with; undefined means the usual one. */
  readonly clientId?: string | undefined;
}

/** What a source holds. */
export type Login =
  | { readonly kind: "api-key"; readonly key: string }
  | { readonly kind: "personal-token"; readonly token: string }
  | { readonly kind: "chatgpt"; readonly tokens: Tokens };

/** What the token endpoint gave; whatever is missing keeps its old value. */
export interface FreshTokens {
  readonly accessToken: string | undefined;
  readonly refreshToken: string | undefined;
  readonly idToken: string | undefined;
}

/** A place where credentials come from. A new one is a file that implements this and a line in `index.ts`. */
export interface CredentialSource {
  /** For people: a path, or `environment`. */
  readonly name: string;
  /** Where renewed tokens are saved. */
  readonly folder: string;
  /** How to save them elsewhere, as the end of a sentence. */
  readonly elsewhere: string;
  /** How to make a login here, as a sentence, where it is not the usual way. */
  readonly signIn?: string;
  /** What to do about a login that has ended, as a sentence. */
  readonly remedy: string;
  /** What to do about a personal access token that is not valid, as a sentence. */
  readonly tokenRemedy: string;
  /** Changes whenever `load` would give something else. Cheap: asked on every request. */
  version(): string;
  /** Undefined when there is nothing here. Throws `codex_auth_required` when what is here cannot be used. */
  load(): Promise<Login | undefined>;
  /**
   * Keeps refreshed tokens in place of the login whose refresh token is `replaces`. False, with nothing written, when
   * that login is gone: another one, or a logout, stays as it is. Throws the error of the file system.
   */
  save(fresh: FreshTokens, nowMs: number, replaces: string): Promise<boolean>;
  /** Resolves when `save` would succeed now; changes nothing. Throws the error of the file system. */
  proveWritable(): Promise<void>;
  /** Waits for the lock that all processes using this place share. Throws when nothing may be renewed without it. */
  lock(options: LockOptions): Promise<LoginLock>;
}

export interface LockOptions {
  readonly sleep: (ms: number) => Promise<void>;
  /** How long another machine's renewal may be waited for. */
  readonly patienceMs: number;
}

/** Keeps others from spending the same refresh token. */
export interface LoginLock {
  /** Called right before the token is spent. Throws when somebody else may have done so. */
  confirm(refreshToken: string): Promise<void>;
  release(): Promise<void>;
  /** Why it keeps nobody off: the place has no locks, and is used without. */
  readonly failure?: unknown;
}
