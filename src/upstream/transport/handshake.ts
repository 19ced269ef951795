import type { Duplex } from "node:stream";
import { httpFailure } from "../../codex/wire/failure.ts";
import { RelayError } from "../../lib/errors.ts";
import { asError } from "../../lib/thrown.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { readReplyHead, type ReplyHead } from "../reply-head.ts";
import { LinkedAbort } from "./linked-abort.ts";

const MAX_REFUSAL_BYTES = 64 * 1024;
/** What every WebSocket server adds to the client's key before it digests it (RFC 6455, 1.3). */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** The one extension that is offered (RFC 7692). */
const OFFER = "permessage-deflate; client_max_window_bits";

/** How to reach the backend's socket. */
export interface Handshake {
  /** `ws:` or `wss:`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The connection below it, through the proxy where there is one. */
  readonly connect: (url: string, signal: AbortSignal) => Promise<Duplex>;
  /** From the first packet to the open socket. */
  readonly timeoutMs: number;
  readonly now: () => number;
}

/** A connection that speaks WebSocket from here on. */
export interface Upgraded {
  /** For messages. */
  readonly host: string;
  /** Paused. */
  readonly connection: Duplex;
  /** Of the handshake's reply. */
  readonly headers: Headers;
}

/**
 * Asks for a WebSocket by hand: a backend may serve none, and then neither the WebSocket client nor Node's HTTP client,
 * which together are five to nine megabytes of memory, is loaded for its refusal. Throws that refusal as the RelayError
 * of the same HTTP reply, `upstream_timeout`, `upstream_unreachable`, or the reason of `signal`.
 */
export async function shakeHands(handshake: Handshake, signal: AbortSignal): Promise<Upgraded> {
  signal.throwIfAborted();
  const { url, connect, timeoutMs } = handshake;
  const { host } = new URL(url);
  const limit = new LinkedAbort(signal);
  const timer = setTimeout(() => {
    const seconds = Math.round(timeoutMs / 1000);
    limit.abort(new RelayError("upstream_timeout", `Upstream did not open a WebSocket within ${seconds} seconds.`));
  }, timeoutMs);
  try {
    const connection = await connect(url, limit.signal);
    // Until the WebSocket client listens, an error that nobody hears would end the process.
    connection.on("error", () => {});
    try {
      return { host, connection, headers: await upgrade(connection, handshake, limit.signal) };
    } catch (error) {
      connection.destroy();
      limit.signal.throwIfAborted();
      throw error instanceof RelayError ? error : unreachable(error, host, undefined);
    }
  } finally {
    clearTimeout(timer);
    limit.release();
  }
}

async function upgrade(connection: Duplex, { url, headers, now }: Handshake, signal: AbortSignal): Promise<Headers> {
  const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  connection.write(requestFor(new URL(url), headers, key), "latin1");
  const head = await readReplyHead(connection, signal);
  // Between two listeners nobody is told.
  signal.throwIfAborted();
  if (head.status !== 101) {
    const text = await bodyText(connection, head, signal);
    throw httpFailure({ status: head.status, headers: head.headers, text }, now());
  }
  const digest = new Bun.CryptoHasher("sha1").update(key + KEY_SUFFIX).digest("base64");
  const isAgreed =
    head.headers.get("upgrade")?.toLowerCase() === "websocket" &&
    head.headers.get("sec-websocket-accept") === digest &&
    !head.headers.has("sec-websocket-protocol");
  if (!isAgreed) throw new Error("The answer agrees to something else than the WebSocket that was asked for.");
  return head.headers;
}

/** Throws TypeError for headers that HTTP cannot carry. */
function requestFor({ host, pathname, search }: URL, headers: Handshake["headers"], key: string): string {
  const lines = [...new Headers(headers)].map(([name, value]) => `${name}: ${value}\r\n`);
  return (
    `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Extensions: ${OFFER}\r\n` +
    `${lines.join("")}\r\n`
  );
}

/** Of an ordinary reply: as much of its body as came. Nothing else is to be read from the connection then. */
async function bodyText(connection: Duplex, head: ReplyHead, signal: AbortSignal): Promise<string> {
  let bytes = Buffer.alloc(0);
  let { body, isWhole } = bodyIn(bytes, head);
  if (isWhole) return "";
  const onAbort = () => connection.destroy(asError(signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const chunk of connection as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk]);
      ({ body, isWhole } = bodyIn(bytes, head));
      if (isWhole || bytes.length > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // Broken off: the status says most.
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  return body.toString("utf8");
}

/** The body as far as it is in these bytes, and whether that is all of it (RFC 9112, 6.3). */
function bodyIn(bytes: Buffer, { status, headers }: ReplyHead): { body: Buffer; isWhole: boolean } {
  if (status === 204 || status === 304) return { body: bytes.subarray(0, 0), isWhole: true };
  if (/\bchunked\b/i.test(headers.get("transfer-encoding") ?? "")) return unchunked(bytes);
  const length = headers.get("content-length") ?? "";
  if (!/^\d+$/.test(length)) return { body: bytes, isWhole: false };
  return { body: bytes.subarray(0, Number(length)), isWhole: bytes.length >= Number(length) };
}

/** RFC 9112, 7.1; trailers are of no interest. */
function unchunked(bytes: Buffer): { body: Buffer; isWhole: boolean } {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (!(size > 0)) return { body: Buffer.concat(parts), isWhole: lineEnd >= 0 };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
