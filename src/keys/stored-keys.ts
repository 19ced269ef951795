import { RelayError } from "../lib/errors.ts";
import { listOf } from "../lib/json.ts";
import { announcing, script, type StoreConnection } from "../store/connection.ts";
import type { Sealer } from "../store/sealing.ts";
import type { ClientKey } from "./key.ts";
import {
  UNKNOWN,
  addKey,
  keysText,
  parseKeys,
  revokeKey,
  unreadable,
  type ChangeKeys,
  type KeyPlace,
  type NewKey,
} from "./key-list.ts";

/** Others who change the list at the same moment: each attempt meets one of them at most. */
const ATTEMPTS = 16;

/** Puts a list where the one with version ARGV[1] lies, and says its version. ARGV version, new version, sealed. */
const REPLACE = script(`if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'sealed', ARGV[3])
${announcing("keys", "ARGV[2]", "KEYS[2]", "KEYS[3]")}
return 1`);

/** Brings a list back into a store that was emptied. ARGV version, sealed. */
const RESTORE =
  script(`if tonumber(redis.call('HGET', KEYS[1], 'version') or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'sealed', ARGV[2])
${announcing("keys", "ARGV[1]", "KEYS[2]", "KEYS[3]")}
return 1`);

/** A version that is higher than the one before and than any that a store had which was emptied since. */
const NEXT = script(`local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
return string.format('%.0f', math.max(now, version + 1))`);

interface List {
  readonly version: string;
  readonly sealed: string;
  readonly keys: readonly ClientKey[];
}

const NONE: List = { version: "0", sealed: "", keys: [] };

/** The clients' keys that replicas share, encrypted in a store; nobody who can only write to the store can make one. */
export class StoredKeys implements KeyPlace {
  readonly path: string;
  readonly #store: StoreConnection;
  readonly #sealer: Sealer;
  readonly #now: () => number;
  /** Undefined until the store was read once. */
  #list: List | undefined;
  #fault: RelayError | undefined;

  constructor(store: StoreConnection, sealer: Sealer, now: () => number = Date.now) {
    this.#store = store;
    this.#sealer = sealer;
    this.#now = now;
    this.path = `the store ${store.address.shown}`;
    store.onChange("keys", () => void this.load().catch(() => {}));
    store.onBack(() => this.#comeBack());
  }

  version(): string {
    if (this.#fault) return "unreadable";
    if (!this.#list) return UNKNOWN;
    return this.#list.version === "0" ? "none" : this.#list.version;
  }

  read(): { readonly keys: readonly ClientKey[] } | undefined {
    if (this.#fault) throw this.#fault;
    // Not known is not none: whoever has no key stays outside.
    if (!this.#list) throw unreadable(`${this.path} could not be read yet.`, "It is read as soon as it is back.");
    return this.#list.version === "0" ? undefined : { keys: this.#list.keys };
  }

  /** Reads the list as it is now. Throws `store_unavailable`. */
  async load(): Promise<List> {
    await this.#store.open();
    const reply = await this.#store.send("HMGET", [this.#store.key("keys"), "version", "sealed"]);
    const [version, sealed] = listOf(reply);
    if (typeof version !== "string" || typeof sealed !== "string") {
      this.#list ??= NONE;
      return this.#list;
    }
    try {
      const text = this.#sealer.open(sealed, this.#place(version));
      this.#list = { version, sealed, keys: parseKeys(text, this.path) };
      this.#fault = undefined;
      return this.#list;
    } catch (error) {
      this.#fault = error instanceof RelayError ? unreadable(error.message, error.hint ?? "", error) : undefined;
      throw error;
    }
  }

  add(key: NewKey): Promise<ClientKey> {
    return addKey((change) => this.#change(change), key, this.path, this.#now);
  }

  revoke(name: string): Promise<ClientKey> {
    return revokeKey((change) => this.#change(change), name, this.#now);
  }

  async #change(change: ChangeKeys): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await this.load();
      const keys = change(before.keys);
      const version = String(await this.#run(NEXT, []));
      const sealed = this.#sealer.seal(keysText(keys), this.#place(version));
      if ((await this.#run(REPLACE, [before.version, version, sealed])) !== 1) continue;
      this.#list = { version, sealed, keys };
      return;
    }
    throw new RelayError("keys_failed", "Others keep changing the list of keys.", { hint: "Try again in a moment." });
  }

  async #comeBack(): Promise<void> {
    if (this.#list && this.#list !== NONE) await this.#run(RESTORE, [this.#list.version, this.#list.sealed]);
    await this.load();
  }

  #place(version: string): string {
    return `${this.#store.key("keys")} ${version}`;
  }

  #run(what: Parameters<StoreConnection["run"]>[0], values: readonly string[]): Promise<unknown> {
    return this.#store.run(
      what,
      ["keys", "versions", "changes"].map((name) => this.#store.key(name)),
      values,
    );
  }
}
