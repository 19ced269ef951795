import type { Duplex } from "node:stream";
import { isLoopbackName } from "../lib/host.ts";

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** The one way out: login, refresh and traffic all leave through it, so that all use the same proxy. */
export interface Egress {
  readonly fetch: Fetch;
  /** A connection for a URL that fetch does not speak (`ws:`, `wss:`), through the same proxy. Throws `upstream_unreachable`. */
  readonly connect: (url: string, signal: AbortSignal) => Promise<Duplex>;
  /** The proxy that a URL would use, without its credentials; undefined when it goes out directly. */
  proxyFor(url: string): string | undefined;
}

export interface EgressOptions {
  /** `http://[user:password@]host:port`; Bun speaks no SOCKS. */
  readonly proxy: string | undefined;
  /** As in NO_PROXY: names, `.suffixes`, `host:port`, `*`, separated by commas. */
  readonly noProxy: string;
}

const PROXY_VARIABLES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/**
 * Bun's fetch reads proxy variables itself, also for loopback addresses and with no way to opt out per request.
 * They are taken out of the process environment once the settings have read them, so that `Egress` alone decides.
 */
export function takeOverProxyEnvironment(environment: Record<string, string | undefined>): void {
  for (const name of PROXY_VARIABLES) delete environment[name];
}

export function createEgress(options: EgressOptions): Egress {
  const { proxy } = options;
  const exempt = parseNoProxy(options.noProxy);
  const usesProxy = (url: string) => {
    if (proxy === undefined) return false;
    const { hostname, port, protocol } = new URL(url);
    return !isLoopbackName(hostname) && !exempt(hostname, port || (/^(https|wss):$/.test(protocol) ? "443" : "80"));
  };
  return {
    // `timeout: false` lifts Bun's own idle limit (about five minutes): the relay keeps its own timers.
    // Nobody who asks here wants to be led elsewhere, with tokens and prompts in the luggage.
    fetch: (url, init) =>
      fetch(url, {
        redirect: "manual",
        ...init,
        timeout: false,
        ...(usesProxy(url) && proxy ? { proxy } : {}),
      } as RequestInit),
    connect: async (url, signal) => {
      const { openTunnel } = await import("./tunnel.ts");
      return openTunnel(url, usesProxy(url) ? proxy : undefined, signal);
    },
    proxyFor: (url) => (usesProxy(url) && proxy ? withoutCredentials(proxy) : undefined),
  };
}

function withoutCredentials(proxy: string): string {
  const url = new URL(proxy);
  return `${url.protocol}//${url.host}`;
}

function parseNoProxy(list: string): (hostname: string, port: string) => boolean {
  const entries = list
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "");
  return (hostname, port) => {
    const host = hostname.toLowerCase().replace(/^\[|\]$/g, "");
    return entries.some((entry) => {
      if (entry === "*") return true;
      const [, name = entry, onPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (onPort !== undefined && onPort !== port) return false;
      const suffix = name.replace(/^\*?\./, "");
      return host === suffix || host.endsWith(`.${suffix}`);
    });
  };
}

/** The way out of this process: from here on nothing but it decides about proxies. `env` is asked for NO_PROXY only. */
export function openEgress(proxy: string | undefined, env: Readonly<Record<string, string | undefined>>): Egress {
  const egress = createEgress({ proxy, noProxy: env["NO_PROXY"] ?? env["no_proxy"] ?? "" });
  takeOverProxyEnvironment(process.env);
  return egress;
}
