import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { fileVersion, replaceOrOverwrite } from "../../lib/atomic-file.ts";
import { sha256Hex } from "../../lib/hash.ts";
import { nonEmptyString, parseJson } from "../../lib/json.ts";
import { validEpochMs } from "../../lib/epoch.ts";
import { secretInFile } from "../../lib/secret-file.ts";
import { proveWritable } from "../../lib/write-probe.ts";
import { isPersonalToken } from "../personal-token.ts";
import { fileLock } from "./file-lock.ts";
import type { CredentialSource, FreshTokens, LockOptions, Login, LoginLock, Tokens } from "./source.ts";
import { errorCode } from "../../lib/thrown.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** An auth file like the Codex CLI's, so that it is one when the environment is gone. */
const Kept = z.looseObject({
  /** SHA-256 of the token that the environment brought: another one there is a new login and wins. */
  plansocket_origin: z.string(),
  tokens: z.looseObject({
    id_token: z.string().optional(),
    access_token: z.string().optional(),
    refresh_token: z.string().optional(),
  }),
  last_refresh: z.string(),
});
type Kept = z.infer<typeof Kept>;

/** Where renewed tokens may be kept. */
export interface Keeping {
  /** Named by its owner: the login of the environment in use, unless it is somebody else's. */
  readonly file: string | undefined;
  /** The relay's own, which relays with other logins may share. */
  readonly folder: string;
}

/**
 * Tokens without a file, for sidecars. A refresh token is spent by its first use, so what it was exchanged for is kept:
 * a restart with the same environment would otherwise begin with a dead one.
 */
export class EnvironmentTokens implements CredentialSource {
  readonly name = "environment";
  readonly folder: string;
  readonly elsewhere = "choose another folder with --state-dir";
  readonly tokenRemedy = "Set CODEX_ACCESS_TOKEN to a valid one, or unset it and run `plansocket login`.";
  readonly remedy = "Set OPENAI_REFRESH_TOKEN to that of a new login.";
  readonly #tokens: Tokens | undefined;
  /** SHA-256 of the token that the environment brought. */
  readonly origin: string;
  readonly #named: string | undefined;
  /** The preferred one first; the last one is this login's alone. */
  readonly #places: readonly [string, ...string[]];

  constructor(environment: Environment, keeping: Keeping) {
    this.#tokens = tokensOf(environment);
    const first = this.#tokens?.refreshToken ?? this.#tokens?.accessToken ?? "";
    this.origin = sha256Hex(first);
    this.#named = keeping.file;
    const shared = join(keeping.folder, "environment-login.json");
    const own = join(keeping.folder, `environment-login-${this.origin.slice(0, 12)}.json`);
    this.#places = keeping.file === undefined ? [shared, own] : [keeping.file, shared, own];
    this.folder = dirname(this.#places[0]);
  }

  version(): string {
    return this.#tokens ? this.#places.map(fileVersion).join(" ") : "none";
  }

  async load(): Promise<Login | undefined> {
    if (!this.#tokens) return undefined;
    if (isPersonalToken(this.#tokens.accessToken)) {
      return { kind: "personal-token", token: this.#tokens.accessToken };
    }
    const kept = await this.#kept();
    if (!kept) return { kind: "chatgpt", tokens: this.#tokens };
    const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken } = kept.tokens;
    return {
      kind: "chatgpt",
      tokens: {
        ...this.#tokens,
        accessToken: accessToken ?? this.#tokens.accessToken,
        refreshToken: refreshToken ?? this.#tokens.refreshToken,
        idToken: idToken ?? this.#tokens.idToken,
        // It belonged to the first access token.
        expiresAtMs: undefined,
        lastRefreshMs: Date.parse(kept.last_refresh),
      },
    };
  }

  async save(fresh: FreshTokens, nowMs: number, replaces: string): Promise<boolean> {
    const before = await this.load();
    const old = before?.kind === "chatgpt" ? before.tokens : undefined;
    if (old?.refreshToken !== replaces) return false;
    const kept = {
      auth_mode: "chatgpt",
      OPENAI_API_KEY: null,
      tokens: {
        id_token: fresh.idToken ?? old?.idToken,
        access_token: fresh.accessToken ?? old?.accessToken,
        refresh_token: fresh.refreshToken ?? old?.refreshToken,
        account_id: old?.accountId,
      },
      last_refresh: new Date(nowMs).toISOString(),
      plansocket_origin: this.origin,
    } satisfies Kept;
    const path = await this.#placeToWrite();
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceOrOverwrite(path, JSON.stringify(kept, undefined, 2), 0o600);
    return true;
  }

  async proveWritable(): Promise<void> {
    const path = await this.#placeToWrite();
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await proveWritable(path);
  }

  lock({ sleep }: LockOptions): Promise<LoginLock> {
    return fileLock(async () => {
      const [path] = this.#places;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      return `${path}.plansocket.lock`;
    }, sleep);
  }

  /** The newest that was kept of this very login. */
  async #kept(): Promise<Kept | undefined> {
    const all = await Promise.all(this.#places.map(async (place) => Kept.safeParse(await read(place)).data));
    return all
      .filter((kept) => kept?.plansocket_origin === this.origin)
      .toSorted((a, b) => Date.parse(b?.last_refresh ?? "") - Date.parse(a?.last_refresh ?? ""))[0];
  }

  /** The first place that is free or holds this login; in the named file the login now in use replaces earlier ones. */
  async #placeToWrite(): Promise<string> {
    for (const place of this.#places) {
      const there = await read(place);
      const origin = Kept.safeParse(there).data?.plansocket_origin;
      const isOurs = origin === this.origin || (place === this.#named && origin !== undefined);
      if (there === undefined || isOurs) return place;
    }
    return this.#places.at(-1) ?? this.#places[0];
  }
}

/** The file's JSON; undefined when there is no file, null when there is something else. */
async function read(path: string): Promise<unknown> {
  try {
    return parseJson(await Bun.file(path).text()) ?? null;
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" || code === "ENOTDIR" ? undefined : null;
  }
}

/**
 * Variables that bring a token. Each may have `_FILE` behind its name and name a file that holds the token, as container
 * platforms mount secrets; the variable itself comes first.
 */
export const TOKEN_VARIABLES = ["OPENAI_REFRESH_TOKEN", "OPENAI_ACCESS_TOKEN", "CODEX_ACCESS_TOKEN"] as const;

/** Throws `usage` for a file that cannot be read. */
function tokensOf(environment: Environment): Tokens | undefined {
  // Secrets that were made by `echo` end in a line feed.
  const token = (name: (typeof TOKEN_VARIABLES)[number]) =>
    nonEmptyString(environment[name]?.trim()) ??
    (environment[`${name}_FILE`] ? secretInFile(`${name}_FILE`, environment) : undefined);
  const accessToken = token("OPENAI_ACCESS_TOKEN") ?? token("CODEX_ACCESS_TOKEN");
  const refreshToken = token("OPENAI_REFRESH_TOKEN");
  if (accessToken === undefined && refreshToken === undefined) return undefined;
  return {
    accessToken,
    refreshToken,
    idToken: undefined,
    accountId: nonEmptyString(environment["OPENAI_CHATGPT_ACCOUNT_ID"]?.trim()),
    expiresAtMs: momentMs(environment["OPENAI_EXPIRES_AT"]),
    lastRefreshMs: undefined,
  };
}

/** Epoch seconds or milliseconds: anything that as seconds would lie after the year 5000 is milliseconds. */
function momentMs(text: string | undefined): number | undefined {
  const value = Number(text ?? "");
  if (!Number.isFinite(value) || value <= 0) return undefined;
  return validEpochMs(value < 1e11 ? value * 1000 : value);
}
