/** Proof that whoever redeems a code is whoever asked for it (RFC 7636, method S256). */
export interface Pkce {
  readonly verifier: string;
  readonly challenge: string;
}

/** A fresh pair; the verifier has 64 random bytes, as the Codex CLI's has. */
export function newPkce(): Pkce {
  const verifier = randomText(64);
  return { verifier, challenge: new Bun.CryptoHasher("sha256").update(verifier).digest("base64url") };
}

/** Random bytes as base64url without padding: 32 bytes give 43 characters. */
export function randomText(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("base64url");
}
