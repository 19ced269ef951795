import { readFileSync, realpathSync } from "node:fs";
import { lstat, mkdir, readFile, realpath, stat, unlink } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { z } from "zod";
import { fileVersion, replaceOrOverwrite } from "../../lib/atomic-file.ts";
import { decodeText } from "../../lib/decode-text.ts";
import { RelayError } from "../../lib/errors.ts";
import { homeFolder } from "../../lib/home.ts";
import { isObject, nonEmptyString, parseJson, type JsonObject } from "../../lib/json.ts";
import { lazily } from "../../lib/lazily.ts";
import { proveWritable } from "../../lib/write-probe.ts";
import { takeLock } from "../../lib/lock-file.ts";
import { fileLock } from "./file-lock.ts";
import type { CredentialSource, FreshTokens, LockOptions, Login, LoginLock } from "./source.ts";
import { errorCode } from "../../lib/thrown.ts";

/** Older Codex CLIs truncate the file in place: a reader may meet half of it for a moment. */
const REREADS = 4;
const REREAD_MS = 50;

/** Attempts to save while another program keeps changing the file. */
const RESAVES = 4;

const PRIVATE = 0o600;

/** A login takes a few thousand. */
const MAX_BYTES = 2 ** 20;

class ChangedMeanwhile extends Error {}

/** Field by field: an odd value of one must not make the others useless. Blanks around come from copying by hand. */
const field = lazily(() => z.string().trim().nullish().catch(undefined));

const shape = lazily(() => {
  const text = field();
  return z.looseObject({
    auth_mode: text,
    OPENAI_API_KEY: text,
    tokens: z.looseObject({ id_token: text, access_token: text, refresh_token: text, account_id: text }).nullish(),
    last_refresh: text,
    personal_access_token: text,
  });
});
type Shape = z.infer<ReturnType<typeof shape>>;

const LOGIN = "Run `plansocket login` (or `codex login`).";

const OWN_FILE = "`plansocket login --auth-file FILE`, which leaves the Codex CLI's login as it is.";

/** Modes of the Codex CLI that need more than a bearer token: what they are, and what to do instead. */
const OTHER_MODES: readonly (readonly [mode: string, what: string, hint: string])[] = [
  ["agentidentity", " (requests signed with an agent's key)", `Sign in with a ChatGPT account: ${OWN_FILE}`],
  ["headers", " (headers that another program provides)", `Use that program's endpoint, or sign in: ${OWN_FILE}`],
  ["bedrockapikey", " (Amazon Bedrock)", `A Bedrock key has no ChatGPT plan; sign in with one: ${OWN_FILE}`],
];

/** Older files name no mode. A key beside tokens is then the login; newer ones say so in `auth_mode`. */
function modeOf({ OPENAI_API_KEY: key, tokens, personal_access_token: token }: Shape): string {
  if (key) return "apikey";
  return token && !tokens ? "personalaccesstoken" : "chatgpt";
}

/** The Codex CLI's own file: shared with it, so read anew whenever it changes and written with care. */
export class AuthFile implements CredentialSource {
  readonly name: string;
  readonly elsewhere = "give the relay a login of its own: `plansocket login --auth-file FILE`, in a writable folder";
  readonly tokenRemedy = "Log the Codex CLI in with a valid one, or run `plansocket login`.";
  readonly remedy = "Run `plansocket login` (or `codex login`) to sign in again.";
  readonly #path: string;
  readonly #sleep: (ms: number) => Promise<void>;

  constructor(path: string, sleep: (ms: number) => Promise<void>) {
    this.#path = path;
    this.#sleep = sleep;
    const home = homeFolder();
    this.name = home !== "" && path.startsWith(home + sep) ? path.replace(home, "~") : path;
  }

  /** Behind a symlink it is the folder of the file itself that has to be writable. */
  get folder(): string {
    try {
      return dirname(realpathSync(this.#path));
    } catch {
      return dirname(this.#path);
    }
  }

  version(): string {
    return fileVersion(this.#path);
  }

  async load(): Promise<Login | undefined> {
    const read = await this.#read();
    return read && parsedLogin(read.file, this.name);
  }

  /** Read, change, write: keys that the relay does not know belong to the CLI and stay. */
  async save(fresh: FreshTokens, nowMs: number, replaces: string): Promise<boolean> {
    for (let attempt = 0; ; attempt += 1) {
      const before = await this.#read();
      const tokens = before?.file["tokens"];
      if (!before || !isObject(tokens) || field().parse(tokens["refresh_token"]) !== replaces) return false;
      const changed = {
        ...before.file,
        tokens: {
          ...tokens,
          ...(fresh.idToken === undefined ? {} : { id_token: fresh.idToken }),
          ...(fresh.accessToken === undefined ? {} : { access_token: fresh.accessToken }),
          ...(fresh.refreshToken === undefined ? {} : { refresh_token: fresh.refreshToken }),
        },
        last_refresh: new Date(nowMs).toISOString(),
      };
      try {
        await this.#write(JSON.stringify(changed, undefined, 2), () => this.#refuseChanged(before.bytes));
        return true;
      } catch (error) {
        if (!(error instanceof ChangedMeanwhile) || attempt === RESAVES) throw error;
      }
    }
  }

  /** A spent token must not stay the only one on the disk: every way to write is tried. */
  #write(text: string, check: () => void): Promise<void> {
    return replaceOrOverwrite(this.#path, text, PRIVATE, check, (error) => error instanceof ChangedMeanwhile);
  }

  proveWritable(): Promise<void> {
    return proveWritable(this.#path);
  }

  /** The CLI takes no lock: what it has written since the file was read is not to be overwritten. */
  #refuseChanged(before: Buffer): void {
    if (!bytesAt(this.#path)?.equals(before)) throw new ChangedMeanwhile();
  }

  /** Resolves when `replace` would succeed now; makes the folder. Throws the error of the file system. */
  async proveReplaceable(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await proveWritable(this.#path);
  }

  /**
   * Puts a new login in place of whatever is there, all of it: parts of two logins do not make one. Throws the error of
   * the file system.
   */
  async replace(login: JsonObject): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const release = await takeLock(await this.#lockPath(), { sleep: this.#sleep });
    try {
      await this.#write(JSON.stringify(login, undefined, 2), () => {});
    } finally {
      await release();
    }
  }

  /**
   * Removes the login; behind a symlink also the file that holds it. A full disk has no room for the lock, but lets go of
   * files. Throws the error of the file system.
   */
  async remove(): Promise<void> {
    const lock = await fileLock(() => this.#lockPath(), this.#sleep);
    try {
      const target = await realpath(this.#path).catch(() => this.#path);
      await unlink(target);
      if (target !== this.#path && (await isSymlink(this.#path))) await unlink(this.#path);
    } finally {
      await lock.release();
    }
  }

  lock({ sleep }: LockOptions): Promise<LoginLock> {
    return fileLock(() => this.#lockPath(), sleep);
  }

  async #lockPath(): Promise<string> {
    const target = await realpath(this.#path).catch(() => this.#path);
    return `${target}.plansocket.lock`;
  }

  /** The file's object and its bytes; undefined when there is no file. Editors may have put a byte order mark first. */
  async #read(): Promise<{ readonly file: JsonObject; readonly bytes: Buffer } | undefined> {
    await this.#refuseUnreadable();
    for (let attempt = 0; ; attempt += 1) {
      const bytes = await readFile(this.#path).catch((error: unknown) => this.#unreadable(error));
      if (bytes === undefined) {
        await this.#refuseKeyring();
        return undefined;
      }
      const file = parseJson(decodeText(bytes));
      if (isObject(file)) return { file, bytes };
      if (attempt === REREADS) throw this.#unusable(`${this.name} is not valid JSON.`);
      await this.#sleep(REREAD_MS);
    }
  }

  /** Pipes and devices would be read for ever, huge files anew for every request. */
  async #refuseUnreadable(): Promise<void> {
    const facts = await stat(this.#path).catch(() => undefined);
    if (!facts || facts.isDirectory()) return;
    if (!facts.isFile()) throw this.#unusable(`${this.name} is no file.`, "Remove it and run `plansocket login`.");
    if (facts.size <= MAX_BYTES) return;
    throw this.#unusable(`${this.name} is too large to hold a login (${Math.ceil(facts.size / 2 ** 20)} MiB).`);
  }

  #unreadable(error: unknown): undefined {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "EISDIR") throw this.#unusable(`${this.name} is a folder.`, "Remove it and run `plansocket login`.");
    if (code === "EACCES" || code === "EPERM") {
      throw this.#unusable(
        `${this.name} may not be read by this user.`,
        `Run \`chmod 600 ${this.name}\` as its owner.`,
      );
    }
    throw this.#unusable(`${this.name} could not be read (${code ?? "unknown error"}).`);
  }

  /** A login in the system's keyring leaves no file behind; only its settings tell. */
  async #refuseKeyring(): Promise<void> {
    const config = await Bun.file(join(dirname(this.#path), "config.toml"))
      .text()
      .catch(() => "");
    if (!/^[ \t]*cli_auth_credentials_store\s*=\s*["'](keyring|auto|ephemeral)["']/m.test(config)) return;
    throw this.#unusable(
      "The Codex CLI keeps its login in the system's keyring, which the relay cannot read.",
      'Set cli_auth_credentials_store = "file" in config.toml and run `codex login` again, or `plansocket login`.',
    );
  }

  #unusable(message: string, hint?: string): RelayError {
    return unusable(message, hint);
  }
}

/** The login in what the Codex CLI writes. `name` is that of its place, for people. Throws `codex_auth_required`. */
export function parsedLogin(file: JsonObject, name: string): Login {
  const parsed = shape().safeParse(file);
  if (!parsed.success) {
    throw unusable(`${name} has an unexpected form (${parsed.error.issues[0]?.path.join(".")}).`);
  }
  const { OPENAI_API_KEY: key, tokens, last_refresh: lastRefresh, personal_access_token: token } = parsed.data;
  const mode = parsed.data.auth_mode?.toLowerCase().replaceAll(/[_-]/g, "") || modeOf(parsed.data);
  if (mode === "apikey") {
    if (!key) throw unusable(`${name} says API key but holds none.`);
    return { kind: "api-key", key };
  }
  if (mode === "personalaccesstoken") {
    if (!token) throw unusable(`${name} says personal access token but holds none.`);
    return { kind: "personal-token", token };
  }
  if (mode !== "chatgpt" && mode !== "chatgptauthtokens") throw otherMode(name, parsed.data.auth_mode ?? mode);
  if (!tokens?.access_token && !tokens?.refresh_token) throw unusable(`${name} holds no tokens.`);
  const provenance = tokens["oauth_provenance"];
  const refreshedAt = Date.parse(lastRefresh ?? "");
  return {
    kind: "chatgpt",
    tokens: {
      accessToken: tokens.access_token || undefined,
      refreshToken: tokens.refresh_token || undefined,
      idToken: tokens.id_token ?? undefined,
      accountId: tokens.account_id || undefined,
      expiresAtMs: undefined,
      lastRefreshMs: Number.isNaN(refreshedAt) ? undefined : refreshedAt,
      clientId: isObject(provenance) ? nonEmptyString(provenance["client_id"]) : undefined,
    },
  };
}

function otherMode(place: string, mode: string): RelayError {
  const [, what, hint] = OTHER_MODES.find(([name]) => name === mode.toLowerCase()) ?? [];
  const message = `${place} holds a login of the kind '${mode.slice(0, 40)}'${what ?? ""}, which the relay cannot use.`;
  return unusable(message, hint ?? LOGIN);
}

function unusable(message: string, hint: string = LOGIN): RelayError {
  return new RelayError("codex_auth_required", message, { hint });
}

function bytesAt(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

async function isSymlink(path: string): Promise<boolean> {
  const facts = await lstat(path).catch(() => undefined);
  return facts?.isSymbolicLink() === true;
}
