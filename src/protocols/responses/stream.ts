import { Normalizer } from "../../codex/output/normalize.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import { isPublicEvent, isTerminal } from "../../codex/wire/event-types.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import { responseOf } from "../../codex/wire/lenient.ts";
import type { ResponseObject } from "../../codex/wire/schema.ts";
import type { RelayError } from "../../lib/errors.ts";
import type { ClientStream, Context, Send } from "../protocol.ts";
import { errorFrame, frameOf } from "../responses-frames.ts";
import { remember } from "./history.ts";
import { completeResponse } from "./response.ts";
import type { ResponsesRequest } from "./schema.ts";

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
 * For SDKs: upstream's bytes as long as the stream is regular, without private events. One `response.created` comes
 * first, its id stays, and the last event holds the whole output.
 */
export class ResponsesStream implements ClientStream {
  readonly keepsAnswer = true;
  isDone = false;
  readonly #request: ResponsesRequest;
  readonly #context: Context;
  readonly #send: Send;
  readonly #normalizer = new Normalizer((event) => this.#regular(event), { keepsText: true });
  /** Of the `response.created` that was sent. */
  #id: string | undefined;

  constructor(request: ResponsesRequest, context: Context, send: Send) {
    this.#request = request;
    this.#context = context;
    this.#send = send;
  }

  onEvent(wire: WireEvent): void {
    const failure = wire.isBulk ? undefined : failureOf(wire, this.#context.now);
    // SDKs know of no other failing end than `response.failed`; all others become an error.
    if (failure && wire.type !== "response.failed") this.onFailure(failure);
    else this.#normalizer.onEvent(wire);
  }

  onEnd(): void {
    if (!this.isDone) throw truncated();
  }

  onFailure(error: RelayError): void {
    this.isDone = true;
    this.#begin();
    this.#send(errorFrame(error));
  }

  #regular(wire: WireEvent): void {
    if (wire.isBulk && this.#id !== undefined) this.#send(wire);
    else if (isTerminal(wire.type)) this.#end(wire);
    else if (LIFECYCLE.has(wire.type)) this.#lifecycle(wire);
    else if (isPublicEvent(wire.type)) {
      this.#begin();
      this.#send(wire);
    }
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

  #begin(known: ResponseObject = {}): void {
    if (this.#id !== undefined) return;
    this.#id = known.id ?? `resp_${this.#context.id}`;
    const started = { ...known, id: this.#id, status: "in_progress" };
    const response = { ...completeResponse(started, this.#request, this.#context), output: [] };
    this.#send(frameOf({ type: "response.created", sequence_number: 0, response }));
  }

  #end({ event }: WireEvent): void {
    const response = responseOf(event);
    this.#begin(response);
    const whole = completeResponse({ ...response, id: this.#id }, this.#request, this.#context);
    this.isDone = true;
    remember(this.#request, this.#context, whole);
    this.#send(frameOf({ ...event, type: `response.${endOf(response)}`, response: whole }));
  }
}

const LIFECYCLE = new Set(["response.created", "response.in_progress", "response.queued"]);

function endOf({ status }: ResponseObject): string {
  return status === "failed" || status === "incomplete" ? status : "completed";
}
