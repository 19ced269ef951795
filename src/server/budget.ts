import { RelayError } from "../lib/errors.ts";
import { MOST_VALUES, tooMany } from "../lib/json-shape.ts";
import type { JsonSize } from "../lib/large-json.ts";

/** Shares up to 1/512 of the budget are not refused: they are nothing beside large bodies, and bounded by the number of requests. */
const SMALL = 512;
/**
 * Memory that a request's content takes while it is translated, in times its size: the bytes as they came, the parsed
 * values, and the text that goes upstream.
 */
const COPIES = 3;

/**
 * The memory that requests may take together, counted before it is taken: bodies as they come in and unpack, frames of
 * sockets, what stored turns and references add, translations, and answers that are collected or wait for readers.
 */
export class MemoryBudget {
  readonly #maxBytes: () => number;
  /** What one request may consist of, with all that it refers to. */
  readonly #maxContentBytes: () => number;
  readonly #whole: MemoryBudget | undefined;
  #heldBytes = 0;

  constructor(maxBytes: () => number, maxContentBytes: () => number, whole?: MemoryBudget) {
    this.#maxBytes = maxBytes;
    this.#maxContentBytes = maxContentBytes;
    this.#whole = whole;
  }

  /** A budget of its own that is this part of the whole one, and counts in that too. */
  part(ratio: number): MemoryBudget {
    return new MemoryBudget(() => ratio * this.#maxBytes(), this.#maxContentBytes, this);
  }

  /** What all requests hold together. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A share for one request. It has to be closed. */
  open(): Share {
    return new Share(this, this.#maxContentBytes());
  }

  /** For shares. Throws `relay_busy` when one that holds `held` bytes may not hold so many more. */
  check(held: number, bytes: number): void {
    this.#whole?.check(held, bytes);
    const isSmall = held + bytes <= this.#maxBytes() / SMALL;
    // Alone, a request may have as much as its own limits allow.
    const isAlone = this.#heldBytes <= held;
    if (!isSmall && !isAlone && this.#heldBytes + bytes > this.#maxBytes()) throw outOfMemory();
  }

  /** For shares: counts more bytes, or fewer. */
  count(bytes: number): void {
    this.#heldBytes += bytes;
    this.#whole?.count(bytes);
  }
}

/** What one request holds of the budget, from its first byte to the end of its reply. */
export class Share {
  readonly #budget: MemoryBudget;
  readonly #maxContentBytes: number;
  #heldBytes = 0;
  #contentBytes = 0;
  #contentValues = 0;
  #answerBytes = 0;
  #isClosed = false;

  constructor(budget: MemoryBudget, maxContentBytes: number) {
    this.#budget = budget;
    this.#maxContentBytes = maxContentBytes;
  }

  /**
   * Counts bytes of a body before they come in, with what translating them will take: a body that is here is translated
   * and not turned away. Throws `relay_busy`.
   */
  receive(bytes: number): void {
    this.hold(COPIES * bytes);
  }

  /** The body is here in full; gives back what its packed form took. */
  received(bytes: number): void {
    this.#contentBytes = bytes;
    this.#keep(COPIES * bytes);
  }

  /** Counts bytes of any kind. Throws `relay_busy`. */
  hold(bytes: number): void {
    if (this.#isClosed) return;
    this.#budget.check(this.#heldBytes, bytes);
    this.#take(bytes);
  }

  /**
   * Counts what a reference or a stored turn adds to the request. Throws `request_too_large` when the whole would be
   * larger than a body may be, and `relay_busy`.
   */
  add({ characters, values }: JsonSize): void {
    this.#contentBytes += characters;
    this.#contentValues += values;
    if (this.#contentBytes > this.#maxContentBytes) throw tooLarge(this.#maxContentBytes);
    if (this.#contentValues > MOST_VALUES) throw tooMany();
    this.hold(COPIES * characters);
  }

  /**
   * Counts an answer that is collected before it is sent, or kept for later requests. Throws `upstream_error` when it is
   * longer than any answer is, and `relay_busy`.
   */
  collect(bytes: number): void {
    this.#answerBytes += bytes;
    if (this.#answerBytes > LONGEST_ANSWER_BYTES) throw endlessAnswer();
    if (this.#isClosed) return;
    // An answer of usual length is paid for by then, and not refused for what others hold.
    if (this.#answerBytes <= USUAL_ANSWER_BYTES) this.#take(bytes);
    else this.hold(bytes);
  }

  /** The reply has begun: of the request only its values are still held. */
  settle(): void {
    if (!this.#isClosed) this.#keep(this.#contentBytes + this.#answerBytes);
  }

  /** Gives everything back. Later calls of any method count nothing. */
  close(): void {
    this.#isClosed = true;
    this.#keep(0);
  }

  /** Counts more bytes, whoever holds the rest. */
  #take(bytes: number): void {
    this.#keep(this.#heldBytes + bytes);
  }

  /** Gives back all but so many bytes. */
  #keep(bytes: number): void {
    this.#budget.count(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }
}

/** Of events as upstream sends them. The longest answers of models are some 2 MB of text, in events 40 times that. */
const LONGEST_ANSWER_BYTES = 128 * 1024 * 1024;

/** Of events as upstream sends them; some 20,000 words. */
const USUAL_ANSWER_BYTES = 1024 * 1024;

function endlessAnswer(): RelayError {
  const message = `Upstream's answer is longer than ${LONGEST_ANSWER_BYTES / (1024 * 1024)} MiB.`;
  return new RelayError("upstream_error", message, { shouldRetry: false });
}

/** What a request is refused with that is, or would become, larger than a body may be. */
export function tooLarge(maxBytes: number): RelayError {
  const limit = Math.floor(maxBytes / (1024 * 1024));
  return new RelayError("request_too_large", `The request, with all that it refers to, is larger than ${limit} MiB.`);
}

/** What a request is refused with while others hold the whole budget. */
export function outOfMemory(): RelayError {
  return new RelayError("relay_busy", "The relay already holds as much of other requests as it may.", {
    retryAfterMs: 1000,
    hint: "Try again in a moment, or send fewer large requests at once.",
  });
}
