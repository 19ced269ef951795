import { noProxyMatcher } from "../upstream/no-proxy.ts";

/** How a request reached the relay, as its client sees it. */
export interface Arrival {
  /** Name and perhaps port that the client asked for; null where it named none. */
  readonly host: string | null;
  readonly isSecure: boolean;
  /** Path of the relay below the host, without a slash at its end; "" at the root. */
  readonly basePath: string;
  /** The client's address, where a proxy that is trusted told it. */
  readonly address: string | undefined;
}

/** Words for the addresses that people mean mostly. */
const WORDS: Readonly<Record<string, string>> = {
  loopback: "127.0.0.0/8,::1",
  private: "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10",
};

/** A path that a header may put before the relay's own. */
const PREFIX = /^(?:\/[\w.~-]+)+$/;

/**
 * Reads what reverse proxies tell of a request: RFC 7239's `Forwarded`, else `X-Forwarded-Host`, `-Proto`, `-For` and
 * `-Prefix`. Only from the addresses that the owner named: anybody else could claim any host.
 */
export class ArrivalReader {
  readonly #isTrusted: ((address: string) => boolean) | undefined;
  readonly #basePath: string;

  /** `trusted` are addresses, blocks of them, `loopback` or `private`; none by default. */
  constructor(trusted: readonly string[] = [], basePath = "") {
    this.#basePath = basePath;
    if (trusted.length === 0) return;
    const matches = noProxyMatcher(trusted.map((entry) => WORDS[entry] ?? entry).join(","));
    this.#isTrusted = (address) => matches(address, "");
  }

  /** `peer` says who holds the connection; it is asked only where somebody is trusted. */
  read(headers: Headers, isSecure: boolean, peer: () => string | undefined): Arrival {
    const direct = { host: headers.get("host"), isSecure, basePath: this.#basePath, address: undefined };
    if (!this.#isTrusted) return direct;
    const address = plainAddress(peer() ?? "");
    if (!this.#isTrusted(address)) return { ...direct, address };
    const told = forwarded(headers) ?? xForwarded(headers);
    const prefix = last(headers.get("x-forwarded-prefix"))?.replace(/\/$/, "") ?? "";
    return {
      host: told.host ?? direct.host,
      isSecure: told.proto === undefined ? isSecure : told.proto.toLowerCase() === "https",
      basePath: (PREFIX.test(prefix) ? prefix : "") + this.#basePath,
      address: this.#clientIn(told.chain) ?? address,
    };
  }

  /** The nearest address that is no proxy of the owner's: what stands before it anybody may have written. */
  #clientIn(chain: readonly string[]): string | undefined {
    const addresses = chain.map(plainAddress).filter((address) => address !== "");
    return addresses.findLast((address) => this.#isTrusted?.(address) === false) ?? addresses[0];
  }
}

interface Told {
  readonly host: string | undefined;
  readonly proto: string | undefined;
  /** Addresses from the client to the nearest proxy. */
  readonly chain: readonly string[];
}

function forwarded(headers: Headers): Told | undefined {
  const text = headers.get("forwarded");
  if (text === null) return undefined;
  const hops = text.split(",").map((hop) => {
    const pairs = [...hop.matchAll(/(?:^|;)\s*([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gi)];
    return new Map(pairs.map(([, name = "", quoted, plain]) => [name.toLowerCase(), quoted ?? plain ?? ""]));
  });
  const nearest = hops.at(-1);
  return {
    host: nearest?.get("host"),
    proto: nearest?.get("proto"),
    chain: hops.flatMap((hop) => hop.get("for") ?? []),
  };
}

function xForwarded(headers: Headers): Told {
  return {
    host: last(headers.get("x-forwarded-host")),
    proto: last(headers.get("x-forwarded-proto")),
    chain: headers.get("x-forwarded-for")?.split(",") ?? [],
  };
}

/** Proxies add to what came: only the last entry is the nearest one's own. */
function last(text: string | null): string | undefined {
  return text?.split(",").at(-1)?.trim() || undefined;
}

/** Without brackets, port and the form in which a socket of both families writes IPv4. */
function plainAddress(text: string): string {
  const address = text.trim().replace(/^\[([^\]]*)\](?::\d+)?$/, "$1");
  const plain = /^\d+\.\d+\.\d+\.\d+:\d+$/.test(address) ? address.replace(/:\d+$/, "") : address;
  return plain.replace(/^::ffff:(?=\d+\.)/i, "");
}
