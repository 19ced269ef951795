import { readFileSync } from "node:fs";
import type { Settings } from "../config/settings.ts";
import { socketUrl } from "../server/unix-socket.ts";
import { callableHost, httpUrl } from "../lib/url.ts";

type Listening = Pick<Settings, "host" | "port" | "addr" | "unix" | "basePath" | "tlsCert">;

/** Where the settings say to listen. */
export interface ListenAddress {
  readonly host: string;
  readonly otherHosts: readonly string[];
  readonly port: number;
  /** The socket that takes the place of a port; `host` is then the name under which it is called. */
  readonly unix?: string;
}

export function addressOf(settings: Pick<Settings, "host" | "port" | "addr" | "unix">): ListenAddress {
  const { unix, addr } = settings;
  if (unix !== undefined) return { host: "localhost", otherHosts: [], port: 0, unix };
  const [host = "", ...otherHosts] = addr?.host ? [addr.host] : settings.host;
  return { host, otherHosts, port: addr?.port ?? settings.port };
}

/** True where commands can find the relay: a free port is another one each time. */
export function isFindable({ port, unix }: ListenAddress): boolean {
  return unix !== undefined || port !== 0;
}

/** Where `serve` listens with these settings, as a program on the same machine reaches it. */
export function ownUrl(settings: Listening): string {
  const { host, port, unix } = addressOf(settings);
  return unix === undefined ? urlAt(settings, callableHost(host), port) : socketUrl(unix, settings.basePath);
}

/** The same with the host as it was set. */
export function listeningUrl(settings: Listening): string {
  const { host, port, unix } = addressOf(settings);
  return unix === undefined ? urlAt(settings, host, port) : socketUrl(unix, settings.basePath);
}

/** The relay's address as seen from `host`. */
export function urlAt(
  { tlsCert, basePath = "" }: Pick<Listening, "basePath" | "tlsCert">,
  host: string,
  port: number,
): string {
  const url = httpUrl(host, port);
  return (tlsCert === undefined ? url : url.replace(/^http:/, "https:")) + basePath;
}

/**
 * What a request to the relay's own TLS needs: its certificate is for the name by which others call it, while commands
 * call it by an address of this machine, so it is told by its fingerprint. The file that the relay reads it from is
 * authority enough, whoever signed it.
 */
export function ownTls({ tlsCert }: Pick<Listening, "tlsCert">): { tls?: object } {
  if (tlsCert === undefined) return {};
  let pem: string;
  try {
    pem = readFileSync(tlsCert, "utf8");
  } catch {
    return {};
  }
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  try {
    const own = new X509Certificate(pem);
    const checkServerIdentity = (_host: string, seen: { readonly fingerprint256?: string }) =>
      seen.fingerprint256 === own.fingerprint256 ? undefined : new Error("another certificate than --tls-cert");
    return { tls: { checkServerIdentity, ca: pem, allowPartialTrustChain: true } };
  } catch {
    return {};
  }
}
