/** SHA-256 in hex. By Bun's own hasher: `node:crypto` alone takes milliseconds and megabytes to load. */
export function sha256Hex(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
