import { connect, type Socket } from "node:net";

/** How a request over a socket ended: the status of a refused handshake, the last frame, or the close code. */
export interface SocketEnd {
  readonly kind: "refused" | "answered" | "error" | "closed";
  /** Of a refusal or an error frame; the code of a close. */
  readonly status: number;
  readonly text: string;
}

const KEY = "AAAAAAAAAAAAAAAAAAAAAA==";
const LAST_FRAME = /"type":"(error|response\.(?:completed|failed|incomplete))"/;

/**
 * A WebSocket whose every byte is the test's own: clients of libraries compress, queue and close politely. Sends one
 * frame once the socket is open, or none, and reads until the answer's end.
 */
export class RawSocket {
  /** Resolves with the end of the request, or of the socket. */
  readonly ended: Promise<SocketEnd>;
  /** Resolves when the handshake was answered. */
  readonly opened: Promise<void>;
  readonly #socket: Socket;
  readonly #ended = Promise.withResolvers<SocketEnd>();
  readonly #opened = Promise.withResolvers<void>();
  readonly #frame: Uint8Array | undefined;
  #bytes = Buffer.alloc(0);
  #isOpen = false;

  constructor(port: number, frame?: Uint8Array, headers: readonly string[] = []) {
    this.ended = this.#ended.promise;
    this.opened = this.#opened.promise;
    this.#frame = frame;
    const head = [
      "GET /v1/responses HTTP/1.1",
      "Host: 127.0.0.1",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${KEY}`,
      ...headers,
    ];
    this.#socket = connect(port, "127.0.0.1", () => this.#socket.write(`${head.join("\r\n")}\r\n\r\n`));
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", () => this.#end("closed", 0, "reset"));
    this.#socket.on("close", () => this.#end("closed", 0, "closed"));
  }

  leave(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (!this.#isOpen && !this.#open(this.#bytes.toString("latin1"))) return;
    const text = this.#bytes.toString("latin1");
    const last = LAST_FRAME.exec(text)?.[1];
    if (last === "error") return this.#end("error", Number(/"status":(\d+)/.exec(text)?.[1] ?? 0), text);
    if (last !== undefined) return this.#end("answered", 200, text);
    if (((this.#bytes[0] ?? 0) & 0x0f) === 8) this.#end("closed", this.#bytes.readUInt16BE(2), text);
  }

  /** Reads the answer to the handshake; what the relay says next may come with it. True once the socket is open. */
  #open(text: string): boolean {
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
    this.#opened.resolve();
    this.#isOpen = status === 101;
    if (!this.#isOpen) this.#end("refused", status, text);
    this.#bytes = this.#bytes.subarray(end + 4);
    if (this.#isOpen && this.#frame) this.#send(this.#frame);
    return this.#isOpen;
  }

  /** A masked text frame; the mask is zero, which leaves the bytes as they are. */
  #send(payload: Uint8Array): void {
    const head = Buffer.alloc(14);
    head[0] = 0x81;
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
    this.#socket.write(head);
    this.#socket.write(payload);
  }

  #end(kind: SocketEnd["kind"], status: number, text: string): void {
    this.#opened.resolve();
    this.#ended.resolve({ kind, status, text });
    this.#socket.destroy();
  }
}
