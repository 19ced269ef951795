import { takeSocketPlace } from "../../server/unix-socket.ts";
import { listenFailure } from "../listen-failure.ts";
import type { ListenAddress } from "../own-relay.ts";
import { errorCode } from "../../lib/thrown.ts";

/** Throws `start_failed` naming who holds the port or the socket. Other troubles with the address are left for the relay to report. */
export async function assertFree({ host, otherHosts, port, unix }: ListenAddress): Promise<void> {
  if (unix !== undefined) {
    const release = await takeSocketPlace(unix);
    return release();
  }
  if (port === 0) return;
  for (const each of [host, ...otherHosts]) {
    try {
      await Bun.serve({ hostname: each, port, fetch: () => new Response() }).stop(true);
    } catch (error) {
      if (errorCode(error) !== "EADDRINUSE") continue;
      throw await listenFailure({ host: each, port }, "EADDRINUSE", error);
    }
  }
}
