/** Turns of the event loop in which work that touches memory alone comes to its next wait. */
const TURNS = 3;

interface Due {
  readonly atMs: number;
  readonly work: () => void;
}

/**
 * Time for work that touches nothing but memory: once all has been done that can be done now, the next thing happens. The
 * same work with the same random numbers goes the same way each time.
 */
export class EventTime {
  #nowMs = 1_800_000_000_000;
  #due: Due[] = [];
  #busy = 0;

  readonly now = (): number => this.#nowMs;

  readonly after = (ms: number, work: () => void): (() => void) => {
    const due = { atMs: this.#nowMs + Math.max(0, ms), work };
    this.#due.push(due);
    return () => void (this.#due = this.#due.filter((other) => other !== due));
  };

  readonly sleep = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));

  /** Time stands still until `work` is done: it takes none. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#busy += 1;
    try {
      return await work;
    } finally {
      this.#busy -= 1;
    }
  }

  /** Lets time pass until `atMs`, or until there is nothing left to happen before. */
  async runUntil(atMs: number): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < TURNS || this.#busy > 0; turn += 1) await new Promise(setImmediate);
      let first: Due | undefined;
      for (const due of this.#due) if (!first || due.atMs < first.atMs) first = due;
      if (!first || first.atMs > atMs) break;
      this.#due.splice(this.#due.indexOf(first), 1);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.work();
    }
    this.#nowMs = Math.max(this.#nowMs, atMs);
  }
}
