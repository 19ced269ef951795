import { isObject, parseJson, type JsonObject } from "../../lib/json.ts";
import { AnswerReader } from "./answer.ts";
import type { AnswerCall } from "./calls.ts";
import type { AnswerPart } from "./parts.ts";
import type { AnswerEnd, AnswerOptions, AnswerSink } from "./answer-sink.ts";
import { ReasoningText } from "./reasoning-text.ts";

/** A tool call, whole. */
export interface PlainCall {
  readonly id: string;
  /** As the backend knows it. */
  readonly name: string;
  readonly arguments: JsonObject;
}

/** Where the pieces of a plain answer go. */
export interface PlainSink {
  text(text: string): void;
  thought(text: string): void;
  call(call: PlainCall): void;
  end(end: AnswerEnd): void;
}

/** A reader for dialects that know no more than text, thoughts and whole calls. */
export function plainReader(options: AnswerOptions, sink: PlainSink): AnswerReader {
  return new AnswerReader(options, new PlainAnswer(sink, options.isJson));
}

class PlainAnswer implements AnswerSink {
  readonly #sink: PlainSink;
  readonly #isJson: boolean;
  readonly #thoughts = new ReasoningText();
  readonly #json = new Map<AnswerCall, string>();
  #textSlot = -1;
  #separator = "";

  constructor(sink: PlainSink, isJson: boolean) {
    this.#sink = sink;
    this.#isJson = isJson;
  }

  /** Two messages of one answer are set apart. */
  turn({ slot }: AnswerPart): void {
    if (this.#textSlot >= 0 && this.#textSlot !== slot && !this.#isJson) this.#separator = "\n\n";
    this.#textSlot = slot;
  }

  text(text: string): void {
    this.#sink.text(this.#separator + text);
    this.#separator = "";
  }

  refusal(text: string): void {
    this.text(text);
  }

  thought(text: string, part: AnswerPart): void {
    this.#say(this.#thoughts.push(part, text));
  }

  thoughtEnd(): void {
    this.#say(this.#thoughts.flush());
  }

  callDelta(call: AnswerCall, text: string): void {
    this.#json.set(call, (this.#json.get(call) ?? "") + text);
  }

  callEnd(call: AnswerCall): void {
    const text = this.#json.get(call) ?? "";
    this.#sink.call({ id: call.id, name: call.name, arguments: call.isCustom ? { input: text } : objectIn(text) });
  }

  end(end: AnswerEnd): void {
    this.#sink.end(end);
  }

  begin(): void {}
  sealed(): void {}
  call(): void {}
  citation(): void {}
  hosted(): void {}

  #say(text: string): void {
    if (text !== "") this.#sink.thought(text);
  }
}

function objectIn(json: string): JsonObject {
  const value = parseJson(json);
  return isObject(value) ? value : {};
}
