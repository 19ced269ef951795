import type { KeyPlace } from "../../keys/key-list.ts";
import { KEY_TEXT, keyDigest, newKeyText, stateOf, type ClientKey } from "../../keys/key.ts";
import { toRelayError } from "../../lib/errors.ts";
import { say } from "../output.ts";

/** A key that setup gives to a client. */
export interface OwnKey {
  readonly name: string;
  readonly text: string;
  /** False for one that the client has already. */
  readonly isNew: boolean;
}

/** True when clients of the relay have keys. Throws `keys_unreadable`. */
export function areKeysInUse(file: KeyPlace): boolean {
  return file.read() !== undefined;
}

/**
 * The key for a client: the one of an earlier setup that stands in `texts`, its files, else a new one, which is good
 * only once it is kept. Keys that were made by hand stay as they are, also under the client's name. Throws
 * `keys_unreadable`.
 */
export function ownKeyFor(client: string, file: KeyPlace, texts: readonly string[]): OwnKey {
  const usable = usableKeys(file);
  const present = texts.flatMap((text) => text.match(KEY_TEXT) ?? []);
  for (const { name, digest } of usable.filter(({ madeFor }) => madeFor === client)) {
    const text = present.find((candidate) => keyDigest(candidate).equals(digest));
    if (text !== undefined) return { name, text, isNew: false };
  }
  let name = client;
  for (let next = 2; usable.some((key) => key.name === name); next += 1) name = `${client}-${next}`;
  return { name, text: newKeyText(), isNew: true };
}

/** Makes a new key good. Throws `keys_failed`. */
export async function keepOwnKey(client: string, file: KeyPlace, { name, text, isNew }: OwnKey): Promise<void> {
  if (!isNew) return;
  await file.add({ name, digest: keyDigest(text), expiresAtMs: undefined, limits: {}, madeFor: client });
}

/** Ends the keys that setup made for a client. Says what is wrong with a list of keys that cannot be read, and goes on. */
export async function revokeOwnKeys(client: string, file: KeyPlace): Promise<void> {
  try {
    for (const { name, madeFor } of usableKeys(file)) {
      if (madeFor !== client) continue;
      await file.revoke(name);
      say(`The key '${name}' is revoked.`);
    }
  } catch (thrown) {
    const { message, hint = "" } = toRelayError(thrown);
    say(`The client's key was not revoked. ${message} ${hint}`.trim());
  }
}

function usableKeys(file: KeyPlace): ClientKey[] {
  return (file.read()?.keys ?? []).filter((key) => stateOf(key, Date.now()) === "usable");
}
