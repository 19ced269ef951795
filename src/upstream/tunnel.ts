import { connect as connectTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { readReplyHead } from "./reply-head.ts";
import { connectThroughSocks, isSocks } from "./socks.ts";
import { unreachable } from "../lib/unreachable.ts";
import { asError } from "../lib/thrown.ts";

/**
 * A connection for `url` (`http:`, `https:`, `ws:` or `wss:`), through the proxy if one is given, with TLS on it
 * where the scheme asks for that. Throws `upstream_unreachable`, or the reason of `signal`.
 */
export async function openTunnel(
  url: string,
  proxy: string | undefined,
  signal: AbortSignal,
  tlsOptions: ConnectionOptions = {},
): Promise<Duplex> {
  const { hostname, port, protocol } = new URL(url);
  const isSecure = protocol === "https:" || protocol === "wss:";
  const host = hostname.replace(/^\[|\]$/g, "");
  const portNumber = Number(port) || (isSecure ? 443 : 80);
  try {
    const below =
      proxy === undefined ? await tcp(host, portNumber, signal) : await throughProxy(proxy, host, portNumber, signal);
    return isSecure ? await withTls(below, host, signal, tlsOptions) : below;
  } catch (error) {
    signal.throwIfAborted();
    const shown = proxy === undefined ? undefined : `${new URL(proxy).protocol}//${new URL(proxy).host}`;
    throw unreachable(error, new URL(url).host, shown);
  }
}

function tcp(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connectTcp({ host, port });
  socket.setNoDelay(true);
  return ready(socket, "connect", signal);
}

async function withTls(below: Socket, host: string, signal: AbortSignal, options: ConnectionOptions): Promise<Socket> {
  const isName = !/^[\d.]+$|:/.test(host);
  const socket = connectTls({
    ...options,
    socket: below,
    ALPNProtocols: ["http/1.1"],
    ...(isName ? { servername: host } : {}),
  });
  return ready(socket, "secureConnect", signal);
}

async function throughProxy(proxy: string, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  if (isSocks(proxy)) return unlessAborted(connectThroughSocks(proxy, host, port), signal);
  const { hostname, port: proxyPort, protocol, username, password } = new URL(proxy);
  const plain = await tcp(
    hostname.replace(/^\[|\]$/g, ""),
    Number(proxyPort) || (protocol === "https:" ? 443 : 80),
    signal,
  );
  const socket = protocol === "https:" ? await withTls(plain, hostname, signal, {}) : plain;
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization =
    username === "" ? "" : `Proxy-Authorization: Basic ${Buffer.from(login).toString("base64")}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`);
  const { status } = await readReplyHead(socket, signal);
  if (status === 200) return socket;
  socket.destroy();
  throw Object.assign(new Error("The proxy refused the tunnel."), { code: "ERR_PROXY_TUNNEL", status });
}

/** A connection whose making cannot be cut short: one that comes too late is closed. */
function unlessAborted(connecting: Promise<Socket>, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const onAbort = () => reject(asError(signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  connecting
    .then((socket) => (signal.aborted ? void socket.destroy() : resolve(socket)), reject)
    .finally(() => signal.removeEventListener("abort", onAbort));
  return promise;
}

/** Resolves once the socket has said `event`. */
function ready<S extends Socket>(socket: S, event: string, signal: AbortSignal): Promise<S> {
  const { promise, resolve, reject } = Promise.withResolvers<S>();
  const stop = () => {
    socket.off(event, onReady).off("error", onError).off("close", onClose);
    signal.removeEventListener("abort", onAbort);
  };
  const onReady = () => (stop(), resolve(socket));
  const onError = (error: Error) => (stop(), reject(error));
  const onClose = () => onError(Object.assign(new Error("The connection was closed."), { code: "ECONNRESET" }));
  const onAbort = () => (stop(), socket.destroy(), reject(asError(signal.reason)));
  socket.on(event, onReady).on("error", onError).on("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return promise;
}
