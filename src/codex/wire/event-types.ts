/** What the relay knows of an event by its type. */
interface EventType {
  /** One of the many deltas, whose text is usually needed only to be forwarded; everything else is parsed on arrival. */
  readonly isBulkDelta?: true;
  /** Carries no output yet: the status line is still held while only such events have come. */
  readonly isPreamble?: true;
  /** Upstream sends nothing more for this reply after it; as an answer, if only a short one, or as a failure. */
  readonly end?: "answer" | "failure";
  /** The object without which it means nothing. */
  readonly carries?: "item" | "part" | "annotation";
  /** No event of the public API: SDKs throw on types that they do not know. */
  readonly isPrivate?: true;
}

const TYPES: Readonly<Record<string, EventType | undefined>> = {
  "response.created": { isPreamble: true },
  "response.in_progress": { isPreamble: true },
  "response.queued": { isPreamble: true },
  "response.completed": { end: "answer" },
  "response.done": { end: "answer", isPrivate: true },
  "response.incomplete": { end: "answer" },
  "response.failed": { end: "failure" },
  "response.cancelled": { end: "failure", isPrivate: true },
  error: { end: "failure" },
  "response.output_item.added": { carries: "item" },
  "response.output_item.done": { carries: "item" },
  "response.content_part.added": {},
  "response.content_part.done": { carries: "part" },
  "response.output_text.delta": { isBulkDelta: true },
  "response.output_text.done": {},
  "response.output_text.annotation.added": { carries: "annotation" },
  "response.refusal.delta": {},
  "response.refusal.done": {},
  "response.reasoning_summary_part.added": {},
  "response.reasoning_summary_part.done": {},
  "response.reasoning_summary_text.delta": { isBulkDelta: true },
  "response.reasoning_summary_text.done": {},
  "response.reasoning_text.delta": { isBulkDelta: true },
  "response.reasoning_text.done": {},
  "response.function_call_arguments.delta": { isBulkDelta: true },
  "response.function_call_arguments.done": {},
  "response.custom_tool_call_input.delta": { isBulkDelta: true },
  "response.custom_tool_call_input.done": {},
  "response.metadata": { isPreamble: true, isPrivate: true },
  keepalive: { isPreamble: true, isPrivate: true },
  "codex.rate_limits": { isPreamble: true, isPrivate: true },
};
// Without a prototype, `constructor` and the like are no types.
Object.setPrototypeOf(TYPES, null);

/** What deltas that come in numbers are called at the end. */
const BULK_END = ".delta";

/** Hosted tools and other families of the public API: the relay passes them on without reading them. */
const PUBLIC_FAMILY =
  /^response\.(web_search_call|image_generation_call|file_search_call|code_interpreter_call|code_interpreter_call_code|mcp_[a-z_]+|shell_call_[a-z_]+|audio|audio\.transcript|compaction)\.[a-z_]+$/;

function of(type: string): EventType | undefined {
  return TYPES[type];
}

/** False for types that the relay has never heard of. They end no stream, but whoever keeps the relay wants to know. */
export function isKnownEvent(type: string): boolean {
  return of(type) !== undefined || PUBLIC_FAMILY.test(type);
}

/** True for events of the public API. */
export function isPublicEvent(type: string): boolean {
  const known = of(type);
  return known ? !known.isPrivate : PUBLIC_FAMILY.test(type);
}

export function isBulkDelta(type: string): boolean {
  return of(type)?.isBulkDelta === true;
}

/** Whether the name in `text[from..to]` is that of a bulk delta; told from most others without a copy of it. */
export function isBulkDeltaAt(text: string, from: number, to: number): boolean {
  return text.startsWith(BULK_END, to - BULK_END.length) && isBulkDelta(text.slice(from, to));
}

/** Events that carry no output yet: the status line is still held while only these have come. */
export function isPreamble(type: string): boolean {
  return of(type)?.isPreamble ?? type.startsWith("codex.");
}

/** Events after which upstream sends nothing more for this reply. */
export function isTerminal(type: string): boolean {
  return of(type)?.end !== undefined;
}

/** Terminal events that mean failure. `response.incomplete` is an answer, only a short one. */
export function isFailure(type: string): boolean {
  return of(type)?.end === "failure";
}

/** The object without which an event means nothing. */
export function carriedBy(type: string): "item" | "part" | "annotation" | undefined {
  return of(type)?.carries;
}
