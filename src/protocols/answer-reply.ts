import type { AnswerReader } from "../codex/output/answer.ts";
import type { AnswerOptions } from "../codex/output/events.ts";
import { OutputLimit } from "../codex/output/output-limit.ts";
import { estimateTokens } from "../codex/count-tokens.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import type { RelayError } from "../lib/errors.ts";
import type { ClientBody, ClientStream, Context, Send, Translation } from "./protocol.ts";

/** Where a client wants its answer to end; the backend knows neither, so the relay cuts it. */
interface AnswerCuts {
  readonly stopSequences: readonly string[];
  readonly maxTokens: number | undefined;
}

/** How the answer to a request is read, streamed or whole; asked for when the answer begins. */
export function answerOptions(context: Context, { body }: Translation, { stopSequences, maxTokens }: AnswerCuts) {
  const { memory, now, countTokens } = context;
  const canCut = maxTokens !== undefined || stopSequences.length > 0;
  return (isWhole: boolean): AnswerOptions => ({
    stopSequences,
    memory,
    now,
    limit: maxTokens === undefined ? undefined : new OutputLimit(maxTokens, countTokens),
    // Counted here, while the backend works, and no later: that would keep the body for as long as the answer takes.
    inputTokens: canCut ? estimateTokens(body) : 0,
    isWhole,
  });
}

/** A limit of tokens as clients write it: whole and above zero, else there is none. */
export function tokenLimit(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
}

/** A streamed reply that is written as its reader tells the answer. */
export abstract class AnswerStream implements ClientStream {
  protected abstract readonly reader: AnswerReader;
  protected readonly send: Send;
  #hasFailed = false;

  constructor(send: Send) {
    this.send = send;
  }

  get isDone(): boolean {
    return this.#hasFailed || this.reader.isDone;
  }

  onEvent(event: WireEvent): void {
    this.reader.onEvent(event);
  }

  onEnd(): void {
    this.reader.onEnd();
  }

  onFailure(error: RelayError, requestId: string): void {
    this.#hasFailed = true;
    this.fail(error, requestId);
  }

  /** Sends how the stream ends when it fails in the middle. */
  protected abstract fail(error: RelayError, requestId: string): void;
}

/** A whole reply: the fold of the very pieces that a stream would have sent. */
export abstract class AnswerBody implements ClientBody {
  protected abstract readonly reader: AnswerReader;

  get isDone(): boolean {
    return this.reader.isDone;
  }

  onEvent(event: WireEvent): void {
    this.reader.onEvent(event);
  }

  toBody(): unknown {
    this.reader.onEnd();
    return this.body();
  }

  protected abstract body(): unknown;
}
