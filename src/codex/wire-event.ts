import { isObject } from "../lib/json.ts";
import type { CodexEvent } from "./schema.ts";

/** Type sniffing saves a JSON.parse for every delta that is only passed on. */
const TYPE_PREFIX = '{"type":"';

/** One upstream event: its type and data text at once, its parsed form only if somebody asks. */
export class WireEvent {
  readonly type: string;
  /** The JSON text as upstream sent it, on one line. */
  readonly data: string;
  #parsed: CodexEvent | undefined;

  private constructor(type: string, data: string, parsed: CodexEvent | undefined) {
    this.type = type;
    this.data = data;
    this.#parsed = parsed;
  }

  /** From an SSE data field. Undefined for anything that is not a JSON object with a `type` (such as `[DONE]`). */
  static from(field: string): WireEvent | undefined {
    // JSON may be split over several `data:` lines; passed on as it is, only the first would be read as data.
    const data = field.includes("\n") ? field.replaceAll("\n", " ") : field;
    if (data.startsWith(TYPE_PREFIX) && data.endsWith("}")) {
      const end = data.indexOf('"', TYPE_PREFIX.length);
      const type = data.slice(TYPE_PREFIX.length, end);
      if (end > 0 && /^[a-z_.]+$/.test(type) && PASSED_ON.has(type)) return new WireEvent(type, data, undefined);
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

  /** From an event object (tests, and events that the relay itself makes). */
  static of(event: CodexEvent): WireEvent {
    return new WireEvent(event.type, JSON.stringify(event), event);
  }

  /**
   * The parsed event. Trusted rather than validated: deltas are most of the traffic and a strict schema would refuse
   * tomorrow's fields. A test holds the schema against every recorded event. Throws SyntaxError on broken JSON.
   */
  get event(): CodexEvent {
    this.#parsed ??= JSON.parse(this.data) as CodexEvent;
    return this.#parsed;
  }
}

/** High-volume events whose text is usually needed only to be forwarded; everything else is parsed on arrival. */
const PASSED_ON = new Set([
  "response.output_text.delta",
  "response.reasoning_summary_text.delta",
  "response.reasoning_text.delta",
  "response.function_call_arguments.delta",
  "response.custom_tool_call_input.delta",
]);

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
