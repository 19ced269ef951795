import type { FreshTokens, Tokens } from "./sources/source.ts";

/** Far more renewals than a file can lag behind. */
const REMEMBERED = 32;

interface Successor {
  readonly fresh: FreshTokens;
  readonly atMs: number;
}

/**
 * What this process got for the single-use tokens that it spent. A file that shows one of them again (put back from
 * elsewhere, moved away during a renewal, restored from a backup) holds a dead login, but its successor is known here.
 */
export class TokenHistory {
  /** By the refresh token that was spent; the oldest first. */
  readonly #successors = new Map<string, Successor>();

  remember(spent: string, fresh: FreshTokens, atMs: number): void {
    // Without a new one the old one was not spent.
    if (fresh.refreshToken === undefined || fresh.refreshToken === spent) return;
    this.#successors.delete(spent);
    this.#successors.set(spent, { fresh, atMs });
    for (const oldest of this.#successors.keys()) {
      if (this.#successors.size <= REMEMBERED) break;
      this.#successors.delete(oldest);
    }
  }

  /** What has become of a login since; undefined when its refresh token was not spent here. */
  successorOf({ refreshToken }: Tokens): Successor | undefined {
    let successor = this.#successors.get(refreshToken ?? "");
    for (let steps = 0; successor && steps < REMEMBERED; steps += 1) {
      const next = this.#successors.get(successor.fresh.refreshToken ?? "");
      if (!next) break;
      successor = {
        fresh: {
          accessToken: next.fresh.accessToken ?? successor.fresh.accessToken,
          refreshToken: next.fresh.refreshToken,
          idToken: next.fresh.idToken ?? successor.fresh.idToken,
        },
        atMs: next.atMs,
      };
    }
    return successor;
  }
}
