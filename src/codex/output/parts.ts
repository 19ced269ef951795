import type { Annotation, CodexEvent } from "../wire/schema.ts";
import { KeptText, SentText, type Sent } from "./sent-text.ts";

/** Kinds of text that an output item is made of. */
export type PartKind = "text" | "refusal" | "summary" | "reasoning" | "arguments" | "input";

/** How the events of one kind of part are called, and where they say what. */
export interface PartEvents {
  /** Of the items that have such parts. */
  readonly itemType: string;
  readonly delta: CodexEvent["type"];
  readonly done: CodexEvent["type"];
  /** The whole text in the `done` event, and in the part itself. */
  readonly field: "text" | "refusal" | "arguments" | "input";
  /** What else the public schema requires of its events and of itself, as it is when nobody asked for it. */
  readonly required?: Readonly<Record<string, unknown>>;
  /** The part's position; undefined where an item has one such part. */
  readonly position?: "content_index" | "summary_index";
  /** The part's own type and events; undefined where it is the item itself. */
  readonly part?: { readonly type: string; readonly added: CodexEvent["type"]; readonly done: CodexEvent["type"] };
}

const CONTENT = { added: "response.content_part.added", done: "response.content_part.done" } as const;
const SUMMARY = {
  added: "response.reasoning_summary_part.added",
  done: "response.reasoning_summary_part.done",
} as const;

export const PARTS: Readonly<Record<PartKind, PartEvents>> = {
  text: {
    itemType: "message",
    delta: "response.output_text.delta",
    done: "response.output_text.done",
    field: "text",
    position: "content_index",
    part: { type: "output_text", ...CONTENT },
    required: { logprobs: [] },
  },
  refusal: {
    itemType: "message",
    delta: "response.refusal.delta",
    done: "response.refusal.done",
    field: "refusal",
    position: "content_index",
    part: { type: "refusal", ...CONTENT },
  },
  summary: {
    itemType: "reasoning",
    delta: "response.reasoning_summary_text.delta",
    done: "response.reasoning_summary_text.done",
    field: "text",
    position: "summary_index",
    part: { type: "summary_text", ...SUMMARY },
  },
  reasoning: {
    itemType: "reasoning",
    delta: "response.reasoning_text.delta",
    done: "response.reasoning_text.done",
    field: "text",
    position: "content_index",
    part: { type: "reasoning_text", ...CONTENT },
  },
  arguments: {
    itemType: "function_call",
    delta: "response.function_call_arguments.delta",
    done: "response.function_call_arguments.done",
    field: "arguments",
  },
  input: {
    itemType: "custom_tool_call",
    delta: "response.custom_tool_call_input.delta",
    done: "response.custom_tool_call_input.done",
    field: "input",
  },
};

/** Parts of an item's content and of its summary are counted apart. */
export type PartList = "content" | "summary";

const FIRST: Readonly<Record<PartList, string>> = { content: "content/0", summary: "summary/0" };

/** Names a part within its item. Most items have one part, whose name is not put together for each event. */
export function partKey(list: PartList, position: number): string {
  return position === 0 ? FIRST[list] : `${list}/${position}`;
}

const KINDS = Object.keys(PARTS).filter((kind): kind is PartKind => Object.hasOwn(PARTS, kind));

/** Which kind of part a delta or its end is of, by the event's type. */
export const KIND_OF_DELTA: ReadonlyMap<string, PartKind> = new Map(KINDS.map((kind) => [PARTS[kind].delta, kind]));
export const KIND_OF_DONE: ReadonlyMap<string, PartKind> = new Map(KINDS.map((kind) => [PARTS[kind].done, kind]));

const KIND_OF_PART: ReadonlyMap<unknown, PartKind> = new Map(
  KINDS.flatMap((kind) => {
    const { part } = PARTS[kind];
    return part ? [[part.type, kind] as const] : [];
  }),
);

/** The kind of a content or summary part, by its own type; undefined for kinds that are newer than the relay. */
export function kindOfPart(type: unknown): PartKind | undefined {
  return KIND_OF_PART.get(type);
}

/** A part of an output item, and how much of it has been sent. */
export interface Part {
  readonly kind: PartKind;
  /** In the regular stream, without gaps. */
  readonly position: number;
  readonly sent: Sent;
  /** Its beginning has been sent. */
  isOpen: boolean;
  /** All of its text has been sent: a delta that comes after is a repetition. */
  isWhole: boolean;
  /** The end of its text has been sent. */
  isTextDone: boolean;
  /** Its own end has been sent. */
  isDone: boolean;
  /** Citations that have been sent. */
  readonly annotations: Map<string, Annotation>;
}

export function newPart(kind: PartKind, position: number, keepsText: boolean): Part {
  const sent = keepsText ? new KeptText() : new SentText();
  return {
    kind,
    position,
    sent,
    isOpen: false,
    isWhole: false,
    isTextDone: false,
    isDone: false,
    annotations: new Map(),
  };
}
