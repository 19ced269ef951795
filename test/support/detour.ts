import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** An outbound proxy that leads every tunnel to one port of this machine, whatever name was asked for. */
export interface Detour {
  readonly url: string;
  /** `host:port` of every tunnel that was asked for. */
  readonly tunnels: readonly string[];
  stop(): void;
}

/** Listens on a free port of 127.0.0.1. */
export function startDetour(targetPort: number): Detour {
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => client.destroy());
    client.once("data", (head) => {
      const asked = /^CONNECT (\S+) HTTP/.exec(head.toString("latin1"))?.[1];
      if (asked === undefined) return void client.end("HTTP/1.1 405 Method Not Allowed\r\n\r\n");
      tunnels.push(asked);
      const target = connect(targetPort, "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        client.pipe(target).pipe(client);
      });
      sockets.add(target);
      target.on("error", () => client.destroy());
      return undefined;
    });
  });
  server.listen(0, "127.0.0.1");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    tunnels,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
