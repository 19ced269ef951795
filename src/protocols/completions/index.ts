import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerEnd } from "../../codex/output/answer-sink.ts";
import { plainReader, type PlainSink } from "../../codex/output/plain-answer.ts";
import type { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { AnswerBody, AnswerStream } from "../answer-reply.ts";
import { DONE } from "../openai-frames.ts";
import type { Context, Protocol, Send } from "../protocol.ts";
import { toChatUsage } from "../usage.ts";
import { parseRequest, stopSequences, toCodex, type CompletionRequest } from "./request.ts";

/** OpenAI's text completions of old: one prompt in, its answer as text out. */
export const completions: Protocol = {
  name: "completions",
  read(body, context) {
    const request = parseRequest(body);
    return {
      translation: toCodex(request, context),
      isStreaming: request.stream === true,
      stream: (send) => new CompletionStream(request, context, send),
      body: () => new CompletionBody(request, context),
    };
  },
  streamFormat: "sse",
  toError: openaiError,
};

function readerOf(request: CompletionRequest, { memory, now }: Context, sink: PlainSink): AnswerReader {
  return plainReader({ stopSequences: stopSequences(request), isJson: false, memory, now }, sink);
}

class CompletionStream extends AnswerStream implements PlainSink {
  protected readonly reader: AnswerReader;
  readonly #envelope: object;
  readonly #includesUsage: boolean;

  constructor(request: CompletionRequest, context: Context, send: Send) {
    super(send);
    this.#envelope = envelopeOf(request, context);
    this.#includesUsage = request.stream_options?.include_usage === true;
    this.reader = readerOf(request, context, this);
  }

  text(text: string): void {
    this.#chunk([choiceOf(text, null)], null);
  }

  end({ reason, stopSequence, usage }: AnswerEnd): void {
    this.#chunk([choiceOf("", reason)], null);
    // What an answer cost that the relay cut itself nobody knows: no usage is better than a wrong one.
    if (this.#includesUsage && stopSequence === undefined) this.#chunk([], toChatUsage(usage));
    this.send(DONE);
  }

  // Thoughts and calls have no place here.
  thought(): void {}
  call(): void {}

  protected fail(error: RelayError): void {
    this.send({ data: openaiError(error) });
    this.send(DONE);
  }

  #chunk(choices: readonly object[], usage: object | null): void {
    this.send({ data: { ...this.#envelope, choices, ...(this.#includesUsage ? { usage } : {}) } });
  }
}

class CompletionBody extends AnswerBody implements PlainSink {
  protected readonly reader: AnswerReader;
  readonly #envelope: object;
  #text = "";
  #end: AnswerEnd | undefined;

  constructor(request: CompletionRequest, context: Context) {
    super();
    this.#envelope = envelopeOf(request, context);
    this.reader = readerOf(request, context, this);
  }

  text(text: string): void {
    this.#text += text;
  }

  end(end: AnswerEnd): void {
    this.#end = end;
  }

  thought(): void {}
  call(): void {}

  protected body(): unknown {
    const choices = [choiceOf(this.#text, this.#end?.reason ?? "stop")];
    return { ...this.#envelope, choices, usage: toChatUsage(this.#end?.usage) };
  }
}

function envelopeOf(request: CompletionRequest, context: Context) {
  const created = Math.floor(context.now / 1000);
  return { id: `cmpl-${context.id}`, object: "text_completion", created, model: request.model };
}

function choiceOf(text: string, reason: AnswerEnd["reason"] | null) {
  return { text, index: 0, logprobs: null, finish_reason: reason };
}
