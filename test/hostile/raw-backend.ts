import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { MODELS } from "../support/fake-codex.ts";
import type { Certificate } from "../support/certificate.ts";

/** One request to /responses and the connection that it came on. */
export interface Exchange {
  readonly socket: Socket;
  /** How many requests to /responses came on this connection before. */
  readonly earlier: number;
  /** The request's body. */
  readonly body: string;
  write(bytes: string | Uint8Array): void;
  /** One piece of a chunked body. */
  chunk(bytes: string | Uint8Array): void;
  /** The good end of a chunked body: the connection may carry another request. */
  end(): void;
  /** A whole reply of another kind. */
  answer(bytes: string): void;
  /** FIN. */
  cut(): void;
  /** RST. */
  reset(): void;
}

export type Script = (exchange: Exchange) => void | Promise<void>;

/** A backend whose every byte is the test's own. */
export interface RawBackend {
  readonly baseUrl: string;
  readonly port: number;
  script: Script;
  /** Requests to /responses so far. */
  readonly asked: () => number;
  /** Connections that somebody still holds although their reply is not whole. */
  readonly held: () => number;
  /** Connections that are open, also those that wait for another request. */
  readonly open: () => number;
  stop(): Promise<void>;
}

const HEADERS_END = "\r\n\r\n";

/** The head of a good reply, in chunks. */
export const HEAD = head("content-type: text/event-stream", "transfer-encoding: chunked");

export function head(...lines: readonly string[]): string {
  return ["HTTP/1.1 200 OK", ...lines].join("\r\n") + HEADERS_END;
}

/** Listens on a free port of 127.0.0.1; `tls` makes it an HTTPS server. */
export function startRawBackend(tls?: Certificate): RawBackend {
  const state = { asked: 0, script: (() => {}) as Script };
  /** Each connection, and whether the last reply on it is whole. */
  const connections = new Map<Socket, boolean>();
  const serve = (socket: Socket) => {
    connections.set(socket, true);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => socket.destroy());
    let earlier = 0;
    let buffer = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => {
      buffer = Buffer.concat([buffer, bytes]);
      for (;;) {
        const at = buffer.indexOf(HEADERS_END);
        const length = at < 0 ? 0 : bodyLength(buffer.toString("latin1", 0, at));
        if (at < 0 || buffer.length < at + 4 + length) return;
        const [line = ""] = buffer.toString("latin1", 0, at).split("\r\n");
        const body = buffer.toString("utf8", at + 4, at + 4 + length);
        buffer = buffer.subarray(at + 4 + length);
        if (!/\/responses /.test(line)) {
          answerModels(socket);
          continue;
        }
        state.asked += 1;
        connections.set(socket, false);
        void state.script(exchangeOn(socket, earlier, body, () => connections.set(socket, true)));
        earlier += 1;
      }
    });
  };
  const server: Server = tls ? createTlsServer({ cert: tls.cert, key: tls.key }, serve) : createServer(serve);
  // A client that does not trust the certificate ends the handshake.
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http${tls ? "s" : ""}://127.0.0.1:${port}/backend-api/codex`,
    port,
    get script() {
      return state.script;
    },
    set script(script) {
      state.script = script;
    },
    asked: () => state.asked,
    held: () => [...connections.values()].filter((isWhole) => !isWhole).length,
    open: () => connections.size,
    async stop() {
      for (const socket of connections.keys()) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}

function exchangeOn(socket: Socket, earlier: number, body: string, whole: () => void): Exchange {
  const write = (bytes: string | Uint8Array) => void (socket.writable && socket.write(bytes));
  return {
    socket,
    earlier,
    body,
    write,
    chunk(bytes) {
      const body = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
      write(Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n")]));
    },
    end() {
      whole();
      write("0\r\n\r\n");
    },
    answer(bytes) {
      whole();
      write(bytes);
    },
    cut: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  };
}

function answerModels(socket: Socket): void {
  const models = JSON.stringify({ models: MODELS });
  socket.write(`${head("content-type: application/json", `content-length: ${models.length}`)}${models}`);
}

function bodyLength(headers: string): number {
  return Number(/^content-length:\s*(\d+)/im.exec(headers)?.[1] ?? "0");
}
