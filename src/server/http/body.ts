import { RelayError } from "../../lib/errors.ts";
import { joined, parseJsonBytes } from "../../lib/large-json.ts";
import { tooLarge, type Share } from "../budget.ts";
import { unpack } from "./unpack.ts";

/** In bytes. */
const LARGE = 1024 * 1024;

/** A request, and its share of the memory that all requests may take together. */
export interface Sender {
  readonly request: Request;
  readonly share: Share;
}

/**
 * The request body, decoded. Every byte is counted before it is held, packed or unpacked. Throws `request_too_large`
 * beyond `maxBytes`, and `relay_busy`.
 */
export async function readBody(sender: Sender, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const { request, share } = sender;
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  const received = await readReceived(sender, maxBytes);
  const body =
    encoding === "identity" || encoding === ""
      ? received
      : await joined(await unpack(received, encoding, counter(share, maxBytes)));
  share.received(body.length);
  return body;
}

/** JSON whatever the content type says: many callers of curl send none, or the form default. */
export async function parseBody(bytes: Uint8Array): Promise<unknown> {
  try {
    return await parseJsonBytes(bytes);
  } catch (error) {
    if (error instanceof RelayError) throw error;
    if (isBlank(bytes)) throw new RelayError("invalid_request", "The request body is empty; it must be JSON.");
    const reason = error instanceof Error ? error.message : "unreadable";
    throw new RelayError("invalid_request", `The request body is not valid JSON: ${reason}.`, { cause: error });
  }
}

/** The body as it was sent. */
async function readReceived({ request, share }: Sender, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(request.headers.get("content-length") ?? "0");
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (announced > 0) share.receive(announced);
  if (announced > LARGE) return readAnnounced(request, announced);
  if (announced > 0) return new Uint8Array(await request.arrayBuffer());
  const count = counter(share, maxBytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of request.body ?? []) {
    count(chunk.byteLength);
    chunks.push(chunk);
  }
  return joined(chunks);
}

/** Counts bytes that come without an announcement. Throws `request_too_large` and `relay_busy`. */
function counter(share: Share, maxBytes: number): (bytes: number) => void {
  let size = 0;
  return (bytes) => {
    size += bytes;
    if (size > maxBytes) throw tooLarge(maxBytes);
    share.receive(bytes);
  };
}

/** Each piece goes to its place as it comes; to put 64 MiB together at the end would hold up everyone else. */
async function readAnnounced(request: Request, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(size);
  let offset = 0;
  for await (const chunk of request.body ?? []) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole.subarray(0, offset);
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.length < 1024 && bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
