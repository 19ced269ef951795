import { createServer, type Server, type Socket } from "node:net";
import { connectThroughSocks } from "./socks.ts";
import { errorCode } from "../lib/thrown.ts";

/** Request line and headers; the relay's own are a few thousand bytes. */
const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Bun's fetch speaks HTTP proxies only. An HTTP proxy on loopback hands its requests to the SOCKS proxy: CONNECT for
 * TLS, absolute URLs for plain HTTP, one request a connection. Its password keeps other programs of this machine out.
 */
export class SocksBridge {
  /** The proxy URL for fetch. */
  readonly url: string;
  readonly #proxy: string;
  readonly #server: Server;
  readonly #authorization: string;

  private constructor(proxy: string, server: Server, port: number, password: string) {
    this.#proxy = proxy;
    this.#server = server;
    this.#authorization = `Basic ${Buffer.from(`bridge:${password}`).toString("base64")}`;
    this.url = `http://bridge:${password}@127.0.0.1:${port}`;
    server.on("connection", (socket) => this.#accept(socket));
    // A command ends when its work is done.
    server.unref();
  }

  static async open(proxy: string): Promise<SocksBridge> {
    const server = createServer({ pauseOnConnect: true });
    const listening = Promise.withResolvers<void>();
    server.once("error", listening.reject).listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    return new SocksBridge(proxy, server, port, crypto.randomUUID());
  }

  close(): void {
    this.#server.close();
  }

  #accept(client: Socket): void {
    let head = Buffer.alloc(0);
    client.on("error", () => client.destroy());
    const onData = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0 && head.length < MAX_HEAD_BYTES) return;
      client.off("data", onData);
      client.pause();
      if (end < 0) refuse(client, 431);
      else void this.#serve(client, head.subarray(0, end).toString("latin1"), head.subarray(end + 4));
    };
    client.on("data", onData);
    client.resume();
  }

  async #serve(client: Socket, head: string, rest: Buffer): Promise<void> {
    const [requestLine = "", ...headers] = head.split("\r\n");
    const [method = "", target = "", version = ""] = requestLine.split(" ");
    const isAllowed = headers.some(
      (line) => line.toLowerCase().startsWith("proxy-authorization:") && line.endsWith(this.#authorization),
    );
    if (!isAllowed) return refuse(client, 407);
    const isTunnel = method === "CONNECT";
    const text = isTunnel ? `http://${target}` : target;
    if (!URL.canParse(text)) return refuse(client, 400);
    const url = new URL(text);
    let upstream: Socket;
    try {
      upstream = await connectThroughSocks(this.#proxy, url.hostname.replace(/^\[|\]$/g, ""), Number(url.port) || 80);
    } catch (error) {
      return refuse(client, statusOf(error));
    }
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
    client.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    if (isTunnel) client.write("HTTP/1.1 200 OK\r\n\r\n");
    else {
      const kept = headers.filter((line) => !/^(proxy-authorization|proxy-connection|connection):/i.test(line));
      const line = `${method} ${url.pathname}${url.search} ${version}`;
      upstream.write([line, ...kept, "Connection: close", "", ""].join("\r\n"));
    }
    if (rest.length > 0) upstream.write(rest);
    client.pipe(upstream).pipe(client);
    client.resume();
    upstream.resume();
  }
}

/** Statuses that `socksFault` reads. */
function statusOf(error: unknown): number {
  const code = errorCode(error);
  if (code === "ERR_SOCKS_AUTH") return 407;
  return code === "ERR_SOCKS" ? 502 : 503;
}

function refuse(client: Socket, status: number): void {
  client.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
