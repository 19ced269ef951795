import type { Duplex } from "node:stream";
import { asError } from "../lib/thrown.ts";

/** Far more than any server sends; Cloudflare's longest are some four kilobytes. */
const MAX_HEAD_BYTES = 64 * 1024;

/** Status line and headers of an HTTP/1.1 reply. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: Headers;
}

/**
 * Reads the head of the next reply on a connection that was written to by hand; interim replies (1xx) are passed over.
 * What follows the head stays in the connection, which is paused then. Throws what ended the connection, an error with
 * the code `Malformed_HTTP_Response`, or the reason of `signal`, and ends the connection then.
 */
export async function readReplyHead(connection: Duplex, signal: AbortSignal): Promise<ReplyHead> {
  try {
    for (;;) {
      const head = parseHead(await headBytes(connection, signal));
      if (!head) throw notHttp();
      if (head.status >= 200 || head.status === 101) return head;
    }
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** Up to the empty line, without it. */
function headBytes(connection: Duplex, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let bytes = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0 && bytes.length < MAX_HEAD_BYTES) return;
    stop();
    if (end < 0) return reject(notHttp());
    const rest = bytes.subarray(end + 4);
    if (rest.length > 0) connection.unshift(rest);
    resolve(bytes.toString("latin1", 0, end));
  };
  const onError = (error: Error) => (stop(), reject(error));
  const onClose = () =>
    onError(Object.assign(new Error("The other end closed the connection."), { code: "ECONNRESET" }));
  const onAbort = () => (stop(), reject(asError(signal.reason)));
  const stop = () => {
    connection.off("data", onData).off("error", onError).off("end", onClose).off("close", onClose);
    signal.removeEventListener("abort", onAbort);
    connection.pause();
  };
  connection.on("data", onData).on("error", onError).on("end", onClose).on("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  else connection.resume();
  return promise;
}

function parseHead(text: string): ReplyHead | undefined {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1];
  if (status === undefined) return undefined;
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    try {
      headers.append(line.slice(0, Math.max(0, colon)), line.slice(colon + 1).trim());
    } catch {
      // Not a header that HTTP knows; nothing here asks for one.
    }
  }
  return { status: Number(status), headers };
}

/** With the code that fetch gives. */
function notHttp(): Error {
  return Object.assign(new Error("The answer is not HTTP."), { code: "Malformed_HTTP_Response" });
}
