import type { SharedStore } from "../store.ts";
import { fail, ok, skip, type Outcome } from "./finding.ts";

/** The store that replicas share: whether it can be reached, and how long it takes to answer. */
export async function storeCheck(store: SharedStore | undefined): Promise<Outcome> {
  if (!store) return skip("none");
  const { connection } = store;
  await connection.open();
  const detail = { store: connection.address.shown };
  if (!connection.isUp) {
    const { message, hint = "" } = connection.away();
    return fail(`${message} A relay goes on with the login in hand and renews nothing.`, hint, detail);
  }
  const began = performance.now();
  await connection.send("PING", []);
  return ok(`${connection.address.shown} answers in ${(performance.now() - began).toFixed(1)} ms`, detail);
}
