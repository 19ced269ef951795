import type { Socket } from "node:net";
import { asError, errorField } from "../lib/thrown.ts";

const TIMEOUT_MS = 30_000;
const DEFAULT_PORT = 1080;

export function isSocks(proxy: string): boolean {
  return /^socks/i.test(proxy);
}

/**
 * A connection through a SOCKS5 proxy (RFC 1928, 1929). `socks5h:` leaves the name to the proxy, `socks5:` looks it up
 * here, as curl has it. Throws with a `code`: ERR_SOCKS_AUTH for refused credentials, ERR_SOCKS for a refused
 * connection, else that of the connection to the proxy itself.
 */
export async function connectThroughSocks(proxy: string, host: string, port: number): Promise<Socket> {
  const { hostname, port: proxyPort, protocol, username, password } = new URL(proxy);
  const [{ SocksClient }, { lookup }] = await Promise.all([import("socks"), import("node:dns/promises")]);
  const destination = protocol === "socks5:" ? (await lookup(host)).address : host;
  const login = username === "" ? {} : { userId: decodeURIComponent(username), password: decodeURIComponent(password) };
  try {
    const { socket } = await SocksClient.createConnection({
      proxy: { host: hostname.replace(/^\[|\]$/g, ""), port: Number(proxyPort) || DEFAULT_PORT, type: 5, ...login },
      command: "connect",
      destination: { host: destination, port },
      timeout: TIMEOUT_MS,
      set_tcp_nodelay: true,
    });
    return socket;
  } catch (error) {
    throw withCode(asError(error));
  }
}

function withCode(error: Error & { code?: unknown }): Error {
  if (typeof error.code === "string") return error;
  // The library keeps only the text of a connection error.
  const code = /\b(E[A-Z]{4,})\b/.exec(error.message)?.[1];
  if (code !== undefined) return Object.assign(error, { code });
  const isLogin = /auth/i.test(error.message);
  return Object.assign(error, { code: isLogin ? "ERR_SOCKS_AUTH" : "ERR_SOCKS" });
}

/** The bridge's refusal of a tunnel in the words of a fetch without it: 503 means that the SOCKS proxy is not there. */
export function socksFault(error: unknown): unknown {
  const [code, status] = [errorField(error, "code"), errorField(error, "status")];
  if (code !== "ERR_PROXY_TUNNEL" || status !== 503 || !(error instanceof Error)) return error;
  return Object.assign(new Error(error.message, { cause: error }), { code: "ECONNREFUSED" });
}
