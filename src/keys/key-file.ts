import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { writeAtomically } from "../lib/atomic-file.ts";
import { RelayError } from "../lib/errors.ts";
import { fileFailure } from "../lib/file-failure.ts";
import { jsonFault } from "../lib/json-fault.ts";
import { takeLock } from "../lib/lock-file.ts";
import { assertOwnFolder, readOwn, refuseLink } from "../lib/private-file.ts";
import { idOfDigest, stateOf, type ClientKey, type KeyLimits } from "./key.ts";

const PRIVATE = 0o600;
/** Keys that a file may have: each request's key is compared with all of them. */
const MOST_KEYS = 256;
/** Of the file; 256 keys take a third of it. */
const MOST_BYTES = 256 * 1024;

/** Names are shown in logs and metrics, and the relay's own key has one of them. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** The name of the key that `--api-key` sets. */
export const OWNER = "owner";

const moment = z.iso.datetime({ offset: true });
const positive = z.number().positive();

const Limits = z.strictObject({
  models: z.array(z.string().min(1)).min(1).optional(),
  tokens_per_day: positive.int().optional(),
  share_of_window_percent: positive.max(100).optional(),
  requests_at_once: positive.int().optional(),
});

// Strict: a limit with a typing error must not be a key without that limit.
const Entry = z.strictObject({
  name: z.string().regex(NAME),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: moment,
  expires_at: moment.optional(),
  revoked_at: moment.optional(),
  made_for: z.string().optional(),
  limits: Limits.optional(),
});
type Entry = z.infer<typeof Entry>;

const Keys = z.strictObject({ version: z.literal(1), keys: z.array(Entry).max(MOST_KEYS) });

/** A new key without what the file adds. */
export type NewKey = Pick<ClientKey, "name" | "digest" | "expiresAtMs" | "limits" | "madeFor">;

/** Where the keys of the relays with this state folder are. */
export function keysPath(stateFolder: string): string {
  return join(stateFolder, "keys.json");
}

/** The clients' keys in the state folder: mode 0600, replaced in one step, one writer at a time, reached over no link. */
export class KeyFile {
  readonly path: string;
  readonly #now: () => number;

  constructor(path: string, now: () => number = Date.now) {
    this.path = path;
    this.#now = now;
  }

  /** Undefined where there is no file. Throws `keys_unreadable` for one that cannot be read or has another form. */
  read(): { readonly keys: readonly ClientKey[]; readonly mode: number } | undefined {
    const file = this.#bytes();
    if (!file) return undefined;
    return { keys: this.#parse(file.text), mode: file.mode };
  }

  /** Adds a key; one of the same name that has ended makes room. Throws `keys_failed` for a name in use. */
  async add(key: NewKey): Promise<ClientKey> {
    checkName(key.name);
    const added: ClientKey = {
      ...key,
      id: idOfDigest(key.digest),
      createdAtMs: this.#now(),
      revokedAtMs: undefined,
    };
    await this.#change((keys) => {
      const same = keys.find(({ name }) => name === key.name);
      if (same && stateOf(same, this.#now()) === "usable") {
        throw new RelayError("keys_failed", `There is a key with the name '${key.name}' already.`, {
          hint: `Choose another name, or end that one with \`plansocket keys revoke ${key.name}\`.`,
        });
      }
      const others = keys.filter((other) => other !== same);
      if (others.length >= MOST_KEYS) {
        throw new RelayError("keys_failed", `There are ${MOST_KEYS} keys already, and no relay takes more.`, {
          hint: `Take keys that have ended out of ${this.path}.`,
        });
      }
      return [...others, added];
    });
    return added;
  }

  /** Ends a key for good; its entry stays. Throws `nothing_there` where no usable key has the name. */
  async revoke(name: string): Promise<ClientKey> {
    let ended: ClientKey | undefined;
    await this.#change((keys) => {
      const found = keys.find((key) => key.name === name);
      if (!found) {
        const names = keys.map((key) => key.name).join(", ");
        throw new RelayError("nothing_there", `There is no key with the name '${name.slice(0, 64)}'.`, {
          hint: names === "" ? "`plansocket keys add NAME` makes one." : `Keys: ${names}.`,
        });
      }
      if (found.revokedAtMs !== undefined) {
        throw new RelayError("nothing_there", `The key '${name}' is revoked already.`, {
          hint: "`plansocket keys list` shows all of them.",
        });
      }
      ended = { ...found, revokedAtMs: this.#now() };
      return keys.map((key) => (key === found && ended ? ended : key));
    });
    if (!ended) throw new Error("unreachable");
    return ended;
  }

  async #change(change: (keys: readonly ClientKey[]) => readonly ClientKey[]): Promise<void> {
    const folder = dirname(this.path);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      assertOwnFolder(folder);
      const unlock = await takeLock(`${this.path}.lock`);
      try {
        const next = { version: 1, keys: change(this.read()?.keys ?? []).map(toEntry) };
        refuseLink(this.path);
        await writeAtomically(this.path, `${JSON.stringify(next, undefined, 2)}\n`, PRIVATE);
      } finally {
        await unlock();
      }
    } catch (error) {
      if (error instanceof RelayError) throw error;
      const instead = "or choose another folder with --state-dir";
      throw fileFailure(error, { code: "keys_failed", path: this.path, instead }) ?? error;
    }
  }

  #bytes() {
    try {
      return readOwn(this.path, MOST_BYTES);
    } catch (error) {
      if (error instanceof RelayError) throw unreadable(error.message, error.hint ?? "", error);
      const instead = "or choose another folder with --state-dir";
      const failure = fileFailure(error, { path: this.path, verb: "read", instead });
      throw unreadable(failure?.message ?? `${this.path} could not be read.`, failure?.hint ?? "", error);
    }
  }

  #parse(text: string): ClientKey[] {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      const { line, column, reason } = jsonFault(text);
      throw unreadable(`${this.path} is not JSON: line ${line}, column ${column}: ${reason}.`, REPAIR);
    }
    const parsed = Keys.safeParse(json);
    if (parsed.success) return parsed.data.keys.map(fromEntry);
    const [issue] = parsed.error.issues;
    const place = issue?.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
    throw unreadable(`${this.path} has an unexpected form at '${(place ?? "").replace(/^\./, "")}'.`, REPAIR);
  }
}

const REPAIR = "Correct it, or move it away and make new keys with `plansocket keys add NAME`.";

function unreadable(message: string, hint: string, cause?: unknown): RelayError {
  return new RelayError("keys_unreadable", message, { hint, cause });
}

/** Throws `usage` for names that no key may have. */
function checkName(name: string): void {
  if (name.toLowerCase() === OWNER) {
    throw new RelayError("usage", `'${name}' is the name of the key that --api-key sets.`, {
      hint: "Choose another one.",
    });
  }
  if (NAME.test(name)) return;
  throw new RelayError("usage", `'${name.slice(0, 64)}' is no name for a key.`, {
    hint: "A name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or a digit.",
  });
}

function fromEntry(entry: Entry): ClientKey {
  const digest = Buffer.from(entry.sha256, "hex");
  const ms = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  return {
    id: idOfDigest(digest),
    name: entry.name,
    digest,
    createdAtMs: Date.parse(entry.created_at),
    expiresAtMs: ms(entry.expires_at),
    revokedAtMs: ms(entry.revoked_at),
    madeFor: entry.made_for,
    limits: limitsOf(entry.limits ?? {}),
  };
}

function limitsOf(limits: z.infer<typeof Limits>): KeyLimits {
  const { models, tokens_per_day: tokensPerDay, share_of_window_percent: percent, requests_at_once: atOnce } = limits;
  return {
    ...(models ? { models } : {}),
    ...(tokensPerDay === undefined ? {} : { tokensPerDay }),
    ...(percent === undefined ? {} : { shareOfWindowPercent: percent }),
    ...(atOnce === undefined ? {} : { requestsAtOnce: atOnce }),
  };
}

function toEntry(key: ClientKey): Entry {
  const iso = (ms: number) => new Date(ms).toISOString();
  const { models, ...limits } = limitsAsJson(key.limits);
  return {
    name: key.name,
    sha256: key.digest.toString("hex"),
    created_at: iso(key.createdAtMs),
    ...(key.expiresAtMs === undefined ? {} : { expires_at: iso(key.expiresAtMs) }),
    ...(key.revokedAtMs === undefined ? {} : { revoked_at: iso(key.revokedAtMs) }),
    ...(key.madeFor === undefined ? {} : { made_for: key.madeFor }),
    limits: { ...limits, ...(models ? { models: [...models] } : {}) },
  };
}

/** Limits under their names in the file and in what `keys list --json` prints. */
export function limitsAsJson({ models, tokensPerDay, shareOfWindowPercent, requestsAtOnce }: KeyLimits) {
  return {
    ...(models ? { models } : {}),
    ...(tokensPerDay === undefined ? {} : { tokens_per_day: tokensPerDay }),
    ...(shareOfWindowPercent === undefined ? {} : { share_of_window_percent: shareOfWindowPercent }),
    ...(requestsAtOnce === undefined ? {} : { requests_at_once: requestsAtOnce }),
  };
}
