import type { Duplex } from "node:stream";
import { isLoopbackName } from "../lib/host.ts";
import { Authorities, isUnknownAuthority } from "./authorities.ts";
import { noProxyMatcher } from "./no-proxy.ts";
import type { SocksBridge } from "./socks-bridge.ts";
import { isSocks, socksFault } from "./socks.ts";
import { asError } from "../lib/thrown.ts";
import { objectOf } from "../lib/json.ts";

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** The one way out: login, refresh and traffic all leave through it, so that all use the same proxy. */
export interface Egress {
  readonly fetch: Fetch;
  /** A connection for a URL that fetch does not speak (`ws:`, `wss:`), through the same proxy. Throws `upstream_unreachable`. */
  readonly connect: (url: string, signal: AbortSignal) => Promise<Duplex>;
  /** The proxy that a URL would use, without its credentials; undefined when it goes out directly. */
  readonly proxyFor: (url: string) => string | undefined;
}

export interface EgressOptions {
  /** `http://`, `https://`, `socks5://` or `socks5h://`, then `[user:password@]host:port`. */
  readonly proxy: string | undefined;
  /** As in NO_PROXY. */
  readonly noProxy: string;
  /** Names certificate files and folders; the runtime's own reading when not given. */
  readonly authorities?: Authorities;
}

const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/**
 * Bun's fetch reads proxy variables itself, also for loopback addresses and with no way to opt out per request; its
 * NO_PROXY knows no blocks of addresses. They are taken out of the process environment once the settings have read
 * them, so that `Egress` alone decides.
 */
export function takeOverProxyEnvironment(environment: Record<string, string | undefined>): void {
  for (const name of PROXY_VARIABLES) delete environment[name];
}

/** The way out that `options` describe. */
export function createEgress(options: EgressOptions): Egress {
  return new ProxiedEgress(options);
}

class ProxiedEgress implements Egress {
  readonly #proxy: string | undefined;
  readonly #isExempt: (hostname: string, port: string) => boolean;
  readonly #authorities: Authorities;
  /** Opened with the first request that needs it. */
  #bridge: Promise<SocksBridge> | undefined;

  constructor({ proxy, noProxy, authorities }: EgressOptions) {
    this.#proxy = proxy;
    this.#isExempt = proxy === undefined ? () => true : noProxyMatcher(noProxy);
    this.#authorities = authorities ?? new Authorities({});
  }

  readonly fetch: Fetch = async (url, init) => {
    try {
      return await this.#trusting((ca) => this.#send(url, init, ca));
    } catch (error) {
      throw isUnknownAuthority(error) ? error : socksFault(error);
    }
  };

  readonly connect = async (url: string, signal: AbortSignal): Promise<Duplex> => {
    const { openTunnel } = await import("./tunnel.ts");
    return this.#trusting((ca) => openTunnel(url, this.#proxyOf(url), signal, ca === undefined ? {} : { ca }));
  };

  readonly proxyFor = (url: string): string | undefined => {
    const proxy = this.#proxyOf(url);
    return proxy === undefined ? undefined : withoutCredentials(proxy);
  };

  /** Runs `act` with the authorities that are trusted, and once more with all of them where those are not enough. */
  async #trusting<T>(act: (ca: string[] | undefined) => Promise<T>): Promise<T> {
    const { trusted } = this.#authorities;
    try {
      return await act(trusted);
    } catch (error) {
      if (!isUnknownAuthority(error)) throw error;
      // Nothing was sent: the handshake comes before the request. Another request may have widened them meanwhile.
      if (this.#authorities.widen() || this.#authorities.trusted !== trusted) return await this.#trusting(act);
      const { fault } = this.#authorities;
      throw fault === undefined ? error : Object.assign(asError(error), { authorityFault: fault });
    }
  }

  #send(url: string, init: RequestInit | undefined, ca: string[] | undefined): Promise<Response> {
    const proxy = this.#proxyOf(url);
    if (proxy === undefined || !isSocks(proxy)) return fetch(url, fetchOptions(init, proxy, ca));
    this.#bridge ??= import("./socks-bridge.ts").then(({ SocksBridge }) => SocksBridge.open(proxy));
    return this.#bridge.then((bridge) => fetch(url, fetchOptions(init, bridge.url, ca)));
  }

  #proxyOf(url: string): string | undefined {
    if (this.#proxy === undefined) return undefined;
    const { hostname, port, protocol } = new URL(url);
    const usual = /^(https|wss):$/.test(protocol) ? "443" : "80";
    return isLoopbackName(hostname) || this.#isExempt(hostname, port || usual) ? undefined : this.#proxy;
  }
}

/**
 * `timeout: false` lifts Bun's own idle limit (about five minutes): the relay keeps its own timers. Redirects are not
 * followed: they would take tokens and prompts to another place.
 */
function fetchOptions(
  init: RequestInit | undefined,
  proxy: string | undefined,
  ca: string[] | undefined,
): BunFetchRequestInit {
  const options: BunFetchRequestInit = { redirect: "manual", ...init, timeout: false };
  if (proxy !== undefined) options.proxy = proxy;
  if (ca !== undefined) options.tls = { ca, ...tlsOf(init) };
  return options;
}

function tlsOf(init: RequestInit | undefined): object {
  return init && "tls" in init ? objectOf(init.tls) : {};
}

function withoutCredentials(proxy: string): string {
  const url = new URL(proxy);
  return `${url.protocol}//${url.host}`;
}

/** The way out of this process: from here on nothing but it decides about proxies. `env` is asked for NO_PROXY and authorities. */
export function openEgress(proxy: string | undefined, env: Readonly<Record<string, string | undefined>>): Egress {
  const noProxy = env["NO_PROXY"] || env["no_proxy"] || "";
  const egress = createEgress({ proxy, noProxy, authorities: new Authorities(env) });
  takeOverProxyEnvironment(process.env);
  return egress;
}
