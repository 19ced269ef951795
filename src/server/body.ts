import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, zstdDecompress } from "node:zlib";
import { RelayError } from "../lib/errors.ts";

const DECODERS = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
} as const;

/** The request body, decoded. Throws `request_too_large` before more than `maxBytes` are held, packed or unpacked. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(request.headers.get("content-length") ?? "0");
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const bytes = announced > 0 ? new Uint8Array(await request.arrayBuffer()) : await readChunks(request, maxBytes);
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  return encoding === "identity" || encoding === "" ? bytes : decode(bytes, encoding, maxBytes);
}

/** JSON whatever the content type says: many callers of curl send none, or the form default. */
export function parseBody(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") throw new RelayError("invalid_request", "The request body is empty; it must be JSON.");
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unreadable";
    throw new RelayError("invalid_request", `The request body is not valid JSON: ${reason}.`, { cause: error });
  }
}

async function readChunks(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

async function decode(bytes: Uint8Array, encoding: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding as keyof typeof DECODERS] : undefined;
  if (!decoder) {
    throw new RelayError(
      "unsupported_media_type",
      `The content encoding '${encoding.slice(0, 40)}' is not supported.`,
      {
        hint: `Send the body plain or as ${Object.keys(DECODERS).join(", ")}.`,
      },
    );
  }
  try {
    return new Uint8Array(await decoder(bytes, { maxOutputLength: maxBytes }));
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new RelayError("invalid_request", `The request body is not valid ${encoding}.`, { cause: error });
  }
}

function tooLarge(maxBytes: number): RelayError {
  const limit = Math.floor(maxBytes / (1024 * 1024));
  return new RelayError("request_too_large", `The request body is larger than ${limit} MiB.`);
}
