import type { KeyFile } from "../../keys/key-file.ts";
import { say } from "../output.ts";

/** Ends a key for good, in relays that run too. */
export async function revokeKey(file: KeyFile, name: string): Promise<number> {
  await file.revoke(name);
  say(`The key '${name}' is revoked. Relays that run refuse it from now on and end what it has open.`);
  return 0;
}
