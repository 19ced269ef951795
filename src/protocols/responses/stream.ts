import { foldQuietly, ResponseAssembler } from "../../codex/output/assemble.ts";
import type { DeltaRun } from "../../codex/wire/delta-run.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import type { CodexEvent, OutputItem, ResponseObject } from "../../codex/wire/schema.ts";
import { responseOf } from "../../codex/wire/lenient.ts";
import { isTerminal, type WireEvent } from "../../codex/wire/event.ts";
import { RelayError } from "../../lib/errors.ts";
import type { ClientStream, Context, Send } from "../protocol.ts";
import { errorFrame, frameOf } from "../responses-frames.ts";
import { Announcer } from "./announcer.ts";
import { remember } from "./history.ts";
import { completeResponse } from "./response.ts";
import type { ResponsesRequest } from "./schema.ts";

/** Event families of the public API. The SDK's stream helper throws on types that it does not know. */
const PUBLIC_EVENT =
  /^response\.(created|in_progress|queued|output_item\.|content_part\.|output_text\.|refusal\.|reasoning_|function_call_arguments\.|custom_tool_call_input\.|web_search_call\.|image_generation_call\.|file_search_call\.|code_interpreter_call|mcp_|audio\.|compaction\.|shell_call_)/;

/** For Codex clients: every event exactly as it came, failures included. */
export class VerbatimStream implements ClientStream {
  isDone = false;
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  onEvent(wire: WireEvent): void {
    if (!wire.isBulk) this.isDone = isTerminal(wire.type) && wire.type !== "error";
    this.#send(wire);
  }

  /** The CLI recognises a stream without a terminal event and asks again by itself. */
  onEnd(): void {
    this.isDone = true;
  }

  onFailure(error: RelayError): void {
    this.isDone = true;
    this.#send(errorFrame(error));
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
  readonly #send: Send;
  readonly #accumulator = new ResponseAssembler();
  readonly #announcer: Announcer;
  /** Of the last delta, if it was sent as it came. */
  #run: DeltaRun | undefined;
  /** Deltas of items that are not done yet, by item: only a stream without `done` events needs them again. */
  readonly #undone = new Map<number | string | undefined, WireEvent[]>();
  /** Those of the last delta's item. */
  #undoneOfItem: WireEvent[] = [];
  /** Of the `response.created` that was sent. */
  #id: string | undefined;

  constructor(request: ResponsesRequest, context: Context, send: Send) {
    this.#request = request;
    this.#context = context;
    this.#send = send;
    this.#announcer = new Announcer(send);
  }

  /** An event that is mangled is lost, no more; without its end the reply was cut off. */
  onEvent(wire: WireEvent): void {
    try {
      if (wire.isBulk) this.#delta(wire);
      else if (isTerminal(wire.type)) this.#terminal(wire);
      else this.#ordinary(wire);
    } catch (thrown) {
      if (thrown instanceof RelayError) throw thrown;
      if (isTerminal(wire.type)) throw truncated(thrown);
    }
  }

  #ordinary(wire: WireEvent): void {
    if (!PUBLIC_EVENT.test(wire.type)) return;
    if (wire.type.endsWith(".delta")) return this.#delta(wire);
    this.#accumulator.onEvent(wire);
    if (LIFECYCLE.test(wire.type)) return this.#lifecycle(wire);
    if (wire.type.endsWith(".done")) this.#forgetDeltas(wire.event);
    this.#begin();
    this.#announcer.pass(wire);
  }

  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  onFailure(error: RelayError): void {
    this.isDone = true;
    this.#begin();
    this.#send(errorFrame(error));
  }

  /** SDKs take one beginning, and no other id than its own after it. */
  #lifecycle(wire: WireEvent): void {
    const response = responseOf(wire.event);
    const isCreated = wire.type === "response.created";
    if (isCreated && this.#id === undefined && response.id) {
      this.#id = response.id;
      this.#send(wire);
      return;
    }
    this.#begin(response);
    if (!isCreated && response.id === this.#id) this.#send(wire);
  }

  /** Deltas are most of the traffic: the one that continues the last part passes without being parsed. */
  #delta(wire: WireEvent): void {
    if (wire.run && wire.run === this.#run) {
      this.#undoneOfItem.push(wire);
      this.#send(wire);
      return;
    }
    const item = itemOf(wire.event);
    this.#begin();
    this.#run = this.#announcer.pass(wire) ? wire.run : undefined;
    this.#undoneOfItem = this.#undone.get(item) ?? [];
    this.#undone.set(item, this.#undoneOfItem);
    this.#undoneOfItem.push(wire);
  }

  /** What a `done` event says replaces the deltas before it. */
  #forgetDeltas(event: CodexEvent): void {
    const item = itemOf(event);
    if (item === undefined) return;
    this.#undone.delete(item);
    this.#run = undefined;
  }

  #begin(known: ResponseObject = {}): void {
    if (this.#id !== undefined) return;
    this.#id = known.id ?? `resp_${this.#context.id}`;
    const started = { ...known, id: this.#id, status: "in_progress" };
    const response = { ...completeResponse(started, this.#request, this.#context), output: [] };
    this.#send(frameOf({ type: "response.created", sequence_number: 0, response }));
  }

  #terminal(wire: WireEvent): void {
    const failure = failureOf(wire, this.#context.now);
    // SDKs know of no other failing end than this one; all others become an error.
    if (failure && wire.type !== "response.failed") return this.onFailure(failure);
    const { event } = wire;
    this.#begin(responseOf(event));
    for (const deltas of this.#undone.values()) for (const delta of deltas) foldQuietly(this.#accumulator, delta);
    this.#accumulator.onEvent(wire);
    const response = { ...this.#accumulator.toResponse(), id: this.#id };
    const whole = completeResponse(response, this.#request, this.#context);
    this.isDone = true;
    remember(this.#request, this.#context, whole);
    this.#send(frameOf({ ...event, type: `response.${endOf(response)}`, response: whole }));
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
