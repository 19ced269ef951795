/**
 * Tells of silence, again and again. A sign of life costs a look at the clock and no timer, as there may be thousands
 * of them a second.
 */
export class Silence {
  readonly #limitMs: number;
  readonly #onSilent: () => void;
  #lastMs = performance.now();
  #timer: Timer;

  /** `onSilent` is called after every `limitMs` without a sign of life. */
  constructor(limitMs: number, onSilent: () => void) {
    this.#limitMs = limitMs;
    this.#onSilent = onSilent;
    this.#timer = setTimeout(this.#look, limitMs);
  }

  /** Something is heard. */
  break(): void {
    this.#lastMs = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  readonly #look = (): void => {
    const quietMs = performance.now() - this.#lastMs;
    const isSilent = quietMs >= this.#limitMs;
    if (isSilent) this.#lastMs = performance.now();
    this.#timer = setTimeout(this.#look, isSilent ? this.#limitMs : this.#limitMs - quietMs);
    if (isSilent) this.#onSilent();
  };
}
