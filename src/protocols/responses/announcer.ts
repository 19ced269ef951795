import type { CodexEvent, OutputItem } from "../../codex/wire/schema.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import type { Send } from "../protocol.ts";
import { frameOf } from "../responses-frames.ts";

/** Pieces of a call. Who is called, and by what id, only its announcement or its end can say. */
const CALL_PIECE = /^response\.(function_call_arguments|custom_tool_call_input)\./;

/** A hosted call's progress: `response.web_search_call.searching`. */
const HOSTED_CALL = /^response\.([a-z_]+_call)[._]/;

/**
 * Tells SDKs of the items and parts that upstream begins without a word, and of none twice: they throw on a piece of
 * something that they do not know, and on a second beginning.
 */
export class Announcer {
  /** `output_index`, and `output_index/part`. */
  readonly #told = new Set<string>();
  /** Pieces of calls that nobody has announced yet. */
  readonly #held = new Map<number, WireEvent[]>();
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  /** Sends the event after the announcements that it needs. False when it was sent before or has to wait. */
  pass(wire: WireEvent): boolean {
    const { event } = wire;
    if (!("output_index" in event) || typeof event.output_index !== "number") return this.#sent(wire);
    const index: number = event.output_index;
    if (event.type === "response.output_item.added") {
      if (!this.#isNew(String(index))) return false;
      this.#send(wire);
      this.#release(index);
      return true;
    }
    if (CALL_PIECE.test(event.type) && !this.#told.has(String(index))) {
      const held = this.#held.get(index);
      if (held) held.push(wire);
      else this.#held.set(index, [wire]);
      return false;
    }
    this.#item(event, index);
    this.#release(index);
    return this.#part(wire, event, index);
  }

  #sent(wire: WireEvent): true {
    this.#send(wire);
    return true;
  }

  #isNew(key: string): boolean {
    if (this.#told.has(key)) return false;
    this.#told.add(key);
    return true;
  }

  #release(index: number): void {
    for (const held of this.#held.get(index) ?? []) this.#send(held);
    this.#held.delete(index);
  }

  #item(event: CodexEvent, index: number): void {
    if (this.#told.has(String(index))) return;
    const item = emptyItem(event, index);
    if (!item) return;
    this.#told.add(String(index));
    this.#send(frameOf({ type: "response.output_item.added", output_index: index, item }));
  }

  /** The event, after the beginning of the part that it speaks of. */
  #part(wire: WireEvent, event: CodexEvent, index: number): boolean {
    const itemId = idOf(event, index);
    if ("summary_index" in event && typeof event.summary_index === "number") {
      const isNew = this.#isNew(`${index}/s${event.summary_index}`);
      if (event.type === "response.reasoning_summary_part.added") return isNew && this.#sent(wire);
      const part = { type: "summary_text", text: "" };
      const at = { output_index: index, item_id: itemId, summary_index: event.summary_index };
      if (isNew) this.#send(frameOf({ type: "response.reasoning_summary_part.added", ...at, part }));
      return this.#sent(wire);
    }
    if (!("content_index" in event) || typeof event.content_index !== "number") return this.#sent(wire);
    const isNew = this.#isNew(`${index}/${event.content_index}`);
    if (event.type === "response.content_part.added") return isNew && this.#sent(wire);
    const at = { output_index: index, item_id: itemId, content_index: event.content_index };
    if (isNew) this.#send(frameOf({ type: "response.content_part.added", ...at, part: emptyPart(event) }));
    return this.#sent(wire);
  }
}

function idOf(event: CodexEvent, index: number): string {
  return "item_id" in event && typeof event.item_id === "string" ? event.item_id : `msg_${index}`;
}

/** A stand-in for an item whose announcement upstream left out; undefined when the event does not tell its kind. */
function emptyItem(event: CodexEvent, index: number): OutputItem | undefined {
  if (event.type === "response.output_item.done") {
    const { item } = event;
    if (item.type === "function_call") return { ...item, status: "in_progress", arguments: "" };
    if (item.type === "custom_tool_call") return { ...item, status: "in_progress", input: "" };
    return { ...item, status: "in_progress", ...(item.type === "message" ? { content: [] } : {}) };
  }
  const id = idOf(event, index);
  const { type } = event;
  const isThought = type.startsWith("response.reasoning") || emptyPart(event).type === "reasoning_text";
  if (isThought) return { type: "reasoning", id, summary: [], content: [] };
  const hosted = HOSTED_CALL.exec(type)?.[1];
  if (hosted !== undefined) return { type: hosted, id, status: "in_progress" };
  if (!/^response\.(output_text|refusal|content_part)\./.test(type)) return undefined;
  return { type: "message", id, role: "assistant", status: "in_progress", content: [] };
}

function emptyPart(event: CodexEvent) {
  const type = "part" in event ? (event.part as { type: string }).type : event.type;
  if (/^(response\.)?refusal/.test(type)) return { type: "refusal", refusal: "" };
  if (/^(response\.)?reasoning_text/.test(type)) return { type: "reasoning_text", text: "" };
  return { type: "output_text", text: "", annotations: [] };
}
