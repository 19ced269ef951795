import { foldQuietly, ResponseAccumulator } from "../../codex/accumulate.ts";
import { eventFailure, truncated } from "../../codex/failure.ts";
import type { CodexEvent, OutputItem, ResponseObject } from "../../codex/schema.ts";
import { isTerminal, type WireEvent } from "../../codex/wire-event.ts";
import { RelayError } from "../../lib/errors.ts";
import { eventFrame } from "../../lib/sse.ts";
import type { ClientStream, Context } from "../protocol.ts";
import { toError } from "./error.ts";
import { remember } from "./history.ts";
import { completeResponse } from "./response.ts";
import type { ResponsesRequest } from "./schema.ts";

/** Event families of the public API. The SDK's stream helper throws on types that it does not know. */
const PUBLIC_EVENT =
  /^response\.(created|in_progress|queued|output_item\.|content_part\.|output_text\.|refusal\.|reasoning_|function_call_arguments\.|custom_tool_call_input\.|web_search_call\.|image_generation_call\.|file_search_call\.|code_interpreter_call|mcp_|audio\.|compaction\.|shell_call_)/;

/** For Codex clients: every event exactly as it came, failures included. */
export class VerbatimStream implements ClientStream {
  isDone = false;

  onEvent(wire: WireEvent): string {
    this.isDone = isTerminal(wire.type) && wire.type !== "error";
    return eventFrame(wire.type, wire.data);
  }

  /** The CLI recognises a stream without a terminal event and asks again by itself. */
  onEnd(): string {
    this.isDone = true;
    return "";
  }

  onFailure(error: RelayError): string {
    this.isDone = true;
    return eventFrame("error", JSON.stringify({ type: "error", ...toError(error) }));
  }
}

/**
 * For SDKs: upstream's bytes untouched but for what makes them throw. A first `response.created`, no private events,
 * items announced before their deltas, and a terminal event that holds the whole output.
 */
export class SafeStream implements ClientStream {
  isDone = false;
  readonly #request: ResponsesRequest;
  readonly #context: Context;
  readonly #accumulator = new ResponseAccumulator();
  /** What SDKs have been told of: `output_index`, and `output_index/content_index`. */
  readonly #announced = new Set<string>();
  #lastItem = "";
  /** Deltas of items that are not done yet, kept unparsed: only a stream without `done` events needs them again. */
  #undone: WireEvent[] = [];
  #isCreated = false;

  constructor(request: ResponsesRequest, context: Context) {
    this.#request = request;
    this.#context = context;
  }

  /** An event that is mangled is lost, no more; without its end the reply was cut off. */
  onEvent(wire: WireEvent): string {
    try {
      return isTerminal(wire.type) ? this.#terminal(wire) : this.#ordinary(wire);
    } catch (thrown) {
      if (thrown instanceof RelayError) throw thrown;
      if (isTerminal(wire.type)) throw truncated(thrown);
      return "";
    }
  }

  #ordinary(wire: WireEvent): string {
    if (!PUBLIC_EVENT.test(wire.type)) return "";
    if (wire.type.endsWith(".delta")) return this.#delta(wire);
    this.#accumulator.onEvent(wire);
    if (wire.type === "response.created") {
      if (this.#isCreated) return "";
      this.#isCreated = true;
      return eventFrame(wire.type, wire.data);
    }
    if (wire.type === "response.output_item.done" || wire.type === "response.output_text.done")
      this.#forgetDeltas(wire.event);
    return this.#preamble(wire) + this.#announcement(wire.event) + eventFrame(wire.type, wire.data);
  }

  onEnd(): string {
    if (!this.isDone) throw truncated();
    return "";
  }

  onFailure(error: RelayError): string {
    this.isDone = true;
    const head = this.#isCreated ? "" : this.#created({ id: `resp_${this.#context.id}` });
    this.#isCreated = true;
    return head + eventFrame("error", JSON.stringify({ type: "error", ...toError(error) }));
  }

  /** Deltas are most of the traffic: the one that continues the last item passes without being parsed. */
  #delta(wire: WireEvent): string {
    this.#undone.push(wire);
    if (this.#lastItem !== "" && wire.data.includes(this.#lastItem)) return eventFrame(wire.type, wire.data);
    const { event } = wire;
    const head = this.#preamble(wire) + this.#announcement(event);
    const itemId = "item_id" in event && event.item_id ? event.item_id : undefined;
    // Only one content part a message is the rule; a second one is announced before its first delta anyway.
    this.#lastItem = itemId === undefined ? "" : `"item_id":${JSON.stringify(itemId)}`;
    return head + eventFrame(wire.type, wire.data);
  }

  /** What an item's own `done` event says replaces its deltas. */
  #forgetDeltas(event: CodexEvent): void {
    const id = event.type === "response.output_item.done" ? event.item.id : "item_id" in event ? event.item_id : "";
    const mark = `"item_id":${JSON.stringify(id ?? "")}`;
    this.#undone = this.#undone.filter((delta) => !delta.data.includes(mark));
  }

  #preamble(wire: WireEvent): string {
    if (this.#isCreated) return "";
    this.#isCreated = true;
    const { event } = wire;
    return this.#created("response" in event ? (event.response as ResponseObject) : { id: `resp_${this.#context.id}` });
  }

  #created(response: ResponseObject): string {
    const started = { ...completeResponse({ ...response, status: "in_progress" }, this.#request, this.#context) };
    started["output"] = [];
    return eventFrame(
      "response.created",
      JSON.stringify({ type: "response.created", sequence_number: 0, response: started }),
    );
  }

  /** Events that upstream left out: the item, and its content part, that this event belongs to. */
  #announcement(event: CodexEvent): string {
    if (!("output_index" in event) || typeof event.output_index !== "number") return "";
    const index: number = event.output_index;
    if (event.type === "response.output_item.added") {
      this.#announced.add(String(index));
      return "";
    }
    let frames = "";
    if (!this.#announced.has(String(index))) {
      this.#announced.add(String(index));
      frames += frameOf({ type: "response.output_item.added", output_index: index, item: emptyItem(event, index) });
    }
    if (!("content_index" in event) || typeof event.content_index !== "number") return frames;
    const part = `${index}/${event.content_index}`;
    if (this.#announced.has(part)) return frames;
    this.#announced.add(part);
    if (event.type === "response.content_part.added" || event.type.startsWith("response.reasoning_text")) return frames;
    return (
      frames +
      frameOf({
        type: "response.content_part.added",
        output_index: index,
        item_id: "item_id" in event && typeof event.item_id === "string" ? event.item_id : `msg_${index}`,
        content_index: event.content_index,
        part: event.type.startsWith("response.refusal")
          ? { type: "refusal", refusal: "" }
          : { type: "output_text", text: "", annotations: [] },
      })
    );
  }

  #terminal(wire: WireEvent): string {
    const head = wire.type === "error" ? "" : this.#preamble(wire);
    for (const delta of this.#undone) foldQuietly(this.#accumulator, delta);
    this.#accumulator.onEvent(wire);
    const { event } = wire;
    if (event.type === "error") return this.onFailure(eventFailure(event, this.#context.now));
    const response = this.#accumulator.toResponse() ?? {};
    const type = event.type === "response.done" ? "response.completed" : event.type;
    const whole = completeResponse(response, this.#request, this.#context);
    const sent = { ...event, type, response: whole };
    const frame = eventFrame(type, JSON.stringify(sent));
    this.isDone = true;
    remember(this.#request, this.#context, whole);
    return head + frame;
  }
}

function frameOf(event: CodexEvent): string {
  return eventFrame(event.type, JSON.stringify(event));
}

/** A stand-in for an item whose announcement upstream left out. */
function emptyItem(event: CodexEvent, index: number): OutputItem {
  if (event.type === "response.output_item.done") {
    const { item } = event;
    if (item.type === "function_call") return { ...item, status: "in_progress", arguments: "" };
    if (item.type === "custom_tool_call") return { ...item, status: "in_progress", input: "" };
    return { ...item, status: "in_progress", ...(item.type === "message" ? { content: [] } : {}) };
  }
  const id = "item_id" in event && typeof event.item_id === "string" ? event.item_id : `item_${index}`;
  if (event.type.startsWith("response.reasoning")) return { type: "reasoning", id, summary: [] };
  return { type: "message", id, role: "assistant", status: "in_progress", content: [] };
}
