import type { AnswerEnd, AnswerReader } from "../../codex/answer.ts";
import { plainReader, type PlainSink } from "../../codex/plain-answer.ts";
import type { Usage } from "../../codex/schema.ts";
import type { WireEvent } from "../../codex/wire-event.ts";
import type { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { dataFrame, DONE_FRAME, KEEP_ALIVE_FRAME } from "../../lib/sse.ts";
import type { ClientBody, ClientStream, Context, Protocol } from "../protocol.ts";
import { parseRequest, stopSequences, toCodex, type CompletionRequest } from "./request.ts";

/** OpenAI's text completions of old: one prompt in, its answer as text out. */
export const completions: Protocol<CompletionRequest> = {
  name: "completions",
  parse: parseRequest,
  isStreaming: (request) => request.stream === true,
  toCodex,
  openStream: (request, context) => new CompletionStream(request, context),
  openBody: (request, context) => new CompletionBody(request, context),
  streamContentType: "text/event-stream; charset=utf-8",
  keepAliveFrame: KEEP_ALIVE_FRAME,
  toError: openaiError,
};

/** What a stream and a whole answer have in common: text goes on, thoughts and calls have no place. */
abstract class Completion implements PlainSink {
  readonly reader: AnswerReader;
  readonly #request: CompletionRequest;
  readonly #context: Context;

  constructor(request: CompletionRequest, context: Context) {
    this.#request = request;
    this.#context = context;
    const { memory, now } = context;
    this.reader = plainReader({ stopSequences: stopSequences(request), isJson: false, memory, now }, this);
  }

  get isDone(): boolean {
    return this.reader.isDone;
  }

  abstract text(text: string): void;
  abstract end(end: AnswerEnd): void;

  thought(): void {}

  call(): void {}

  envelope(choices: readonly object[]) {
    return {
      id: `cmpl-${this.#context.id}`,
      object: "text_completion",
      created: Math.floor(this.#context.now / 1000),
      model: this.#request.model,
      choices,
    };
  }
}

class CompletionStream extends Completion implements ClientStream {
  readonly #includesUsage: boolean;
  #frames = "";
  #hasFailed = false;

  constructor(request: CompletionRequest, context: Context) {
    super(request, context);
    this.#includesUsage = request.stream_options?.include_usage === true;
  }

  override get isDone(): boolean {
    return this.#hasFailed || super.isDone;
  }

  onEvent(event: WireEvent): string {
    this.reader.onEvent(event);
    return this.#take();
  }

  onEnd(): string {
    this.reader.onEnd();
    return this.#take();
  }

  onFailure(error: RelayError): string {
    this.#hasFailed = true;
    return this.#take() + dataFrame(JSON.stringify(openaiError(error))) + DONE_FRAME;
  }

  text(text: string): void {
    this.#chunk([choiceOf(text, null)], null);
  }

  end({ reason, usage }: AnswerEnd): void {
    this.#chunk([choiceOf("", reason)], null);
    if (this.#includesUsage) this.#chunk([], usageOf(usage));
    this.#frames += DONE_FRAME;
  }

  #chunk(choices: readonly object[], usage: object | null): void {
    const chunk = { ...this.envelope(choices), ...(this.#includesUsage ? { usage } : {}) };
    this.#frames += dataFrame(JSON.stringify(chunk));
  }

  #take(): string {
    const frames = this.#frames;
    this.#frames = "";
    return frames;
  }
}

class CompletionBody extends Completion implements ClientBody {
  #text = "";
  #reason: AnswerEnd["reason"] = "stop";
  #usage: Usage | undefined;

  onEvent(event: WireEvent): void {
    this.reader.onEvent(event);
  }

  toBody(): unknown {
    this.reader.onEnd();
    return { ...this.envelope([choiceOf(this.#text, this.#reason)]), usage: usageOf(this.#usage) };
  }

  text(text: string): void {
    this.#text += text;
  }

  end({ reason, usage }: AnswerEnd): void {
    this.#reason = reason;
    this.#usage = usage;
  }
}

function choiceOf(text: string, reason: AnswerEnd["reason"] | null) {
  return { text, index: 0, logprobs: null, finish_reason: reason };
}

function usageOf(usage: Usage | undefined) {
  const prompt = usage?.input_tokens ?? 0;
  const completion = usage?.output_tokens ?? 0;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: usage?.total_tokens ?? prompt + completion,
    prompt_tokens_details: { cached_tokens: usage?.input_tokens_details?.cached_tokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: usage?.output_tokens_details?.reasoning_tokens ?? 0 },
  };
}
