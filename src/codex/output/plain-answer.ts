import { isObject, parseJson, type JsonObject } from "../../lib/json.ts";
import { AnswerReader } from "./answer.ts";
import type { AnswerCall, AnswerEnd, AnswerEvent, AnswerOptions, AnswerPart } from "./events.ts";
import { ReasoningText } from "./reasoning-text.ts";

/** A tool call, whole. */
export interface PlainCall {
  readonly id: string;
  /** As the backend knows it. */
  readonly name: string;
  readonly arguments: JsonObject;
}

/** What happens in an answer, for dialects that know no more than text, reasoning and whole calls. */
export type PlainEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "toolCall"; readonly call: PlainCall }
  | ({ readonly type: "finish" } & AnswerEnd);

interface PlainOptions extends AnswerOptions {
  /** A parser gets the answer: nothing sets its messages apart. */
  readonly isJson: boolean;
}

/** A reader whose answer arrives as plain events. */
export function plainReader(options: PlainOptions, emit: (event: PlainEvent) => void): AnswerReader {
  const plain = new PlainAnswer(emit, options.isJson);
  return new AnswerReader(options, (event) => plain.onEvent(event));
}

class PlainAnswer {
  readonly #emit: (event: PlainEvent) => void;
  readonly #isJson: boolean;
  readonly #reasoning = new ReasoningText();
  /** Arguments of calls so far, as JSON. */
  readonly #arguments = new Map<AnswerCall, string>();
  #item = -1;
  #separator = "";

  constructor(emit: (event: PlainEvent) => void, isJson: boolean) {
    this.#emit = emit;
    this.#isJson = isJson;
  }

  onEvent(event: AnswerEvent): void {
    switch (event.type) {
      case "textStart":
        this.#startText(event.part);
        break;
      case "textDelta":
      case "refusalDelta":
        this.#emit({ type: "text", text: this.#separator + event.text });
        this.#separator = "";
        break;
      case "reasoningDelta":
        this.#think(this.#reasoning.push(event.part, event.text));
        break;
      case "reasoningEnd":
        this.#think(this.#reasoning.flush());
        break;
      case "toolCallDelta":
        this.#arguments.set(event.call, (this.#arguments.get(event.call) ?? "") + event.text);
        break;
      case "toolCallEnd":
        this.#call(event.call);
        break;
      case "finish":
        this.#emit(event);
        break;
      case "answerStart":
      case "toolCallStart":
      case "encryptedReasoning":
      case "annotation":
      case "hostedToolEnd":
    }
  }

  /** Two messages of one answer are set apart. */
  #startText({ index }: AnswerPart): void {
    if (this.#item >= 0 && this.#item !== index && !this.#isJson) this.#separator = "\n\n";
    this.#item = index;
  }

  #call(call: AnswerCall): void {
    const text = this.#arguments.get(call) ?? "";
    const values = call.isCustom ? { input: text } : objectIn(text);
    this.#emit({ type: "toolCall", call: { id: call.id, name: call.name, arguments: values } });
  }

  #think(text: string): void {
    if (text !== "") this.#emit({ type: "reasoning", text });
  }
}

function objectIn(json: string): JsonObject {
  const value = parseJson(json);
  return isObject(value) ? value : {};
}
