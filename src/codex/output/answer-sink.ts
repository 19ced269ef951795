import type { AnswerCall } from "./calls.ts";
import type { AnswerPart } from "./parts.ts";
import type { ReasoningStore } from "../reasoning-store.ts";
import type { Annotation, OutputItem, ResponseObject, Usage } from "../wire/schema.ts";

/** How an answer is read. */
export interface AnswerOptions {
  /** The backend has none: the answer is cut here. */
  readonly stopSequences: readonly string[];
  /** A parser gets the answer alone; the model's remarks on the way to it are thoughts then. */
  readonly isJson: boolean;
  readonly memory: ReasoningStore;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** How an answer ended. */
export interface AnswerEnd {
  /** An incomplete answer is never a success, whatever it holds and whether or not it says why. */
  readonly reason: "stop" | "length" | "content_filter";
  /** The stop sequence at which the relay cut the answer itself. Nobody knows then what it cost. */
  readonly stopSequence: string | undefined;
  readonly usage: Usage | undefined;
  readonly serviceTier: string | undefined;
}

/**
 * Where the pieces of an answer go. `begin` comes first and `end` last; between them nothing is told twice, and text
 * that was held back for a stop sequence comes before whatever follows it.
 */
export interface AnswerSink {
  /** `response` is empty when upstream has not announced any. */
  begin(response: ResponseObject): void;
  /** From now on text and refusals belong to this part, whether or not any of it can be shown yet. */
  turn(part: AnswerPart): void;
  text(text: string): void;
  refusal(text: string): void;
  /** More of what the model thinks. */
  thought(text: string, part: AnswerPart): void;
  /** No more of that part comes for now. */
  thoughtEnd(part: AnswerPart): void;
  /** A reasoning item has ended, and this is its encrypted form. */
  sealed(encrypted: string, slot: number): void;
  call(call: AnswerCall): void;
  /** More of a call's arguments, or of its input if it is a custom one. */
  callDelta(call: AnswerCall, text: string): void;
  /** A call is whole. Those that were cut short never are. */
  callEnd(call: AnswerCall): void;
  citation(annotation: Annotation, part: AnswerPart): void;
  /** An item of a hosted tool has ended; it may be told again with the end of the answer. */
  hosted(item: OutputItem, slot: number): void;
  end(end: AnswerEnd): void;
}
