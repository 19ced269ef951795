import { readFileSync } from "node:fs";
import type { Settings } from "../config/settings.ts";
import { callableHost, httpUrl } from "../lib/url.ts";

type Listening = Pick<Settings, "host" | "port" | "addr" | "basePath" | "tlsCert">;

/** Where the settings say to listen. */
export function addressOf(settings: Pick<Settings, "host" | "port" | "addr">): { host: string; port: number } {
  return { host: settings.addr?.host || settings.host, port: settings.addr?.port ?? settings.port };
}

/** Where `serve` listens with these settings, as a program on the same machine reaches it. */
export function ownUrl(settings: Listening): string {
  const { host, port } = addressOf(settings);
  return urlAt(settings, callableHost(host), port);
}

/** The same with the host as it was set. */
export function listeningUrl(settings: Listening): string {
  const { host, port } = addressOf(settings);
  return urlAt(settings, host, port);
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
 * call it by an address of this machine, so it is told by its fingerprint. A certificate that vouches for itself is its
 * own authority; for others the usual authorities count, and NODE_EXTRA_CA_CERTS.
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
    const isOwnAuthority = own.issuer === own.subject;
    return { tls: { checkServerIdentity, ...(isOwnAuthority ? { ca: pem } : {}) } };
  } catch {
    return {};
  }
}
