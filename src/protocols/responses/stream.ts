import { Normalizer, type AnswerCut } from "../../codex/output/normalize.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import { isPublicEvent, isTerminal } from "../../codex/wire/event-types.ts";
import { failureOf, truncated } from "../../codex/wire/failure.ts";
import { responseOf } from "../../codex/wire/lenient.ts";
import type { ResponseObject } from "../../codex/wire/schema.ts";
import type { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { ClientStream, Context, Send } from "../protocol.ts";
import { errorFrame } from "../responses-frames.ts";
import { remember } from "./history.ts";
import { Numbering } from "./numbering.ts";
import { completeResponse } from "./response-object.ts";
import type { ResponsesRequest } from "./schema.ts";

/** For Codex clients: every event exactly as it came, failures included. */
export class VerbatimStream implements ClientStream {
  isDone = false;
  readonly #send: Send;
  #count = 0;

  constructor(send: Send) {
    this.#send = send;
  }

  onEvent(wire: WireEvent): void {
    if (!wire.isBulk) this.isDone = isTerminal(wire.type) && wire.type !== "error";
    this.#count += 1;
    this.#send(wire);
  }

  /** The CLI recognises a stream without a terminal event and asks again by itself. */
  onEnd(): void {
    this.isDone = true;
  }

  onFailure(error: RelayError): void {
    this.isDone = true;
    this.#send(errorFrame(error, this.#count));
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
  readonly #out: Numbering;
  readonly #normalizer: Normalizer;
  /** Of the `response.created` that was sent. */
  #id: string | undefined;

  constructor(request: ResponsesRequest, context: Context, cut: AnswerCut | undefined, send: Send) {
    this.#normalizer = new Normalizer((event) => this.#regular(event), { keepsText: true, cut });
    this.#request = request;
    this.#context = context;
    this.#out = new Numbering(send);
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
    this.#out.error(error);
  }

  #regular(wire: WireEvent): void {
    if (wire.isBulk && this.#id !== undefined) this.#out.pass(wire);
    else if (isTerminal(wire.type)) this.#end(wire);
    else if (LIFECYCLE.has(wire.type)) this.#lifecycle(wire);
    else if (isPublicEvent(wire.type)) {
      this.#begin();
      this.#out.pass(wire);
    }
  }

  /** SDKs take one beginning, and no other id than its own after it. */
  #lifecycle(wire: WireEvent): void {
    const response = responseOf(wire.event);
    const isCreated = wire.type === "response.created";
    if (isCreated && this.#id === undefined && response.id) this.#begin(response, wire.event);
    else {
      this.#begin(response);
      if (!isCreated && response.id === this.#id)
        this.#out.made({ ...wire.event, response: this.#unfinished(response) });
    }
  }

  #begin(known: ResponseObject = {}, event: object = {}): void {
    if (this.#id !== undefined) return;
    this.#id = known.id ?? `resp_${this.#context.id}`;
    this.#out.made({ ...event, type: "response.created", response: this.#unfinished(known) });
  }

  #unfinished(known: ResponseObject): JsonObject {
    const status = known.status === "queued" ? "queued" : "in_progress";
    const response = { ...known, id: this.#id, status, output: [], usage: null, error: null, incomplete_details: null };
    return completeResponse(response, this.#request, this.#context);
  }

  #end({ event }: WireEvent): void {
    const response = responseOf(event);
    this.#begin(response);
    const whole = completeResponse({ ...response, id: this.#id }, this.#request, this.#context);
    this.isDone = true;
    remember(this.#request, this.#context, whole);
    this.#out.made({ ...event, type: `response.${endOf(response)}`, response: whole });
  }
}

const LIFECYCLE = new Set(["response.created", "response.in_progress", "response.queued"]);

function endOf({ status }: ResponseObject): string {
  return status === "failed" || status === "incomplete" ? status : "completed";
}
