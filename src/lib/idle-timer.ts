/**
 * Tells of silence. A sign of life costs a look at the clock and no timer, as there may be thousands of them a second.
 */
export class IdleTimer {
  readonly #limitMs: number;
  readonly #onSilent: () => void;
  #lastMs = performance.now();
  #timer: Timer | undefined;
  #isStopped = false;

  /** `onSilent` is called once after `limitMs` without a sign of life, and again only if one has come meanwhile. */
  constructor(limitMs: number, onSilent: () => void) {
    this.#limitMs = limitMs;
    this.#onSilent = onSilent;
    this.#timer = setTimeout(this.#look, limitMs);
  }

  /** A sign of life. */
  touch(): void {
    this.#lastMs = performance.now();
    if (this.#timer === undefined && !this.#isStopped) this.#timer = setTimeout(this.#look, this.#limitMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  readonly #look = (): void => {
    const quietMs = performance.now() - this.#lastMs;
    const isSilent = quietMs >= this.#limitMs;
    this.#timer = isSilent ? undefined : setTimeout(this.#look, this.#limitMs - quietMs);
    if (isSilent) this.#onSilent();
  };
}
