import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileVersion, writeAtomically } from "../lib/atomic-file.ts";
import { RelayError } from "../lib/errors.ts";
import { fileFailure } from "../lib/file-failure.ts";
import { takeLock } from "../lib/lock-file.ts";
import { assertOwnFolder, readOwn, assertPlainFile } from "../lib/private-file.ts";
import type { ClientKey } from "./key.ts";
import {
  addKey,
  keysText,
  parseKeys,
  revokeKey,
  unreadable,
  type ChangeKeys,
  type KeyPlace,
  type NewKey,
} from "./key-list.ts";

const PRIVATE = 0o600;
/** Of the file; 256 keys take a third of it. */
const MOST_BYTES = 256 * 1024;

/** Where the keys of the relays with this state folder are. */
export function keysPath(stateFolder: string): string {
  return join(stateFolder, "keys.json");
}

/** The clients' keys in the state folder: mode 0600, replaced in one step, one writer at a time, reached over no link. */
export class KeyFile implements KeyPlace {
  readonly path: string;
  readonly #now: () => number;

  constructor(path: string, now: () => number = Date.now) {
    this.path = path;
    this.#now = now;
  }

  version(): string {
    return fileVersion(this.path);
  }

  read(): { readonly keys: readonly ClientKey[]; readonly mode: number } | undefined {
    const file = this.#bytes();
    if (!file) return undefined;
    return { keys: parseKeys(file.text, this.path), mode: file.mode };
  }

  add(key: NewKey): Promise<ClientKey> {
    return addKey((change) => this.#change(change), key, this.path, this.#now);
  }

  revoke(name: string): Promise<ClientKey> {
    return revokeKey((change) => this.#change(change), name, this.#now);
  }

  async #change(change: ChangeKeys): Promise<void> {
    const folder = dirname(this.path);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      assertOwnFolder(folder);
      const unlock = await takeLock(`${this.path}.lock`);
      try {
        const next = keysText(change(this.read()?.keys ?? []));
        assertPlainFile(this.path);
        await writeAtomically(this.path, next, PRIVATE);
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
}
