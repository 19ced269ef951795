/** The abort signal of one fetch. It follows its caller's as long as there is something to cut. */
export class LinkedAbort {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #follow = () => this.abort(this.#caller.reason);

  constructor(caller: AbortSignal) {
    this.#caller = caller;
    if (caller.aborted) this.#follow();
    else caller.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** For reasons that the caller does not know of. */
  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  /** From now on the caller cuts nothing. */
  release(): void {
    this.#caller.removeEventListener("abort", this.#follow);
  }
}
