import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from "node:zlib";

/** A request body with its content codings undone, last one first. Throws on bytes that do not fit the coding. */
export function decodeBody(bytes: Uint8Array, contentEncoding: string | null): Uint8Array {
  const codings = (contentEncoding ?? "")
    .split(",")
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity");
  return codings.reduceRight(decode, bytes);
}

function decode(bytes: Uint8Array, coding: string): Uint8Array {
  switch (coding) {
    case "zstd":
      return Bun.zstdDecompressSync(bytes);
    case "gzip":
    case "x-gzip":
      return gunzipSync(bytes);
    case "deflate":
      return inflateEither(bytes);
    case "br":
      return brotliDecompressSync(bytes);
    default:
      throw new Error(`unknown content coding '${coding}'`);
  }
}

/** By the standard `deflate` has a zlib wrapper; some clients leave it out. */
function inflateEither(bytes: Uint8Array): Uint8Array {
  try {
    return inflateSync(bytes);
  } catch {
    return inflateRawSync(bytes);
  }
}
