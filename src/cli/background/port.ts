import { RelayError } from "../../lib/errors.ts";
import { httpUrl } from "../../lib/url.ts";
import { portOwner } from "../port-owner.ts";
import { relayAt } from "../relay-at.ts";

/** Where a relay is to listen. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Throws `start_failed` naming who holds the port. Other troubles with the address are left for the relay itself to tell. */
export async function assertFree({ host, port }: Address): Promise<void> {
  if (port === 0) return;
  try {
    await Bun.serve({ hostname: host, port, fetch: () => new Response() }).stop(true);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EADDRINUSE") return;
    const owner = portOwner(port);
    const isRelay = (await relayAt(httpUrl(host, port))) !== undefined;
    const pid = owner === undefined ? "" : ` (pid ${owner.pid})`;
    const who = isRelay ? `another plansocket${pid}` : owner === undefined ? "another program" : `${owner.name}${pid}`;
    throw new RelayError("start_failed", `Port ${port} on ${host} is in use by ${who}.`, {
      hint: `Stop ${isRelay ? "it" : "that program"}, or choose another port with --port.`,
      cause: error,
    });
  }
}
