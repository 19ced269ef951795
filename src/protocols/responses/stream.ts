import { foldQuietly, ResponseAssembler } from "../../codex/output/assemble.ts";
import type { DeltaRun } from "../../codex/wire/delta-run.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import type { CodexEvent, OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import { responseOf } from "../../codex/wire/lenient.ts";
import { isTerminal, type WireEvent } from "../../codex/wire/event.ts";
import { RelayError } from "../../lib/errors.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { eventFrame } from "../../lib/sse.ts";
import type { ClientStream, Context } from "../protocol.ts";
import { Announcer, frameOf } from "./announcer.ts";
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
    if (!wire.isBulk) this.isDone = isTerminal(wire.type) && wire.type !== "error";
    return wire.frame;
  }

  /** The CLI recognises a stream without a terminal event and asks again by itself. */
  onEnd(): string {
    this.isDone = true;
    return "";
  }

  onFailure(error: RelayError): string {
    this.isDone = true;
    return eventFrame("error", JSON.stringify({ type: "error", ...openaiError(error) }));
  }
}

/**
 * For SDKs: upstream's bytes untouched but for what makes them throw. A first `response.created`, one id throughout, no
 * private events, items announced before their deltas, and a terminal event that holds the whole output.
 */
export class SafeStream implements ClientStream {
  isDone = false;
  readonly #request: ResponsesRequest;
  readonly #context: Context;
  readonly #accumulator = new ResponseAssembler();
  readonly #announcer = new Announcer();
  /** Of the last delta, if it was sent as it came. */
  #run: DeltaRun | undefined;
  /** Deltas of items that are not done yet, by item: only a stream without `done` events needs them again. */
  readonly #undone = new Map<number | string | undefined, WireEvent[]>();
  /** Those of the last delta's item. */
  #undoneOfItem: WireEvent[] = [];
  /** Of the `response.created` that was sent. */
  #id: string | undefined;

  constructor(request: ResponsesRequest, context: Context) {
    this.#request = request;
    this.#context = context;
  }

  /** An event that is mangled is lost, no more; without its end the reply was cut off. */
  onEvent(wire: WireEvent): string {
    try {
      if (wire.isBulk) return this.#delta(wire);
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
    if (LIFECYCLE.test(wire.type)) return this.#lifecycle(wire);
    if (wire.type.endsWith(".done")) this.#forgetDeltas(wire.event);
    return this.#preamble() + this.#announcer.frames(wire);
  }

  onEnd(): string {
    if (!this.isDone) throw truncated();
    return "";
  }

  onFailure(error: RelayError): string {
    this.isDone = true;
    return this.#preamble() + eventFrame("error", JSON.stringify({ type: "error", ...openaiError(error) }));
  }

  /** SDKs take one beginning, and no other id than its own after it. */
  #lifecycle(wire: WireEvent): string {
    const response = responseOf(wire.event);
    const isCreated = wire.type === "response.created";
    if (isCreated && this.#id === undefined && response.id) {
      this.#id = response.id;
      return wire.frame;
    }
    const head = this.#preamble(response);
    return isCreated || response.id !== this.#id ? head : head + wire.frame;
  }

  /** Deltas are most of the traffic: the one that continues the last part passes without being parsed. */
  #delta(wire: WireEvent): string {
    if (wire.run && wire.run === this.#run) {
      this.#undoneOfItem.push(wire);
      return wire.frame;
    }
    const item = itemOf(wire.event);
    const frames = this.#preamble() + this.#announcer.frames(wire);
    this.#run = frames.endsWith(wire.frame) ? wire.run : undefined;
    this.#undoneOfItem = this.#undone.get(item) ?? [];
    this.#undone.set(item, this.#undoneOfItem);
    this.#undoneOfItem.push(wire);
    return frames;
  }

  /** What a `done` event says replaces the deltas before it. */
  #forgetDeltas(event: CodexEvent): void {
    const item = itemOf(event);
    if (item === undefined) return;
    this.#undone.delete(item);
    this.#run = undefined;
  }

  #preamble(known: ResponseObject = {}): string {
    if (this.#id !== undefined) return "";
    this.#id = known.id ?? `resp_${this.#context.id}`;
    const started = { ...known, id: this.#id, status: "in_progress" };
    const response = { ...completeResponse(started, this.#request, this.#context), output: [] };
    return eventFrame("response.created", JSON.stringify({ type: "response.created", sequence_number: 0, response }));
  }

  #terminal(wire: WireEvent): string {
    const failure = failureOf(wire, this.#context.now);
    // SDKs know of no other failing end than this one; all others become an error.
    if (failure && wire.type !== "response.failed") return this.onFailure(failure);
    const { event } = wire;
    const head = this.#preamble(responseOf(event));
    for (const deltas of this.#undone.values()) for (const delta of deltas) foldQuietly(this.#accumulator, delta);
    this.#accumulator.onEvent(wire);
    const response = { ...this.#accumulator.toResponse(), id: this.#id };
    const whole = completeResponse(response, this.#request, this.#context);
    this.isDone = true;
    remember(this.#request, this.#context, whole);
    return head + frameOf({ ...event, type: `response.${endOf(response)}`, response: whole } as CodexEvent);
  }
}

const LIFECYCLE = /^response\.(created|in_progress|queued)$/;

function endOf({ status }: ResponseObject): string {
  return status === "failed" || status === "incomplete" ? status : "completed";
}

/** The item that an event speaks of, by its position or else its id; undefined when it does not say. */
function itemOf(event: CodexEvent): number | string | undefined {
  if ("output_index" in event && typeof event.output_index === "number") return event.output_index;
  const id = "item" in event ? (event.item as OutputItem).id : "item_id" in event ? event.item_id : undefined;
  return typeof id === "string" && id !== "" ? id : undefined;
}
