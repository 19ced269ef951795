import type { CredentialProvider } from "../auth/credentials.ts";
import { toRelayError } from "../lib/errors.ts";
import { VERSION } from "../version.ts";
import { jsonReply } from "./reply.ts";

/** Facts about this process that anyone on the machine may know. */
export interface Instance {
  /** Random, so that `start` and `status` can tell this process from another on the same port. */
  readonly id: string;
  readonly startedAtMs: number;
}

/** GET /health: the process is alive. */
export function health(instance: Instance, nowMs: number): Response {
  return jsonReply({
    status: "ok",
    name: "codex-relay",
    version: VERSION,
    instance: instance.id,
    uptime_seconds: Math.floor((nowMs - instance.startedAtMs) / 1000),
  });
}

/** GET /ready: there is a login that works, as far as can be told without asking upstream for an answer. */
export async function ready(credentials: CredentialProvider): Promise<Response> {
  try {
    const { kind } = await credentials.current();
    return jsonReply({ status: "ready", mode: kind });
  } catch (thrown) {
    const error = toRelayError(thrown);
    return jsonReply({ status: "not_ready", reason: error.wireCode ?? error.code }, 503, { "retry-after": "5" });
  }
}
