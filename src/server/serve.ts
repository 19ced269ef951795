import { RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { isLoopbackName } from "../lib/host.ts";
import { httpUrl } from "../lib/url.ts";
import { readCertificate, type Certificate } from "./certificate.ts";
import { Listeners } from "./listeners.ts";
import type { RelayOptions } from "./options.ts";
import { Relay, type RelayDependencies } from "./relay.ts";
import { socketUrl } from "./unix-socket.ts";

export interface RunningRelay {
  /** As in `http://127.0.0.1:8787`, or `unix:/run/relay.sock`. */
  readonly url: string;
  /** The same on its other addresses. */
  readonly otherUrls: readonly string[];
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
  const listeners = new Listeners(options, certificate, relay);
  // A login may be missing or the network down; the list is asked for again with the first request.
  void deps.upstream.catalogue.current();
  const { port } = listeners;
  const urlOf = (host: string) => {
    const url = httpUrl(host, port);
    return (certificate ? url.replace("http:", "https:") : url) + (options.basePath ?? "");
  };
  return {
    url: options.unix === undefined ? urlOf(options.host) : socketUrl(options.unix, options.basePath),
    otherUrls: (options.otherHosts ?? []).map(urlOf),
    port,
    instanceId: relay.instance.id,
    activeRequests: () => relay.limit.active.size,
    reconfigure(next) {
      assertGuarded(next, deps.keys?.isInUse === true);
      const renewed = options.tls && readCertificate(options.tls, now());
      if (renewed && (renewed.cert !== certificate?.cert || renewed.key !== certificate.key)) {
        listeners.renew(renewed);
        certificate = renewed;
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
      const isDrained = await Promise.race([listeners.stop().then(() => true), limit.promise]);
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
      await Promise.race([listeners.stop(), Bun.sleep(LAST_WORDS_MS)]);
      await listeners.stop(true);
      await relay.settle();
      await deps.budgets?.close();
      await deps.ledger?.close();
    },
  };
}

/** Off loopback others could spend the plan. */
function assertGuarded(options: RelayOptions, hasKeys: boolean): void {
  const open = [options.host, ...(options.otherHosts ?? [])].find((host) => !isLoopbackName(host));
  if (open === undefined || options.apiKey !== undefined || hasKeys) return;
  throw new RelayError("start_failed", `Listening on ${open} needs an API key: others could spend your plan.`, {
    hint: "Set --api-key (or PLANSOCKET_API_KEY), make a key with `plansocket keys add NAME`, or listen on 127.0.0.1.",
  });
}

function tell(certificate: Certificate | undefined, log: Log): void {
  if (certificate?.remark !== undefined) log.warn(certificate.remark);
}
