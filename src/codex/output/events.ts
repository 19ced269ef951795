import type { OutputLimit } from "./output-limit.ts";
import type { ReasoningMemory } from "../reasoning-store.ts";
import type { Annotation, OutputItem, ResponseObject, Usage } from "../wire/schema.ts";

/** How an answer is read. */
export interface AnswerOptions {
  /** The backend has none: the answer is cut here. */
  readonly stopSequences: readonly string[];
  readonly memory: ReasoningMemory;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Of the answer, in tokens; the backend takes no limit, so the answer is cut here. */
  readonly limit: OutputLimit | undefined;
  /** What the question costs, by estimate; 0 where the answer cannot be cut here. */
  readonly inputTokens: number;
  /** The answer is not streamed: text whose phase is not known yet can wait for it. */
  readonly isWhole: boolean;
}

/** A part of an output item: of its text, its summary or its reasoning. One object for all events of it. */
export interface AnswerPart {
  /** The item's `output_index`. */
  readonly index: number;
  /** The item's id. */
  readonly id: string;
  /** Among the parts of its kind in the item. */
  readonly position: number;
}

/** A tool call of an answer. One object for all events of it. */
export interface AnswerCall {
  /** Position among the calls of the answer, from 0 without gaps. */
  readonly index: number;
  readonly id: string;
  /** As the backend knows it. */
  readonly name: string;
  /** Takes free text as its input instead of arguments as JSON. */
  readonly isCustom: boolean;
}

/**
 * What happens in an answer, for every dialect that rebuilds it; failures are thrown as RelayError. `answerStart` comes
 * first and `finish` last; between them nothing is told twice, and text that was held back for a stop sequence comes
 * before whatever follows it.
 */
export type AnswerEvent =
  /** `response` is empty when upstream has not announced any. */
  | { readonly type: "answerStart"; readonly response: ResponseObject }
  /** From now on text and refusals are of this part, whether or not any of it can be shown yet. */
  | { readonly type: "textStart"; readonly part: AnswerPart }
  | { readonly type: "textDelta"; readonly part: AnswerPart; readonly text: string }
  | { readonly type: "refusalDelta"; readonly part: AnswerPart; readonly text: string }
  | { readonly type: "annotation"; readonly part: AnswerPart; readonly annotation: Annotation }
  /** More of what the model thinks, or of what it says on the way to its answer. */
  | { readonly type: "reasoningDelta"; readonly part: AnswerPart; readonly text: string }
  /** No more of that part comes for now. */
  | { readonly type: "reasoningEnd"; readonly part: AnswerPart }
  /** A reasoning item has ended, and this is its encrypted form. */
  | { readonly type: "encryptedReasoning"; readonly index: number; readonly id: string; readonly content: string }
  | { readonly type: "toolCallStart"; readonly call: AnswerCall }
  /** More of a call's arguments, or of its input if it is a custom one. */
  | { readonly type: "toolCallDelta"; readonly call: AnswerCall; readonly text: string }
  /** A call is whole. Those that were cut short never are. */
  | { readonly type: "toolCallEnd"; readonly call: AnswerCall }
  /** An item of a hosted tool has ended. */
  | { readonly type: "hostedToolEnd"; readonly index: number; readonly item: OutputItem }
  | ({ readonly type: "finish" } & AnswerEnd);

/** How an answer ended. */
export interface AnswerEnd {
  /** An incomplete answer is never a success, whatever it holds and whether or not it says why. */
  readonly reason: "stop" | "length" | "content_filter";
  /** The stop sequence at which the relay cut the answer itself. */
  readonly stopSequence: string | undefined;
  /** Undefined where nobody knows what the answer cost. */
  readonly usage: Usage | undefined;
  readonly serviceTier: string | undefined;
}
