import type { KeyPlace } from "../../keys/key-list.ts";
import { say } from "../output.ts";

/** Ends a key for good, in relays that run too. */
export async function revokeKey(file: KeyPlace, name: string): Promise<number> {
  await file.revoke(name);
  say(`The key '${name}' is revoked. Relays that run refuse it from now on and end what it has open.`);
  return 0;
}
