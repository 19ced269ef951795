import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";

/** The store that is installed here; Debian calls it valkey-server or redis-server. */
export const STORE_PROGRAM = Bun.which("valkey-server") ?? Bun.which("redis-server") ?? undefined;

export interface StoreServer {
  readonly port: number;
  readonly url: string;
  /** Ends it as `kill -9` does; with `isEmptied` its disk is lost too. */
  kill(isEmptied?: boolean): Promise<void>;
  /** Starts it again on the same port; with what it had written, or empty. */
  start(): Promise<void>;
  /** A command by a client of the test's own. */
  send(command: string, ...values: string[]): Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StoreServerOptions {
  /** Writes down everything at once, so that it is there again after `kill`. */
  readonly isDurable?: boolean;
  readonly args?: readonly string[];
  /** As in `user:password@`. */
  readonly login?: string;
}

/** A real server in a folder of its own, on a free port of the loopback. */
export async function startStoreServer({
  isDurable = false,
  args = [],
  login = "",
}: StoreServerOptions = {}): Promise<StoreServer> {
  const program = STORE_PROGRAM;
  if (program === undefined) throw new Error("no store is installed");
  const folder = mkdtempSync(join(tmpdir(), "plansocket-store-"));
  const port = freePort();
  const durable = isDurable ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  const url = `redis://${login}127.0.0.1:${port}`;
  let child: Bun.Subprocess | undefined;
  let client: Bun.RedisClient | undefined;
  const start = async () => {
    child = Bun.spawn(
      [program, "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, ...durable, ...args],
      { stdio: ["ignore", "ignore", "ignore"] },
    );
    client = await connected(url);
  };
  const kill = async (isEmptied = false) => {
    client?.close();
    client = undefined;
    child?.kill(9);
    await child?.exited;
    child = undefined;
    if (isEmptied) rmSync(join(folder, "appendonlydir"), { recursive: true, force: true });
  };
  // A test that fails or is cut off leaves no server behind.
  process.on("exit", () => child?.kill(9));
  await start();
  return {
    port,
    url,
    kill,
    start,
    send: async (command, ...values) => client?.send(command, values),
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function connected(url: string): Promise<Bun.RedisClient> {
  for (let attempt = 0; ; attempt += 1) {
    const client = new Bun.RedisClient(url, { autoReconnect: false, enableOfflineQueue: false });
    try {
      await client.connect();
      await client.ping();
      return client;
    } catch (error) {
      client.close();
      if (attempt === 200) throw error;
      await Bun.sleep(20);
    }
  }
}

/** A way to a server that can be cut: connections end, or stay open and carry nothing. */
export interface CuttableWay {
  readonly port: number;
  cut(how: "reset" | "silence"): void;
  mend(): void;
  stop(): void;
}

export function cuttableWay(target: number): CuttableWay {
  interface Side {
    other?: Bun.Socket<Side>;
    waiting: Buffer[];
  }
  const open = new Set<Bun.Socket<Side>>();
  let state: "open" | "reset" | "silence" = "open";
  const forget = (socket: Bun.Socket<Side>) => {
    open.delete(socket);
    socket.data.other?.end();
  };
  const handlers = {
    data(socket: Bun.Socket<Side>, bytes: Buffer) {
      if (state === "silence") return;
      if (socket.data.other) socket.data.other.write(bytes);
      else socket.data.waiting.push(Buffer.from(bytes));
    },
    close: forget,
    error: forget,
  };
  const server = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...handlers,
      async open(socket) {
        socket.data = { waiting: [] };
        open.add(socket);
        if (state === "reset") socket.terminate();
        if (state !== "open") return;
        try {
          const other = await Bun.connect<Side>({
            hostname: "127.0.0.1",
            port: target,
            data: { other: socket, waiting: [] },
            socket: handlers,
          });
          open.add(other);
          socket.data.other = other;
          for (const bytes of socket.data.waiting) other.write(bytes);
        } catch {
          socket.terminate();
        }
      },
    },
  });
  const endAll = () => {
    for (const socket of open) socket.terminate();
    open.clear();
  };
  return {
    port: server.port,
    cut(how) {
      state = how;
      if (how === "reset") endAll();
    },
    mend() {
      // What was silent has lost bytes; nobody may go on with it.
      endAll();
      state = "open";
    },
    stop() {
      endAll();
      server.stop(true);
    },
  };
}
