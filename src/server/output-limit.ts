import type { WireEvent } from "../codex/wire/event.ts";
import { tokenCounter } from "../lib/tokens.ts";
import type { EventBatches } from "../upstream/sse.ts";

/**
 * Reads the vocabulary before an answer reaches its client's limit of tokens. A token has a character at least, so that
 * answers of fewer characters than the limit, which are nearly all, cost no memory for it.
 */
export class LimitedBatches implements EventBatches {
  readonly #events: EventBatches;
  readonly #maxTokens: number;
  #characters = 0;

  constructor(events: EventBatches, maxTokens: number) {
    this.#events = events;
    this.#maxTokens = maxTokens;
  }

  next(): Promise<WireEvent[] | undefined> {
    const next = this.#events.next();
    return this.#characters > this.#maxTokens ? next : next.then(this.#count);
  }

  readonly #count = (batch: WireEvent[] | undefined): BatchOrLater => {
    for (const event of batch ?? []) this.#characters += charactersOf(event);
    return this.#characters > this.#maxTokens ? tokenCounter().then(() => batch) : batch;
  };

  cancel(): void {
    this.#events.cancel();
  }
}

type BatchOrLater = WireEvent[] | undefined | Promise<WireEvent[] | undefined>;

/** What an event may add to an answer's text: some streams tell a text only when it is whole. */
function charactersOf(event: WireEvent): number {
  if (event.isBulk) return event.type === "response.output_text.delta" ? event.delta.length : 0;
  return /\.(delta|done|completed|incomplete)$/.test(event.type) ? event.data.length : 0;
}
