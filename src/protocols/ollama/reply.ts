import type { AnswerReader } from "../../codex/output/answer.ts";
import type { AnswerEnd, AnswerOptions } from "../../codex/output/events.ts";
import { plainReader, type PlainCall, type PlainEvent } from "../../codex/output/plain-answer.ts";
import type { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import { AnswerBody, AnswerStream } from "../answer-reply.ts";
import type { Context, Send } from "../protocol.ts";
import { toError } from "./error.ts";
import { formatOf, renamedTools } from "./request.ts";
import type { OllamaChatRequest, OllamaRequest } from "./schema.ts";

/** Where a kind of request has the pieces of its answer. */
export interface Shape {
  /** `piece` is empty for the last line of a stream. */
  line(piece: Piece): JsonObject;
  /** What the end says beside what both kinds of request are told. */
  readonly end: JsonObject;
  /** Backend name → the client's own; only conversations have tools. */
  renamedTools(request: OllamaRequest): ReadonlyMap<string, string>;
}

/** A part of an answer, or all of it. */
export interface Piece {
  readonly text: string;
  readonly thinking?: string;
  readonly calls?: readonly JsonObject[];
}

export const CHAT: Shape = {
  line: ({ text, thinking, calls }) => ({
    message: {
      role: "assistant",
      content: text,
      ...(thinking ? { thinking } : {}),
      ...(calls && calls.length > 0 ? { tool_calls: calls } : {}),
    },
  }),
  end: {},
  renamedTools: (request) => renamedTools((request as OllamaChatRequest).tools ?? []),
};

export const GENERATE: Shape = {
  line: ({ text, thinking }) => ({ response: text, ...(thinking ? { thinking } : {}) }),
  // Older clients read it without asking, and send it back; there are no tokens here to go on from.
  end: { context: [] },
  renamedTools: () => new Map(),
};

/** What an answer is made for. */
export interface AnswerTo {
  readonly request: OllamaRequest;
  readonly context: Context;
  readonly shape: Shape;
  readonly options: AnswerOptions;
}

/** Whatever both forms of an answer say of themselves. */
class Answer {
  readonly isThinkingShown: boolean;
  /** As the client named it. */
  readonly #model: string;
  readonly #context: Context;
  readonly #names: ReadonlyMap<string, string>;
  readonly reader: AnswerReader;
  readonly #end: JsonObject;
  #calls = 0;
  #firstAtMs: number | undefined;

  constructor({ request, context, shape, options }: AnswerTo, emit: (event: PlainEvent) => void) {
    this.isThinkingShown = request.think !== false;
    this.#model = request.model;
    this.#context = context;
    this.#end = shape.end;
    this.#names = shape.renamedTools(request);
    const isJson = formatOf(request.format) !== undefined;
    this.reader = plainReader({ ...options, isJson }, emit);
  }

  /** Something of the answer has come. */
  notice(): void {
    this.#firstAtMs ??= this.#context.elapsedMs();
  }

  call({ id, name, arguments: values }: PlainCall): JsonObject {
    const index = this.#calls;
    this.#calls += 1;
    return { id, function: { index, name: this.#names.get(name) ?? name, arguments: values } };
  }

  head(): JsonObject {
    const createdAt = new Date(this.#context.now + this.#context.elapsedMs()).toISOString();
    return { model: this.#model, created_at: createdAt };
  }

  /** The end, with durations in nanoseconds. Nothing is loaded here, and the model's own timing is not known. */
  tail({ reason, usage }: AnswerEnd): JsonObject {
    const total = this.#context.elapsedMs();
    const first = this.#firstAtMs ?? total;
    return {
      done: true,
      done_reason: reason,
      ...this.#end,
      total_duration: nanoseconds(total),
      load_duration: 0,
      prompt_eval_count: usage?.input_tokens ?? 0,
      prompt_eval_duration: nanoseconds(first),
      eval_count: usage?.output_tokens ?? 0,
      eval_duration: nanoseconds(total - first),
    };
  }
}

function nanoseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1_000_000));
}

/** One JSON object a line. */
export class OllamaStream extends AnswerStream {
  protected readonly reader: AnswerReader;
  readonly #answer: Answer;
  readonly #shape: Shape;

  constructor(to: AnswerTo, send: Send) {
    super(send);
    this.#shape = to.shape;
    this.#answer = new Answer(to, (event) => this.#event(event));
    this.reader = this.#answer.reader;
  }

  #event(event: PlainEvent): void {
    switch (event.type) {
      case "text":
        this.#line({ text: event.text });
        break;
      case "reasoning":
        if (this.#answer.isThinkingShown) this.#line({ text: "", thinking: event.text });
        break;
      case "toolCall":
        this.#line({ text: "", calls: [this.#answer.call(event.call)] });
        break;
      case "finish":
        this.#end(event);
    }
  }

  #end(end: AnswerEnd): void {
    this.#answer.notice();
    this.send({ data: { ...this.#answer.head(), ...this.#shape.line({ text: "" }), ...this.#answer.tail(end) } });
  }

  protected fail(error: RelayError): void {
    this.send({ data: toError(error) });
  }

  #line(piece: Piece): void {
    this.#answer.notice();
    this.send({ data: { ...this.#answer.head(), ...this.#shape.line(piece), done: false } });
  }
}

/** The whole answer as one object. */
export class OllamaBody extends AnswerBody {
  protected readonly reader: AnswerReader;
  readonly #answer: Answer;
  readonly #shape: Shape;
  #text = "";
  #thinking = "";
  readonly #calls: JsonObject[] = [];
  #tail: JsonObject = {};

  constructor(to: AnswerTo) {
    super();
    this.#shape = to.shape;
    this.#answer = new Answer(to, (event) => this.#event(event));
    this.reader = this.#answer.reader;
  }

  #event(event: PlainEvent): void {
    if (event.type === "finish") {
      this.#tail = this.#answer.tail(event);
      return;
    }
    this.#answer.notice();
    if (event.type === "text") this.#text += event.text;
    else if (event.type === "toolCall") this.#calls.push(this.#answer.call(event.call));
    else if (this.#answer.isThinkingShown) this.#thinking += event.text;
  }

  protected body(): unknown {
    const whole = { text: this.#text, thinking: this.#thinking, calls: this.#calls };
    return { ...this.#answer.head(), ...this.#shape.line(whole), ...this.#tail };
  }
}
