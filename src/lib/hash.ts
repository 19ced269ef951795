/** SHA-256 in hex. By Bun's own hasher: `node:crypto` alone takes milliseconds and megabytes to load. */
export function sha256Hex(text: string): string {
  return Bun.CryptoHasher.hash("sha256", text, "hex");
}

/** A number of 32 bits that tells texts apart well enough for counting and for hints; never for trust. */
export function hash32(text: string): number {
  return Bun.hash.xxHash32(text);
}

/** The same of 64 bits: chance does not make two texts share one, but whoever means to can. */
export function hash64(text: string): bigint {
  return Bun.hash.xxHash3(text);
}
