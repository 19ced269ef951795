import type { CredentialProvider } from "../../auth/credentials.ts";
import { toRelayError } from "../../lib/errors.ts";
import { VERSION } from "../../version.ts";
import type { Admitted } from "../handle.ts";
import type { Metrics, MetricsSnapshot } from "../metrics.ts";
import { PROMETHEUS_TYPE } from "../prometheus.ts";
import { jsonReply } from "./reply.ts";
import type { Handler, Route } from "./routes.ts";

/** Facts about this process that anyone on the machine may know. */
export interface Instance {
  /** Random, so that `start` and `status` can tell this process from another on the same port. */
  readonly id: string;
  readonly startedAtMs: number;
}

/** What the routes without a key report. */
export interface HealthSources {
  readonly instance: Instance;
  readonly credentials: CredentialProvider;
  /** What replicas share; undefined for a relay of its own. */
  readonly store?: { readonly isUp: boolean } | undefined;
  /** True once the relay is about to stop. */
  readonly isRetiring: () => boolean;
  readonly metrics: Metrics;
  readonly now: () => number;
  /** `isTrusted` callers may know how full the plan is. */
  readonly snapshot: (isTrusted: boolean) => MetricsSnapshot;
}

/** Routes for whoever watches over the relay. They need no key and say nothing private. */
export function openRoutes(sources: HealthSources): Route[] {
  const { instance, credentials, store, isRetiring, metrics, now, snapshot } = sources;
  const alive = () => health(instance, now());
  const counters: Handler = ({ request, caller }) => {
    const wantsJson = /\bapplication\/json\b/i.test(request.headers.get("accept") ?? "");
    return wantsJson ? jsonReply(metrics.toJson(snapshot(caller.isTrusted))) : text(caller.isTrusted);
  };
  const text = (isTrusted: boolean) =>
    new Response(metrics.toText(snapshot(isTrusted)), { headers: { "content-type": PROMETHEUS_TYPE } });
  const routes = {
    "/health": alive,
    "/healthz": alive,
    "/ready": () => (isRetiring() ? notReady("relay_stopping") : ready(credentials, store?.isUp !== false)),
    "/metrics": counters,
    "/metrics/prometheus": (({ caller }) => text(caller.isTrusted)) satisfies Handler,
  };
  return Object.entries(routes).map(([path, handler]) => ({ path, isOpen: true, methods: { GET: handler } }));
}

/** GET / for programs: the same, or what Ollama's clients look for. */
export function rootReply({ request }: Admitted, instance: Instance, nowMs: number): Response {
  return isForOllama(request) ? new Response("Ollama is running") : health(instance, nowMs);
}

/** Ollama's own clients ask at the root whether it runs, and read these words. */
function isForOllama(request: Request): boolean {
  return /ollama/i.test(request.headers.get("user-agent") ?? "");
}

/** GET /health: the process is alive. */
function health(instance: Instance, nowMs: number): Response {
  return jsonReply({
    status: "ok",
    name: "plansocket",
    version: VERSION,
    instance: instance.id,
    uptime_seconds: Math.floor((nowMs - instance.startedAtMs) / 1000),
  });
}

/**
 * GET /ready: there is a login that works, as far as can be known without a request to upstream. A relay whose store is
 * away still answers, so its status stays 200.
 */
async function ready(credentials: CredentialProvider, isWhole: boolean): Promise<Response> {
  try {
    const { kind } = await credentials.current();
    return jsonReply(
      isWhole
        ? { status: "ready", mode: kind }
        : { status: "degraded", mode: kind, reason: "The store is away: the login in hand is used, and not renewed." },
    );
  } catch (thrown) {
    const error = toRelayError(thrown);
    return notReady(error.wireCode ?? error.code);
  }
}

function notReady(reason: string): Response {
  return jsonReply({ status: "not_ready", reason }, 503, { "retry-after": "5" });
}
