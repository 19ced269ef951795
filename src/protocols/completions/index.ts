import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerEnd, AnswerOptions } from "../../codex/output/events.ts";
import { plainReader, type PlainEvent } from "../../codex/output/plain-answer.ts";
import type { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { AnswerBody, answerOptions, AnswerStream, tokenLimit } from "../answer-reply.ts";
import { DONE } from "../openai-frames.ts";
import type { Context, Protocol, Send } from "../protocol.ts";
import { toChatUsage } from "../usage.ts";
import { parseRequest, stopSequences, toCodex, type CompletionRequest } from "./request.ts";

/** OpenAI's text completions of old: one prompt in, its answer as text out. */
export const completions: Protocol = {
  name: "completions",
  read(body, context) {
    const request = parseRequest(body);
    const translation = toCodex(request, context);
    const maxTokens = tokenLimit(request["max_tokens"]);
    const options = answerOptions(context, translation, { stopSequences: stopSequences(request), maxTokens });
    return {
      translation,
      isStreaming: request.stream === true,
      maxOutputTokens: maxTokens,
      stream: (send) => new CompletionStream(request, context, options(false), send),
      body: () => new CompletionBody(request, context, options(true)),
    };
  },
  streamFormat: "sse",
  toError: openaiError,
};

/** A reader of an answer's text and its end: reasoning and calls have no place here. */
function readerOf(
  options: AnswerOptions,
  onText: (text: string) => void,
  onEnd: (end: AnswerEnd) => void,
): AnswerReader {
  const onEvent = (event: PlainEvent) => {
    if (event.type === "text") onText(event.text);
    else if (event.type === "finish") onEnd(event);
  };
  return plainReader({ ...options, isJson: false }, onEvent);
}

class CompletionStream extends AnswerStream {
  protected readonly reader: AnswerReader;
  readonly #envelope: object;
  readonly #includesUsage: boolean;

  constructor(request: CompletionRequest, context: Context, options: AnswerOptions, send: Send) {
    super(send);
    this.#envelope = envelopeOf(request, context);
    this.#includesUsage = request.stream_options?.include_usage === true;
    const onText = (text: string) => this.#chunk([choiceOf(text, null)], null);
    this.reader = readerOf(options, onText, (end) => this.#end(end));
  }

  #end({ reason, usage }: AnswerEnd): void {
    this.#chunk([choiceOf("", reason)], null);
    if (this.#includesUsage) this.#chunk([], toChatUsage(usage));
    this.send(DONE);
  }

  protected fail(error: RelayError): void {
    this.send({ data: openaiError(error) });
    this.send(DONE);
  }

  #chunk(choices: readonly object[], usage: object | null): void {
    this.send({ data: { ...this.#envelope, choices, ...(this.#includesUsage ? { usage } : {}) } });
  }
}

class CompletionBody extends AnswerBody {
  protected readonly reader: AnswerReader;
  readonly #envelope: object;
  #text = "";
  #end: AnswerEnd | undefined;

  constructor(request: CompletionRequest, context: Context, options: AnswerOptions) {
    super();
    this.#envelope = envelopeOf(request, context);
    const onText = (text: string) => (this.#text += text);
    this.reader = readerOf(options, onText, (end) => (this.#end = end));
  }

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
