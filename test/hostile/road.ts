import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { eventually } from "../support/relay.ts";
import type { Exchange } from "./raw-backend.ts";

/** A stretch of the way to a backend that breaks on request: a forwarder of bytes, or an outbound proxy. */
export interface Road {
  readonly port: number;
  /** What happens to those who arrive (at a proxy: with their CONNECT); `go` lets them through. */
  arrive: (client: Socket, go: () => void) => void;
  /** Breaks the way on which an exchange came. */
  breakFor(exchange: Exchange, how: "cut" | "reset" | "stall"): void;
  /** Ends every way in good order; new ones stay possible. */
  closeAll(): Promise<void>;
  stop(): Promise<void>;
}

/** Longer than any machine needs. */
const CLOSE_MS = 20_000;

/** Listens on a free port of 127.0.0.1. Its ways lead to `targetPort`, whatever a CONNECT asked for. */
export function startRoad(targetPort: number, isProxy: boolean): Road {
  const sockets = new Set<Socket>();
  /** Both ends of each way, by the port that the backend sees. */
  const ways = new Map<number, { client: Socket; target: Socket }>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  };
  const lead = (client: Socket, rest: Buffer) => {
    const target = connect(targetPort, "127.0.0.1", () => {
      ways.set(target.localPort ?? 0, { client, target });
      if (isProxy) client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      else target.write(rest);
      client.pipe(target).pipe(client);
    });
    keep(target);
    target.on("close", () => client.destroy());
    client.on("close", () => target.destroy());
  };
  const server = createServer((client) => {
    keep(client);
    client.once("data", (first: Buffer) => {
      client.pause();
      road.arrive(client, () => lead(client, first));
    });
  });
  server.listen(0, "127.0.0.1");
  const road: Road = {
    port: (server.address() as AddressInfo).port,
    arrive: (_client, go) => go(),
    breakFor({ socket }, how) {
      // A socket that is closed already has no port any more.
      const way = ways.get(socket.remotePort ?? 0);
      if (!way) return;
      if (how === "cut") way.client.end();
      else if (how === "reset") way.client.resetAndDestroy();
      else way.target.unpipe(way.client);
    },
    async closeAll() {
      const all = [...sockets];
      for (const socket of all) socket.end();
      await eventually(() => all.every((socket) => !sockets.has(socket)), CLOSE_MS);
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
  return road;
}
