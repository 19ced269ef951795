import type { Server } from "bun";
import { RelayError, toRelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { isLoopbackName } from "../lib/host.ts";
import { httpUrl } from "../lib/url.ts";
import { readCertificate, type Certificate } from "./certificate.ts";
import type { RelayOptions } from "./options.ts";
import { Relay, type RelayDependencies } from "./relay.ts";
import { OPENAI_ERRORS, errorReply } from "./http/reply.ts";
import type { ResponsesSocket } from "./websocket/responses-socket.ts";
import { errorCode } from "../lib/thrown.ts";

export interface RunningRelay {
  /** As in `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly port: number;
  readonly instanceId: string;
  activeRequests(): number;
  /** From now on these hold, but for the address and the size of sockets' frames. Open sockets keep what they began with. */
  reconfigure(options: RelayOptions): void;
  /** From now on /ready fails and connections end with their reply; everything is still answered. */
  retire(): void;
  /** Stops listening and waits for requests in flight; false when some were still running after `timeoutMs`. */
  drain(timeoutMs: number): Promise<boolean>;
  /** Stops at once: open replies end with an error. */
  stop(): Promise<void>;
}

/** Bun cuts connections that are silent for this long unless a handler says otherwise; also bounds slow headers. */
const CONNECTION_IDLE_SECONDS = 30;

/** For open replies to say that they end here. */
const LAST_WORDS_MS = 250;

/** Listens. Throws `start_failed` when it cannot, or must not: off loopback only with a key. */
export function startRelay(deps: RelayDependencies): RunningRelay {
  const { options } = deps;
  assertGuarded(options, deps.keys?.hasUsable === true);
  const relay = new Relay(deps);
  const now = deps.now ?? Date.now;
  let certificate = options.tls && readCertificate(options.tls, now());
  tell(certificate, deps.log);
  /** Listeners with an older certificate, until all that is open there has ended. */
  const replaced = new Set<Server<ResponsesSocket>>();
  let server = listen(options, certificate ? claimed(options) : options.port, certificate, relay);
  // A login may be missing or the network down; the list is asked for again with the first request.
  void deps.upstream.catalogue.current();
  const port = server.port ?? options.port;
  return {
    url:
      (certificate ? httpUrl(options.host, port).replace("http:", "https:") : httpUrl(options.host, port)) +
      (options.basePath ?? ""),
    port,
    instanceId: relay.instance.id,
    activeRequests: () => relay.limit.active.size,
    reconfigure(next) {
      assertGuarded(next, deps.keys?.isInUse === true);
      const renewed = options.tls && readCertificate(options.tls, now());
      if (renewed && (renewed.cert !== certificate?.cert || renewed.key !== certificate.key)) {
        // Bun's server keeps its certificate, so another one takes the port; what is open goes on with the old one.
        const old = server;
        server = listen(options, port, renewed, relay);
        certificate = renewed;
        replaced.add(old);
        void old.stop().finally(() => replaced.delete(old));
        deps.log.info("New connections get the certificate that was read again.");
        tell(renewed, deps.log);
      }
      relay.reconfigure(next);
    },
    retire: () => relay.retire(),
    async drain(timeoutMs) {
      relay.retire();
      relay.sockets.goAway();
      relay.feed.close();
      const limit = Promise.withResolvers<false>();
      const timer = setTimeout(() => limit.resolve(false), timeoutMs);
      const isDrained = await Promise.race([
        Promise.all([server, ...replaced].map((one) => one.stop())).then(() => true),
        limit.promise,
      ]);
      clearTimeout(timer);
      deps.upstream.close();
      await relay.settle();
      await deps.budgets?.close();
      await deps.ledger?.close();
      return isDrained;
    },
    async stop() {
      const stopping = new RelayError("relay_stopping", "The relay was stopped.", { retryAfterMs: 1000 });
      for (const lifetime of relay.limit.active) lifetime.end(stopping);
      relay.feed.close();
      deps.upstream.close();
      // Clients that read get an error frame; connections of readers that have stopped are cut.
      const all = [server, ...replaced];
      await Promise.race([Promise.all(all.map((one) => one.stop())), Bun.sleep(LAST_WORDS_MS)]);
      await Promise.all(all.map((one) => one.stop(true)));
      await relay.settle();
      await deps.budgets?.close();
      await deps.ledger?.close();
    },
  };
}

/** Off loopback others could spend the plan. */
function assertGuarded(options: RelayOptions, hasKeys: boolean): void {
  if (isLoopbackName(options.host) || options.apiKey !== undefined || hasKeys) return;
  throw new RelayError("start_failed", `Listening on ${options.host} needs an API key: others could spend your plan.`, {
    hint: "Set --api-key (or PLANSOCKET_API_KEY), make a key with `plansocket keys add NAME`, or listen on 127.0.0.1.",
  });
}

/** The port to listen on, once it is certain that nobody else does: listeners that share it would not notice. */
function claimed(options: RelayOptions): number {
  const { hostname, port } = { hostname: options.host, port: options.port };
  try {
    const probe = Bun.listen({ hostname, port, socket: { data() {} } });
    const free = probe.port;
    probe.stop(true);
    return free;
  } catch (error) {
    throw cannotListen(options.host, port, error);
  }
}

function tell(certificate: Certificate | undefined, log: Log): void {
  if (certificate?.remark !== undefined) log.warn(certificate.remark);
}

function listen(
  options: RelayOptions,
  port: number,
  certificate: Certificate | undefined,
  relay: Relay,
): Server<ResponsesSocket> {
  try {
    return Bun.serve({
      hostname: options.host,
      port,
      // The port is shared with the server of a new certificate until the old one has answered all.
      ...(certificate ? { tls: { cert: certificate.cert, key: certificate.key }, reusePort: true } : {}),
      idleTimeout: CONNECTION_IDLE_SECONDS,
      // The relay's own limit answers with a body that says so; Bun's only with a bare 413.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      routes: relay.bunRoutes(),
      fetch: (request, server) => relay.elsewhere(request, server),
      websocket: relay.sockets.handlers(options.maxBodyBytes),
      error: (error) => {
        relay.log.error("A request failed inside the relay.", { reason: error.message });
        return errorReply(toRelayError(error), OPENAI_ERRORS, {});
      },
    });
  } catch (error) {
    throw cannotListen(options.host, port, error);
  }
}

function cannotListen(host: string, port: number, cause: unknown): RelayError {
  const isBusy = errorCode(cause) === "EADDRINUSE";
  const message = isBusy ? `Port ${port} on ${host} is in use.` : `Could not listen on ${host}:${port}.`;
  const hint = isBusy ? "Stop the program that uses it, or choose another with --port." : "Check --host and --port.";
  return new RelayError("start_failed", message, { cause, hint });
}
