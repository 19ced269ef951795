/** What one key may do; a limit that is absent is none. */
export interface KeyLimits {
  /** Names as the owner wrote them. */
  readonly models?: readonly string[];
  /** Input and output tokens, cached ones too, from midnight to midnight of the relay's local time. */
  readonly tokensPerDay?: number;
  /** Of each window of the plan, in percent of the whole window. */
  readonly shareOfWindowPercent?: number;
  readonly requestsAtOnce?: number;
}

/** One client's key, as it is kept: never the key itself. */
export interface ClientKey {
  /** The first 16 hex characters of its digest; tells keys apart where names come again. */
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the key. */
  readonly digest: Buffer;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
  readonly limits: KeyLimits;
  /** The client that `setup` made it for; undefined for keys made by hand. */
  readonly madeFor: string | undefined;
}

/** What became of a key. */
export type KeyState = "usable" | "expired" | "revoked";

/** By which people and secret scanners recognize a key. */
const PREFIX = "plsk_";
const RANDOM_BYTES = 32;
/** A whole key in a text, such as a client's configuration. */
export const KEY_TEXT = /\bplsk_[\w-]{43}(?![\w-])/g;

/** A new key: 256 random bits. */
export function newKeyText(): string {
  const bytes = crypto.getRandomValues(Buffer.alloc(RANDOM_BYTES));
  return `${PREFIX}${bytes.toString("base64url")}`;
}

/**
 * What is kept of a key. Plain SHA-256, unlike for passwords: keys are 256 random bits, so nobody can try them all, and
 * a slow hash would only slow every request down.
 */
export function keyDigest(text: string): Buffer {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}

/** A key's id from its digest. */
export function idOfDigest(digest: Buffer): string {
  return digest.toString("hex").slice(0, 16);
}

/** What may be done with a key now. */
export function stateOf(key: Pick<ClientKey, "revokedAtMs" | "expiresAtMs">, nowMs: number): KeyState {
  if (key.revokedAtMs !== undefined) return "revoked";
  return key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs ? "expired" : "usable";
}
