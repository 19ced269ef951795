import type { Transform } from "node:stream";
import { RelayError } from "../../lib/errors.ts";

/** Content codings (RFC 9110, section 8.4.1; zstd is RFC 8878), and what undoes them in `node:zlib`. */
const DECODERS = {
  gzip: "createGunzip",
  "x-gzip": "createGunzip",
  deflate: "createInflate",
  br: "createBrotliDecompress",
  zstd: "createZstdDecompress",
} as const;

/** Of unpacked bytes at a time: what is not counted yet is never more. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Unpacks a body in chunks; `onChunk` is called with the length of each before the next is made, and may throw. Throws
 * `unsupported_media_type` and `invalid_request`.
 */
export async function unpack(
  bytes: Uint8Array,
  encoding: string,
  onChunk: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>[]> {
  if (!isKnown(encoding)) throw unknownEncoding(encoding);
  // Few clients pack their bodies, and loading this takes as long as starting without it.
  const zlib = await import("node:zlib");
  const decoder: Transform = zlib[DECODERS[encoding]]({ chunkSize: CHUNK_BYTES });
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  decoder.end(bytes);
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer<ArrayBuffer>>) {
      onChunk(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof RelayError) throw error;
    throw new RelayError("invalid_request", `The request body is not valid ${encoding}.`, { cause: error });
  } finally {
    decoder.destroy();
  }
  return chunks;
}

function unknownEncoding(encoding: string): RelayError {
  const message = `The content encoding '${encoding.slice(0, 40)}' is not supported.`;
  return new RelayError("unsupported_media_type", message, {
    hint: `Send the body plain or as ${Object.keys(DECODERS).join(", ")}.`,
  });
}

function isKnown(encoding: string): encoding is keyof typeof DECODERS {
  return Object.hasOwn(DECODERS, encoding);
}
