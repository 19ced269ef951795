import { RelayError } from "../../lib/errors.ts";
import { joined, LARGE as LARGE_JSON } from "../../lib/large-json.ts";
import { parseJsonBytes, parseJsonText } from "../../lib/parse-json.ts";
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
  const encoding = encodingOf(request);
  const received = await readReceived(sender, maxBytes);
  const body =
    encoding === "identity" ? received : await joined(await unpack(received, encoding, counter(share, maxBytes)));
  share.received(body.length);
  return body;
}

/**
 * The request body as JSON, whatever the content type says: many callers of curl send none, or the form default.
 * `onReceived` is called when all of it is here. Throws `invalid_request`, `request_too_large`, and `relay_busy`.
 */
export async function readJson(sender: Sender, maxBytes: number, onReceived?: () => void): Promise<unknown> {
  const body = (await readText(sender, maxBytes)) ?? (await readBody(sender, maxBytes));
  onReceived?.();
  return parseBody(body);
}

/**
 * A body that comes as it is, in a size that is known and moderate: Bun makes text of it as it comes in, without bytes
 * that would be copied once more. Undefined for any other, of which nothing was read.
 */
async function readText({ request, share }: Sender, maxBytes: number): Promise<string | undefined> {
  const announced = announcedBytes(request, maxBytes);
  if (encodingOf(request) !== "identity" || !(announced > 0 && announced <= LARGE_JSON)) return undefined;
  share.receive(announced);
  const text = await request.text();
  share.received(announced);
  return text;
}

async function parseBody(body: string | Uint8Array): Promise<unknown> {
  try {
    return await (typeof body === "string" ? parseJsonText(body) : parseJsonBytes(body));
  } catch (error) {
    if (error instanceof RelayError) throw error;
    if (isBlank(body)) throw new RelayError("invalid_request", "The request body is empty; it must be JSON.");
    const reason = error instanceof Error ? error.message : "unreadable";
    throw new RelayError("invalid_request", `The request body is not valid JSON: ${reason}.`, { cause: error });
  }
}

function encodingOf(request: Request): string {
  return (request.headers.get("content-encoding") ?? "").trim().toLowerCase() || "identity";
}

/** How many bytes the client says it sends; 0 when it does not say. Throws `request_too_large`. */
function announcedBytes(request: Request, maxBytes: number): number {
  const announced = Number(request.headers.get("content-length") ?? "0");
  if (announced > maxBytes) throw tooLarge(maxBytes);
  return announced;
}

/** The body as it was sent. */
async function readReceived({ request, share }: Sender, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = announcedBytes(request, maxBytes);
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

function isBlank(body: string | Uint8Array): boolean {
  return body.length < 1024 && /^[ \t-\r]*$/.test(typeof body === "string" ? body : new TextDecoder().decode(body));
}
