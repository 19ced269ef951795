/** A relay's socket, and the path below which it answers there. */
export interface SocketAddress {
  readonly path: string;
  readonly basePath: string;
}

/** What a relay's address as in `unix:/run/relay.sock` or `unix:/run/relay.sock:/base` means; undefined for others. */
export function socketOf(url: string): SocketAddress | undefined {
  const [, path, basePath = ""] = /^unix:([^:]+)(?::(\/.*))?$/.exec(url) ?? [];
  return path === undefined ? undefined : { path, basePath };
}

/** A request to the relay at `url`, by its port or its socket. Throws as fetch does. */
export function callRelay(url: string, path: string, init: BunFetchRequestInit = {}): Promise<Response> {
  const socket = socketOf(url);
  if (!socket) return fetch(`${reachable(url)}${path}`, init);
  return fetch(`http://localhost${socket.basePath}${path}`, { ...init, unix: socket.path });
}

/** A relay that listens on every address is asked on this machine's own. */
export function reachable(url: string): string {
  return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}

/** Where clients and browsers find the relay at `url`, in lines for its owner. */
export function addressLines(url: string): string[] {
  const socket = socketOf(url);
  if (socket) return [`  base URL  http://localhost${socket.basePath}/v1, through that socket (curl --unix-socket)`];
  return [`  base URL  ${url}/v1`, `  page      ${url}/ (\`plansocket open\`)`];
}
