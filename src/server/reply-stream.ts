import type { WireEvent } from "../codex/wire/event.ts";
import { RelayError, toRelayError } from "../lib/errors.ts";
import type { FrameSource } from "../lib/body-stream.ts";
import type { ClientStream, Send } from "../protocols/protocol.ts";
import type { UpstreamReply } from "../upstream/call.ts";
import type { FrameFormat } from "./http/frames.ts";
import type { Admitted } from "./handle.ts";

type Surroundings = Pick<Admitted, "lifetime" | "record" | "share">;

/** Reads a reply from upstream for as long as its client takes it. */
export class ReplyStream<Step = boolean> {
  readonly #stream: ClientStream;
  readonly #events: UpstreamReply["events"];
  readonly #admitted: Surroundings;
  readonly #toStep: (isMore: boolean) => Step;
  #isOver = false;

  constructor(
    stream: ClientStream,
    { events }: Pick<UpstreamReply, "events">,
    admitted: Surroundings,
    toStep: (isMore: boolean) => Step,
  ) {
    this.#stream = stream;
    this.#events = events;
    this.#admitted = admitted;
    this.#toStep = toStep;
  }

  /**
   * Sends the frames of the next batch, if it has any, and resolves to what `toStep` makes of that. It gets false at the
   * end, when nothing was sent. An error after the status line becomes a frame, never a torn socket: never throws.
   */
  next(): Promise<Step> {
    if (!this.#isOver && !this.#stream.isDone) return this.#events.next().then(this.#onBatch, this.#onFailure);
    this.#events.cancel();
    this.#admitted.lifetime.end();
    return Promise.resolve(this.#toStep(false));
  }

  readonly #onBatch = (batch: readonly WireEvent[] | undefined): Step => this.#toStep(this.#pass(batch));
  readonly #onFailure = (thrown: unknown): Step => this.#toStep(this.#fail(thrown));

  #pass(batch: readonly WireEvent[] | undefined): boolean {
    const { record, share } = this.#admitted;
    try {
      if (!batch) {
        this.#isOver = true;
        this.#stream.onEnd();
        return true;
      }
      if (this.#stream.keepsAnswer) share.collect(sizeOf(batch));
      for (const event of batch) {
        this.#stream.onEvent(event);
        if (this.#stream.isDone) {
          record.complete();
          break;
        }
      }
      return true;
    } catch (thrown) {
      return this.#fail(thrown);
    }
  }

  /** The client is gone. */
  cancel(): void {
    this.#admitted.lifetime.leave();
    // An abort wakes nobody who is not reading: without this, what was read ahead stays until upstream's time is over.
    this.#events.cancel();
  }

  #fail(thrown: unknown): boolean {
    this.#events.cancel();
    const { lifetime, record } = this.#admitted;
    const { reason } = lifetime.signal as { reason: unknown };
    // A client that has left reads nothing; when the relay stops, the client gets an error.
    if (lifetime.signal.aborted && !(reason instanceof RelayError)) return false;
    this.#isOver = true;
    const error = toRelayError(lifetime.signal.aborted ? reason : thrown);
    record.fail(error);
    this.#stream.onFailure(error, record.requestId);
    return true;
  }
}

/** Characters of events as upstream sent them. */
export function sizeOf(batch: readonly WireEvent[]): number {
  let size = 0;
  for (const event of batch) size += event.size;
  return size;
}

/** A reply as the text of an HTTP body. */
export function textSource(
  open: (send: Send) => ClientStream,
  reply: Pick<UpstreamReply, "events">,
  admitted: Surroundings,
  format: FrameFormat,
): FrameSource {
  let text = "";
  const stream = open((frame) => {
    text += format.write(frame);
  });
  return new ReplyStream(stream, reply, admitted, (isMore) => {
    const sent = text;
    text = "";
    return isMore ? sent : undefined;
  });
}
