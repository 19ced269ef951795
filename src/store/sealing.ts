import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { RelayError } from "../lib/errors.ts";

/** AES-256-GCM, with the nonce and tag of the standard's usual lengths. */
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Form of what is sealed; another one gets another number. */
const VERSION = "v1";

interface Key {
  /** Tells keys apart without telling anything of them. */
  readonly id: string;
  readonly bytes: Buffer;
}

/**
 * Encrypts what is kept where others may read it. The first key seals, all of them open: a rotated key stays as a later
 * one until everything is sealed anew. `place` is the key in the store under which a value lies: moved elsewhere, it does
 * not open.
 */
export class Sealer {
  readonly #keys: readonly [Key, ...Key[]];

  /** `text`: keys of 32 bytes in base64 or hex, separated by commas. Throws `usage`. */
  constructor(text: string) {
    const [first, ...others] = text.split(",").map((part) => part.trim());
    this.#keys = [keyOf(first ?? ""), ...others.filter((part) => part !== "").map(keyOf)];
  }

  seal(text: string, place: string): string {
    const [{ id, bytes }] = this.#keys;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, bytes, nonce).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return `${VERSION}.${id}.${sealed.toString("base64")}`;
  }

  /** Throws `store_unavailable` for what another key has sealed, and for what is damaged. */
  open(sealed: string, place: string): string {
    const [version, id, data = ""] = sealed.split(".");
    if (version !== VERSION) throw unreadable("has a form that this version does not know", "Update this relay.");
    const key = this.#keys.find((candidate) => candidate.id === id);
    if (!key) {
      const next = "Give every replica the same PLANSOCKET_STORE_KEY; a new key goes first, as in NEW,OLD.";
      throw unreadable("was sealed with another key", next);
    }
    const bytes = Buffer.from(data, "base64");
    const body = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
    try {
      const decipher = createDecipheriv(CIPHER, key.bytes, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(Buffer.from(place))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      return decipher.update(body, undefined, "utf8") + decipher.final("utf8");
    } catch (cause) {
      throw unreadable("is damaged", "Remove it from the store, or choose another --store-prefix.", cause);
    }
  }

  /** False for what an older key has sealed: it is to be sealed anew. */
  isNewest(sealed: string): boolean {
    return sealed.startsWith(`${VERSION}.${this.#keys[0].id}.`);
  }
}

function keyOf(text: string): Key {
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  if (bytes.length !== KEY_BYTES || !/^[\w+/=-]+$/.test(text)) {
    throw new RelayError("usage", "PLANSOCKET_STORE_KEY must be 32 random bytes in base64 or hex.", {
      hint: "`openssl rand -base64 32` makes one; all replicas get the same.",
    });
  }
  return { id: createHash("sha256").update("plansocket store key ").update(bytes).digest("hex").slice(0, 8), bytes };
}

function unreadable(what: string, hint: string, cause?: unknown): RelayError {
  return new RelayError("store_unavailable", `What the store holds ${what}.`, { hint, cause });
}
