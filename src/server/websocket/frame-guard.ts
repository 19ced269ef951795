/** How often memory is looked at: on loopback some 20 MB come in meanwhile. */
const EVERY_MS = 20;
/** So many sockets are not watched and not turned away: a frame of one is no more than a body. */
const UNWATCHED = 1;
/** Looks that growth is measured over. */
const LOOKS = 25;

export interface FrameGuardOptions {
  /** Open sockets. */
  readonly count: () => number;
  /** Tells the clients of all sockets of which no frame has arrived to come again, but for the oldest `spared`. */
  readonly turnAway: (spared: number) => void;
  /** What all requests hold of the memory budget, in bytes. */
  readonly heldBytes: () => number;
  /** Growth of memory that nothing accounts for, and that is let pass, in bytes. */
  readonly slackBytes: number;
  /** Memory of the process; the real one when left out. */
  readonly residentBytes?: () => number;
}

/**
 * Bounds frames that are still coming in. Bun collects a frame out of sight and hands it over when it is whole, so that
 * dozens of large ones at once would take gigabytes before the budget sees the first. What can be seen is the memory of
 * the process: when it grows within half a second by more than requests account for, all sockets but the oldest of which no
 * frame has arrived are told to come again. Costs one read of the resident size every 20 ms, and only while more than
 * one socket is open.
 */
export class FrameGuard {
  readonly #options: FrameGuardOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Memory that nothing accounted for at the last looks, in bytes. */
  readonly #looks: number[] = [];

  constructor(options: FrameGuardOptions) {
    this.#options = options;
  }

  /** To be called whenever a socket was opened or closed. */
  update(): void {
    const isWatching = this.#options.count() > UNWATCHED;
    if (isWatching === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = isWatching ? setInterval(() => this.look(), EVERY_MS).unref() : undefined;
    this.#looks.length = 0;
    if (isWatching) this.look();
  }

  /** Looks once, and turns sockets away when memory grows too fast. */
  look(): void {
    const { heldBytes, slackBytes, residentBytes = () => process.memoryUsage.rss() } = this.#options;
    const unaccounted = residentBytes() - heldBytes();
    this.#looks.push(unaccounted);
    if (this.#looks.length > LOOKS) this.#looks.shift();
    if (unaccounted - Math.min(...this.#looks) <= slackBytes) return;
    this.#looks.length = 0;
    this.#options.turnAway(UNWATCHED);
  }
}
