import { listenFailure, type Address } from "../listen-failure.ts";
import { errorCode } from "../../lib/thrown.ts";

/** Throws `start_failed` naming who holds the port. Other troubles with the address are left for the relay to report. */
export async function assertFree({ host, port }: Address): Promise<void> {
  if (port === 0) return;
  try {
    await Bun.serve({ hostname: host, port, fetch: () => new Response() }).stop(true);
  } catch (error) {
    if (errorCode(error) !== "EADDRINUSE") return;
    throw await listenFailure({ host, port }, "EADDRINUSE", error);
  }
}
