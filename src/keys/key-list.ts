import { z } from "zod";
import { RelayError } from "../lib/errors.ts";
import { jsonFault } from "../lib/json-fault.ts";
import { lazily } from "../lib/lazily.ts";
import { idOfDigest, stateOf, type ClientKey, type KeyLimits } from "./key.ts";

/** Keys that a list may have: each request's key is compared with all of them. */
const MOST_KEYS = 256;

/** Names are shown in logs and metrics, and the relay's own key has one of them. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** The name of the key that `--api-key` sets. */
export const OWNER = "owner";

const keysSchema = lazily(() => {
  const moment = z.iso.datetime({ offset: true });
  const positive = z.number().positive();
  const limits = z.strictObject({
    models: z.array(z.string().min(1)).min(1).optional(),
    tokens_per_day: positive.int().optional(),
    share_of_window_percent: positive.max(100).optional(),
    requests_at_once: positive.int().optional(),
  });
  // Strict: a limit with a typing error must not be a key without that limit.
  const entry = z.strictObject({
    name: z.string().regex(NAME),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    created_at: moment,
    expires_at: moment.optional(),
    revoked_at: moment.optional(),
    made_for: z.string().optional(),
    limits: limits.optional(),
  });
  return z.strictObject({ version: z.literal(1), keys: z.array(entry).max(MOST_KEYS) });
});
type Entry = z.infer<ReturnType<typeof keysSchema>>["keys"][number];

/** A new key without what the file adds. */
export type NewKey = Pick<ClientKey, "name" | "digest" | "expiresAtMs" | "limits" | "madeFor">;

/** Version of a list that could not be looked at yet: there may be keys, and nobody can tell. */
export const UNKNOWN = "unknown";

/** Where the clients' keys are kept. */
export interface KeyPlace {
  /** For people. */
  readonly path: string;
  /** Changes whenever `read` would give something else; `none` where there is no list. Cheap: asked on every request. */
  version(): string;
  /** Undefined where there is no list. Throws `keys_unreadable` for one that cannot be read or has another form. */
  read(): { readonly keys: readonly ClientKey[] } | undefined;
  /** Adds a key; one of the same name that has ended makes room. Throws `keys_failed` for a name in use. */
  add(key: NewKey): Promise<ClientKey>;
  /** Ends a key for good; its entry stays. Throws `nothing_there` where no usable key has the name. */
  revoke(name: string): Promise<ClientKey>;
}

/** What `change` is to be asked for: the list as it is, and as it is to be. */
export type ChangeKeys = (keys: readonly ClientKey[]) => readonly ClientKey[];

/** Makes a change to a list in its place, among others who change it. */
export type ApplyChange = (change: ChangeKeys) => Promise<void>;

/** `KeyPlace.add` of a place that makes changes so. `path` is for people. */
export async function addKey(apply: ApplyChange, key: NewKey, path: string, now: () => number): Promise<ClientKey> {
  const added = madeKey(key, now());
  await apply((keys) => withKey(keys, added, path, now()));
  return added;
}

/** `KeyPlace.revoke` of one. */
export async function revokeKey(apply: ApplyChange, name: string, now: () => number): Promise<ClientKey> {
  const { promise, resolve } = Promise.withResolvers<ClientKey>();
  await apply((keys) => {
    const { keys: next, ended } = withoutKey(keys, name, now());
    resolve(ended);
    return next;
  });
  return promise;
}

/** The list with one more key. Throws `usage` for its name, and `keys_failed`. */
function withKey(keys: readonly ClientKey[], added: ClientKey, path: string, nowMs: number): ClientKey[] {
  checkName(added.name);
  const same = keys.find(({ name }) => name === added.name);
  if (same && stateOf(same, nowMs) === "usable") {
    throw new RelayError("keys_failed", `There is a key with the name '${added.name}' already.`, {
      hint: `Choose another name, or end that one with \`plansocket keys revoke ${added.name}\`.`,
    });
  }
  const others = keys.filter((other) => other !== same);
  if (others.length >= MOST_KEYS) {
    throw new RelayError("keys_failed", `There are ${MOST_KEYS} keys already, and no relay takes more.`, {
      hint: `Take keys that have ended out of ${path}.`,
    });
  }
  return [...others, added];
}

/** The list in which a key has ended. Throws `nothing_there`. */
function withoutKey(
  keys: readonly ClientKey[],
  name: string,
  nowMs: number,
): { readonly keys: ClientKey[]; readonly ended: ClientKey } {
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
  const ended = { ...found, revokedAtMs: nowMs };
  return { keys: keys.map((key) => (key === found ? ended : key)), ended };
}

/** A new key as it stands in the list. */
function madeKey(key: NewKey, nowMs: number): ClientKey {
  return { ...key, id: idOfDigest(key.digest), createdAtMs: nowMs, revokedAtMs: undefined };
}

/** The list as text. */
export function keysText(keys: readonly ClientKey[]): string {
  return `${JSON.stringify({ version: 1, keys: keys.map(toEntry) }, undefined, 2)}\n`;
}

/** Reads that text. `path` is named in what is thrown, which is `keys_unreadable`. */
export function parseKeys(text: string, path: string): ClientKey[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    const { line, column, reason } = jsonFault(text);
    throw unreadable(`${path} is not JSON: line ${line}, column ${column}: ${reason}.`, REPAIR);
  }
  const parsed = keysSchema().safeParse(json);
  if (parsed.success) return parsed.data.keys.map(fromEntry);
  const [issue] = parsed.error.issues;
  const place = issue?.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  throw unreadable(`${path} has an unexpected form at '${(place ?? "").replace(/^\./, "")}'.`, REPAIR);
}

const REPAIR = "Correct it, or move it away and make new keys with `plansocket keys add NAME`.";

/** A list of keys that is there and says nothing. */
export function unreadable(message: string, hint: string, cause?: unknown): RelayError {
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

function limitsOf(limits: NonNullable<Entry["limits"]>): KeyLimits {
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
