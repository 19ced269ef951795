import { RelayError, toRelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { UNKNOWN, type KeyPlace } from "./key-list.ts";
import { stateOf, type ClientKey, type KeyState } from "./key.ts";

/** A request asks up to three times, and under load several come at once: for so long one look serves them all. */
export const LOOK_MS = 0.5;

/**
 * The clients' keys as a running relay knows them. The file is looked at (one `stat`) whenever somebody asks, so what
 * `keys add` and `keys revoke` write holds from the next request on: no program ends and another asks within `LOOK_MS`.
 *
 * A relay that has seen keys once asks for one until it ends, also when the last of them is revoked or the file is gone:
 * taking a key away never opens the door. A file that breaks meanwhile leaves the keys that were there before in force;
 * where there were none yet, nobody comes in.
 */
export class KeyRing {
  readonly #place: KeyPlace;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #lookMs: number;
  /** In the milliseconds of `performance.now()`. */
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #version: string | undefined;
  #keys: readonly ClientKey[] = [];
  #fault: RelayError | undefined;
  #isInUse = false;

  /** `lookMs`: how long a look serves; by default each question looks anew. */
  constructor(place: KeyPlace, log: Log, now: () => number = Date.now, lookMs = 0) {
    this.#place = place;
    this.#log = log;
    this.#now = now;
    this.#lookMs = lookMs;
  }

  /** True from the moment on in which there was a file of keys, good or broken; also while nobody can tell. */
  get isInUse(): boolean {
    this.#refresh();
    return this.#isInUse || this.#version === UNKNOWN;
  }

  /** True when somebody could come in with one of the keys. */
  get hasUsable(): boolean {
    this.#refresh();
    return this.#keys.some((key) => stateOf(key, this.#now()) === "usable");
  }

  /**
   * The key with a digest, whatever its state. Each call makes as many comparisons as there are keys, each in constant
   * time and none left out, so that neither a name nor a place in the file shows in the time that a refusal takes.
   * Throws `keys_unreadable` while no good list was read.
   */
  find(digest: Buffer): ClientKey | undefined {
    this.#refresh();
    if (this.#fault && this.#keys.length === 0) {
      const reason = "The relay's list of keys cannot be read, so it lets nobody in by them.";
      throw new RelayError("keys_unreadable", reason, {
        hint: "Its owner finds out why with `plansocket doctor`.",
        retryAfterMs: 5000,
      });
    }
    let found: ClientKey | undefined;
    for (const key of this.#keys) found = crypto.timingSafeEqual(key.digest, digest) ? key : found;
    return found;
  }

  /** What became of a key since it was found; a key that is gone from the file is revoked. */
  stateOf(id: string): KeyState {
    this.#refresh();
    const key = this.#keys.find((other) => other.id === id);
    return key ? stateOf(key, this.#now()) : "revoked";
  }

  #refresh(): void {
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtMs < this.#lookMs) return;
    this.#lookedAtMs = nowMs;
    const version = this.#place.version();
    if (version === this.#version) return;
    const isFirst = this.#version === undefined;
    this.#version = version;
    if (version !== "none" && version !== UNKNOWN) this.#isInUse = true;
    try {
      const keys = this.#place.read()?.keys ?? [];
      // Files that are gone from a folder that is gone, as with a mount that is not there for a moment, revoke nothing.
      if (version === "none" && this.#isInUse)
        return this.#log.warn("The file of keys is gone; its keys stay in force.");
      this.#keys = keys;
      this.#fault = undefined;
      if (!isFirst) this.#log.info("The keys were read again.", { keys: keys.length });
    } catch (thrown) {
      this.#fault = toRelayError(thrown);
      const { message, hint = "" } = this.#fault;
      const stays = this.#keys.length > 0 ? "The keys of before stay in force." : "Nobody comes in by a key.";
      this.#log.error(`${message} ${stays} ${hint}`.trim());
    }
  }
}
