import type { WireEvent } from "../../codex/wire/event.ts";
import type { RelayError } from "../../lib/errors.ts";
import type { Send } from "../protocol.ts";
import { errorFrame, frameOf } from "../responses-frames.ts";

interface MadeEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * Sends events with `sequence_number`s that grow by each. As long as nothing was added, upstream's own events pass as
 * they are; from the first one that the relay adds, or that upstream left without a number, all are numbered anew.
 */
export class Numbering {
  readonly #send: Send;
  /** Frames sent. */
  #count = 0;
  /** The last of upstream's events that passed; its number is read only if somebody needs it. */
  #last: WireEvent | undefined;
  /** Of the next event, once events have been added. */
  #next: number | undefined;
  /** The last number that the relay gave or kept. */
  #given = -1;

  constructor(send: Send) {
    this.#send = send;
  }

  /** An event of upstream's, or of the normalizer's. */
  pass(wire: WireEvent): void {
    // Strict readers refuse an event without a number; one that has none among upstream's own is the relay's to give.
    if (wire.isMade || (!wire.isBulk && !("sequence_number" in wire.event))) return this.made(wire.event);
    this.#count += 1;
    if (this.#next === undefined) {
      this.#last = wire;
      this.#send(wire);
      return;
    }
    this.#send(frameOf({ ...(wire.event as MadeEvent), sequence_number: this.#next }));
    this.#next += 1;
  }

  /** An event that the relay makes. One that stands for an event of upstream's keeps its number. */
  made(event: MadeEvent): void {
    const own = event["sequence_number"];
    const last = this.#next === undefined ? this.#lastNumber() : this.#next - 1;
    const isOwn = this.#next === undefined && typeof own === "number" && own > last;
    const number = isOwn ? own : last + 1;
    this.#count += 1;
    if (isOwn) this.#last = undefined;
    else this.#next = number + 1;
    this.#given = number;
    this.#send(frameOf({ ...event, sequence_number: number }));
  }

  error(error: RelayError): void {
    this.#send(errorFrame(error, this.#next ?? this.#lastNumber() + 1));
  }

  #lastNumber(): number {
    const told = NUMBER.exec(this.#last?.data ?? "")?.[1];
    return Math.max(this.#given, told === undefined ? this.#count - 1 : Number(told));
  }
}

const NUMBER = /"sequence_number":\s*(\d+)/;
