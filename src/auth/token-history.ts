import type { FreshTokens, Tokens } from "./source.ts";

/** Far more renewals than a file can lag behind. */
const REMEMBERED = 32;

interface Descent {
  readonly fresh: FreshTokens;
  readonly atMs: number;
}

/**
 * What this process got for the single-use tokens that it spent. A file that shows one of them again (put back from
 * elsewhere, moved away during a renewal, restored from a backup) holds a dead login, but its heir is known here.
 */
export class TokenHistory {
  /** By the refresh token that was spent; the oldest first. */
  readonly #heirs = new Map<string, Descent>();

  remember(spent: string, fresh: FreshTokens, atMs: number): void {
    // Without a new one the old one was not spent.
    if (fresh.refreshToken === undefined || fresh.refreshToken === spent) return;
    this.#heirs.delete(spent);
    this.#heirs.set(spent, { fresh, atMs });
    for (const oldest of this.#heirs.keys()) {
      if (this.#heirs.size <= REMEMBERED) break;
      this.#heirs.delete(oldest);
    }
  }

  /** What has become of a login since; undefined when its refresh token was not spent here. */
  successorOf({ refreshToken }: Tokens): Descent | undefined {
    let heir = this.#heirs.get(refreshToken ?? "");
    for (let steps = 0; heir && steps < REMEMBERED; steps += 1) {
      const next = this.#heirs.get(heir.fresh.refreshToken ?? "");
      if (!next) break;
      heir = {
        fresh: {
          accessToken: next.fresh.accessToken ?? heir.fresh.accessToken,
          refreshToken: next.fresh.refreshToken,
          idToken: next.fresh.idToken ?? heir.fresh.idToken,
        },
        atMs: next.atMs,
      };
    }
    return heir;
  }
}
