import { connect } from "node:net";

/**
 * Systems give ports from 32768 (Linux) or 49152 (macOS, Windows) on to whoever asks for any. What is taken from below
 * cannot go to another server or connection before the program that is told it listens there.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
/** Test processes run side by side: each begins elsewhere and gives every port before it gives one again. */
let nextPort = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));

/** A port of 127.0.0.1 that nobody listens on at this moment: for programs that must be told theirs. */
export function freePort(): number {
  for (let tried = 0; tried <= LAST_PORT - FIRST_PORT; tried += 1) {
    const port = nextPort;
    nextPort = port === LAST_PORT ? FIRST_PORT : port + 1;
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Somebody listens there.
    }
  }
  throw new Error(`Every port from ${FIRST_PORT} to ${LAST_PORT} is in use.`);
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
