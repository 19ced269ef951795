import { connect } from "node:net";

/** A port of 127.0.0.1 that nobody listens on at this moment: for programs that must be told theirs. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** Whether something accepts connections at a port of 127.0.0.1. */
export function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)));
  socket.on("error", () => resolve(false));
  return promise;
}

/** A port of 127.0.0.1 that refuses connections until it is let go of. */
export interface ClosedPort extends AsyncDisposable {
  readonly port: number;
  /** `http://` and the address. */
  readonly url: string;
}

/**
 * A port that a server has just left may be given to the next one that asks for any port, sometimes while a test still
 * counts on its being closed. This one is the client's end of an open connection: the system gives it to nobody, and
 * nobody listens there.
 */
export async function holdClosedPort(): Promise<ClosedPort> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const client = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data() {} } });
  const port = client.localPort;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      client.end();
      listener.stop(true);
    },
  };
}
