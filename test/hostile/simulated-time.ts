/** One in so many turns of the event loop time goes on although somebody is busy: disks are slow now and then. */
const PATIENCE = 400;

/**
 * Time that passes when everybody waits for it, so that an hour takes as long as what is done in it. Files are real, and
 * whoever is at one for long is slow in this time too.
 */
export class SimulatedTime {
  #nowMs = 1_800_000_000_000;
  readonly #sleepers: { readonly atMs: number; readonly wake: () => void }[] = [];

  readonly now = (): number => this.#nowMs;

  readonly sleep = (ms: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sleepers.push({ atMs: this.#nowMs + Math.max(0, ms), wake: resolve });
    return promise;
  };

  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Lets time pass until all of `work` is done; each of them sleeps once at a time. */
  async run(work: readonly Promise<unknown>[]): Promise<void> {
    const state = { running: work.length };
    const all = Promise.all(work.map((one) => one.finally(() => (state.running -= 1))));
    all.catch(() => {});
    while (state.running > 0) {
      await new Promise(setImmediate);
      if (this.#sleepers.length >= state.running || this.#random() < 1 / PATIENCE) this.#wakeNext();
    }
    await all;
  }

  #wakeNext(): void {
    const [first] = this.#sleepers.toSorted((a, b) => a.atMs - b.atMs);
    if (!first) return;
    this.#sleepers.splice(this.#sleepers.indexOf(first), 1);
    this.#nowMs = Math.max(this.#nowMs, first.atMs);
    first.wake();
  }
}
