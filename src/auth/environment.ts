import { createHash } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { fileVersion, writeAtomically } from "../lib/atomic-file.ts";
import { isObject, nonEmptyString, parseJson } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import type { CredentialSource, FreshTokens, Login, Tokens } from "./source.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const Kept = z.object({
  /** Of the token that the environment brought: another one there is a new login and wins. */
  origin: z.string(),
  access_token: z.string().optional(),
  refresh_token: z.string().optional(),
  id_token: z.string().optional(),
  last_refresh: z.string(),
});

/**
 * Tokens without a file, for sidecars. A refresh token is spent by its first use, so what it was exchanged for is kept
 * in the state folder: a restart with the same environment would otherwise begin with a dead one.
 */
export class EnvironmentTokens implements CredentialSource {
  readonly name = "environment";
  readonly remedy = "Set OPENAI_REFRESH_TOKEN to that of a new login.";
  readonly #tokens: Tokens | undefined;
  readonly #origin: string;
  readonly #path: string;

  constructor(environment: Environment, stateDir: string, log: Log) {
    this.#tokens = tokensOf(environment);
    this.#path = join(stateDir, "environment-login.json");
    const first = this.#tokens?.refreshToken ?? this.#tokens?.accessToken ?? "";
    this.#origin = createHash("sha256").update(first).digest("hex");
    // Said while the token is still good: after the first refresh it is too late.
    if (this.#tokens?.refreshToken !== undefined && !isWritable(stateDir)) {
      log.warn("The state folder cannot be written: once OPENAI_REFRESH_TOKEN is spent, a restart needs a new one.", {
        place: stateDir,
      });
    }
  }

  async version(): Promise<string> {
    return this.#tokens ? fileVersion(this.#path) : "none";
  }

  async load(): Promise<Login | undefined> {
    if (!this.#tokens) return undefined;
    const text = await Bun.file(this.#path)
      .text()
      .catch(() => "");
    const kept = Kept.safeParse(parseJson(text));
    if (!kept.success || kept.data.origin !== this.#origin) return { kind: "chatgpt", tokens: this.#tokens };
    const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken } = kept.data;
    return {
      kind: "chatgpt",
      tokens: {
        ...this.#tokens,
        accessToken: accessToken ?? this.#tokens.accessToken,
        refreshToken: refreshToken ?? this.#tokens.refreshToken,
        idToken: idToken ?? this.#tokens.idToken,
        // It belonged to the first access token.
        expiresAtMs: undefined,
        lastRefreshMs: Date.parse(kept.data.last_refresh),
      },
    };
  }

  async save(fresh: FreshTokens, nowMs: number, replaces: string): Promise<boolean> {
    const before = await this.load();
    const old = before?.kind === "chatgpt" ? before.tokens : undefined;
    if (old?.refreshToken !== replaces) return false;
    const kept: z.infer<typeof Kept> = {
      origin: this.#origin,
      access_token: fresh.accessToken ?? old?.accessToken,
      refresh_token: fresh.refreshToken ?? old?.refreshToken,
      id_token: fresh.idToken ?? old?.idToken,
      last_refresh: new Date(nowMs).toISOString(),
    };
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeAtomically(this.#path, JSON.stringify(kept, undefined, 2), 0o600);
    return true;
  }

  readonly lockPath = async (): Promise<string> => {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    return `${this.#path}.lock`;
  };
}

/** True when files can be made in the folder, or the folder itself can be. */
function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    const parent = dirname(folder);
    return isObject(error) && error["code"] === "ENOENT" && parent !== folder && isWritable(parent);
  }
}

function tokensOf(environment: Environment): Tokens | undefined {
  const accessToken =
    nonEmptyString(environment["OPENAI_ACCESS_TOKEN"]) ?? nonEmptyString(environment["CODEX_ACCESS_TOKEN"]);
  const refreshToken = nonEmptyString(environment["OPENAI_REFRESH_TOKEN"]);
  if (accessToken === undefined && refreshToken === undefined) return undefined;
  return {
    accessToken,
    refreshToken,
    idToken: undefined,
    accountId: nonEmptyString(environment["OPENAI_CHATGPT_ACCOUNT_ID"]),
    expiresAtMs: momentMs(environment["OPENAI_EXPIRES_AT"]),
    lastRefreshMs: undefined,
  };
}

/** Epoch seconds or milliseconds: anything that as seconds would lie after the year 5000 is milliseconds. */
function momentMs(text: string | undefined): number | undefined {
  const value = Number(text ?? "");
  if (!Number.isFinite(value) || value <= 0) return undefined;
  return value < 1e11 ? value * 1000 : value;
}
