import { isObject } from "../../lib/json.ts";
import { sseText } from "../../lib/sse.ts";
import { BULK, type DeltaPlace, type DeltaRun } from "./delta-run.ts";
import type { CodexEvent } from "./schema.ts";

/** Type sniffing saves a JSON.parse for every delta that is only passed on. */
const TYPE_PREFIX = '{"type":"';

/** Of a frame, between the name and the data. */
const DATA_LINE = "\ndata: ";

/** One upstream event: its type and text at once, its parsed form only if somebody asks. */
export class WireEvent {
  readonly type: string;
  /** One of the many deltas, which nobody has parsed yet. */
  readonly isBulk: boolean;
  /** Of a delta: two with the same run are of the same part of the answer. */
  readonly run: DeltaRun | undefined;
  #data: string | undefined;
  /** As upstream wrote it; undefined where only the data is known. */
  #frame: string | undefined;
  /** Of a run's delta, as JSON without its quotes. */
  #delta: string | undefined;
  #parsed: CodexEvent | undefined;

  private constructor(type: string, data: string | undefined, parsed?: CodexEvent, run?: DeltaRun) {
    this.type = type;
    this.isBulk = parsed === undefined;
    this.run = run;
    this.#data = data;
    this.#parsed = parsed;
  }

  /** From an SSE data field. Undefined for anything that is not a JSON object with a `type` (such as `[DONE]`). */
  static from(field: string): WireEvent | undefined {
    // JSON may be split over several `data:` lines; passed on as it is, only the first would be read as data.
    const data = field.includes("\n") ? field.replaceAll("\n", " ") : field;
    if (data.startsWith(TYPE_PREFIX) && data.endsWith("}")) {
      const end = data.indexOf('"', TYPE_PREFIX.length);
      const type = data.slice(TYPE_PREFIX.length, end);
      if (end > 0 && BULK.has(type)) return new WireEvent(type, data);
    }
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      return undefined;
    }
    return isObject(value) && typeof value["type"] === "string"
      ? new WireEvent(value["type"], data, value as CodexEvent)
      : undefined;
  }

  /** From the frame at `at`, whose delta was found by its run. */
  static ofRun(run: DeltaRun, text: string, at: number, { from, to, end }: DeltaPlace): WireEvent {
    const wire = new WireEvent(run.event.type, undefined, undefined, run);
    wire.#frame = text.slice(at, end);
    wire.#delta = text.slice(from, to);
    return wire;
  }

  /** From an event object (tests, and events that the relay itself makes). */
  static of(event: CodexEvent): WireEvent {
    return new WireEvent(event.type, JSON.stringify(event), event);
  }

  /** The JSON text as upstream sent it, on one line. */
  get data(): string {
    return (this.#data ??= dataOf(this.#frame ?? ""));
  }

  /** The event as a stream has it: `event:` line, `data:` line, blank line. */
  get sse(): string {
    return this.#frame ?? sseText(this.type, this.data);
  }

  /**
   * The parsed event; of a run's deltas the text and whose it is, and no more. Trusted rather than validated: deltas are
   * most of the traffic and a strict schema would refuse tomorrow's fields. A test holds the schema against every
   * recorded event. Throws SyntaxError on broken JSON.
   */
  get event(): CodexEvent {
    return (this.#parsed ??= this.run ? this.#runEvent(this.run) : (JSON.parse(this.data) as CodexEvent));
  }

  #runEvent(run: DeltaRun): CodexEvent {
    const raw = this.#delta ?? "";
    const delta = raw.includes("\\") ? (JSON.parse(`"${raw}"`) as string) : raw;
    return { ...run.event, delta };
  }
}

function dataOf(frame: string): string {
  return frame.slice(frame.indexOf(DATA_LINE) + DATA_LINE.length, -2);
}

/** Hosted tools and other families of the public API: the relay passes them on without reading them. */
const PUBLIC_FAMILY =
  /^response\.(web_search_call|image_generation_call|file_search_call|code_interpreter_call|code_interpreter_call_code|mcp_[a-z_]+|shell_call_[a-z_]+|audio|audio\.transcript|compaction)\.[a-z_]+$/;

const KNOWN = new Set(
  [
    "created in_progress queued completed done incomplete failed cancelled metadata",
    "output_item.added output_item.done content_part.added content_part.done",
    "output_text.delta output_text.done output_text.annotation.added refusal.delta refusal.done",
    "reasoning_summary_part.added reasoning_summary_part.done",
    "reasoning_summary_text.delta reasoning_summary_text.done reasoning_text.delta reasoning_text.done",
    "function_call_arguments.delta function_call_arguments.done",
    "custom_tool_call_input.delta custom_tool_call_input.done",
  ]
    .flatMap((names) => names.split(" "))
    .map((name) => `response.${name}`),
);

/** False for types that the relay has never heard of. They end no stream, but whoever keeps the relay wants to know. */
export function isKnownEvent(type: string): boolean {
  return (
    KNOWN.has(type) ||
    type === "error" ||
    type === "keepalive" ||
    type === "codex.rate_limits" ||
    PUBLIC_FAMILY.test(type)
  );
}

/** Events that carry no output yet: the status line is still held while only these have come. */
export function isPreamble(type: string): boolean {
  return (
    type === "response.created" ||
    type === "response.in_progress" ||
    type === "response.queued" ||
    type === "response.metadata" ||
    type === "keepalive" ||
    type.startsWith("codex.")
  );
}

/** Events after which upstream sends nothing more for this reply. */
export function isTerminal(type: string): boolean {
  return (
    type === "response.completed" ||
    type === "response.done" ||
    type === "response.incomplete" ||
    type === "response.failed" ||
    type === "response.cancelled" ||
    type === "error"
  );
}

/** Terminal events that mean failure. `response.incomplete` is an answer, only a short one. */
export function isFailure(type: string): boolean {
  return type === "response.failed" || type === "response.cancelled" || type === "error";
}
