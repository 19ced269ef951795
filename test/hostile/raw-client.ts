import { connect, type Socket } from "node:net";

/**
 * One HTTP request on a socket of its own. Not fetch: that lets no more than 256 out at once, reads ahead, and leaves
 * politely.
 */
export class RawClient {
  /** Settles when the connection is over, however it ended. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #parts: Buffer[] = [];
  #arrived = Promise.withResolvers<void>();
  #size = 0;

  /** `bytes` are sent as they are, with a head for a POST of JSON before them unless they bring their own. */
  constructor(port: number, path: string, body: string | Uint8Array, headers: readonly string[] = []) {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const head = [
      `POST ${path} HTTP/1.1`,
      "Host: 127.0.0.1",
      ...(headers.some((header) => /^content-type:/i.test(header)) ? [] : ["Content-Type: application/json"]),
      `Content-Length: ${bytes.length}`,
      "Connection: close",
      ...headers,
    ];
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#socket = connect(port, "127.0.0.1", () => {
      this.#socket.write(`${head.join("\r\n")}\r\n\r\n`);
      this.#socket.write(bytes);
    });
    this.#socket.on("data", (chunk: Buffer) => {
      this.#parts.push(chunk);
      this.#size += chunk.length;
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => (this.#arrived.resolve(), resolve()));
  }

  /** Bytes of the reply so far. */
  get size(): number {
    return this.#size;
  }

  /** Resolves with the first bytes of the reply, or when there will be none. */
  async begun(): Promise<void> {
    while (this.#size === 0 && !this.#socket.destroyed) await this.#arrived.promise;
  }

  /** Reads no more: what comes stays in the sockets, and then with whoever sends it. */
  stopReading(): void {
    this.#socket.pause();
  }

  goOnReading(): void {
    this.#socket.resume();
  }

  leave(): void {
    this.#socket.destroy();
  }

  /** As it came. */
  get raw(): string {
    return Buffer.concat(this.#parts).toString("latin1");
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.raw)?.[1] ?? 0);
  }

  header(name: string): string | undefined {
    const head = this.raw.split("\r\n\r\n", 1)[0] ?? "";
    return new RegExp(`^${name}: *(.*)$`, "im").exec(head)?.[1]?.trim();
  }

  /** The body, and whether its end arrived: what a torn connection leaves out. */
  body(): { readonly text: string; readonly isWhole: boolean } {
    const whole = Buffer.concat(this.#parts);
    const start = whole.indexOf("\r\n\r\n") + 4;
    const rest = whole.subarray(start);
    const announced = this.header("content-length");
    if (announced !== undefined) return { text: rest.toString(), isWhole: rest.length === Number(announced) };
    return unchunked(rest);
  }
}

function unchunked(bytes: Buffer): { text: string; isWhole: boolean } {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return { text: Buffer.concat(parts).toString(), isWhole: false };
    const length = Number.parseInt(bytes.toString("latin1", at, end), 16);
    if (length === 0) return { text: Buffer.concat(parts).toString(), isWhole: true };
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
}
