import { ResponseAssembler } from "../codex/output/assemble.ts";
import { failureOf } from "../codex/wire/failure.ts";
import type { Usage } from "../codex/wire/schema.ts";
import { isCall, responseOf, shortReason } from "../codex/wire/lenient.ts";
import { WireEvent } from "../codex/wire/event.ts";
import { isTerminal } from "../codex/wire/event-types.ts";
import type { PlanLimits } from "../codex/plan-limits.ts";
import type { Reservation, Spent } from "../keys/budgets.ts";
import { RelayError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import type { Exchange } from "../protocols/exchange.ts";
import type { Translation } from "../protocols/protocol.ts";
import type { ReplyObserver } from "../upstream/call.ts";
import type { RequestTrace } from "../telemetry/telemetry.ts";
import type { UpstreamAttempt } from "../upstream/attempts.ts";
import type { RequestLifetime } from "./lifetime.ts";

export interface RecordStart {
  /** Hex characters unique to the request. */
  readonly id: string;
  readonly method: string;
  /** The route's pattern with its `/v1`, or undefined where none fits. */
  readonly route: string | undefined;
  /** As the client wrote it. */
  readonly path: string;
  readonly dialect: string | undefined;
  /** The client's own product name from its user agent; "" when it has none. */
  readonly client: string;
  /** Health checks, scrapes, preflights: neither counted nor logged like somebody's request. */
  readonly isProbe: boolean;
  /** Gathers what was asked and answered, for the debug log alone. */
  readonly keepsText: boolean;
  readonly isSecure: boolean;
  readonly headers: Headers;
}

/** Tokens of one answer, as upstream counted them. */
export interface Tokens {
  readonly input: number;
  /** Part of the input. */
  readonly cached: number;
  readonly output: number;
  /** Part of the output. */
  readonly reasoning: number;
}

/** What was asked and answered; never leaves the debug log. */
export interface Conversation {
  readonly asked: Translation["body"];
  readonly answered: readonly unknown[];
}

/**
 * What is known of one request by its end, for its log line and the counters. Each step of its handling notes what it learns
 * here; `end` reports it, once.
 */
export class RequestRecord implements ReplyObserver {
  readonly start: RecordStart;
  readonly #elapsed: () => number;
  readonly #startedAtMs: number;
  readonly #report: (record: RequestRecord) => void;
  #isReported = false;

  /** What the client sees as `x-request-id`. */
  requestId: string;
  dialect: string | undefined;
  /** Name of the key that the client came in with. */
  key: string | undefined;
  /** The client's address, where reverse proxies are trusted to tell it. */
  address: string | undefined;
  isProbe: boolean;
  status = 0;
  isStream = false;
  modelAsked: string | undefined;
  model: string | undefined;
  effort: string | undefined;
  adjusted: readonly string[] = [];
  /** What answered past a limit of the plan: `reserve`, `api-key` or a model. */
  fallback: string | undefined;
  /** Stays the same for all requests of one client's conversation; undefined when the backend was not asked. */
  ownConversation: string | undefined;
  /** The part of the request at which the prompt cache of the conversation's last one ends: `tools`, `input[12]`. */
  prefixDeparture: string | undefined;
  tokens: Tokens | undefined;
  /** Why the answer ended: `stop`, `tool_calls`, `length` …; undefined when it did not. */
  finish: string | undefined;
  /** The error's code, also of one that came after a good status. */
  code: string | undefined;
  /** Of an error: what to do next, in the relay's words. */
  fix: string | undefined;
  /** The error's own status, which the client saw unless output had begun. */
  errorStatus: number | undefined;
  hasClientLeft = false;
  firstTokenMs: number | undefined;
  totalMs = 0;
  #asked: Translation["body"] | undefined;
  #answer: ResponseAssembler | undefined;
  #hasCalls = false;
  /** Tokens of the request as far as they can be told beforehand; 0 where nobody counts them. */
  inputEstimate = 0;
  /** About one for each token of the answer. */
  #answerEvents = 0;
  #reservation: Reservation | undefined;
  /** On its way to a collector; undefined where none is told. */
  readonly #trace: RequestTrace | undefined;

  /** `elapsed` counts milliseconds and never goes back. */
  constructor(
    start: RecordStart,
    elapsed: () => number,
    report: (record: RequestRecord) => void,
    trace?: RequestTrace,
  ) {
    this.start = start;
    this.requestId = start.id;
    this.dialect = start.dialect;
    this.isProbe = start.isProbe;
    this.#elapsed = elapsed;
    this.#startedAtMs = elapsed();
    this.#report = report;
    this.#trace = trace;
  }

  /** What the client sent, and what it becomes on its way to the backend. */
  onTranslated(body: unknown, { body: sent, dropped, changed }: Translation): void {
    this.onExchange(body, { model: sent.model, dropped, changed });
    this.effort = sent.reasoning?.effort;
    if (!this.start.keepsText) return;
    this.#asked = sent;
    this.#answer = new ResponseAssembler();
  }

  /** The same for what other endpoints of the backend are going to answer. */
  onExchange(body: unknown, { model, dropped, changed }: Pick<Exchange, "model" | "dropped" | "changed">): void {
    this.modelAsked = isObject(body) && typeof body["model"] === "string" ? body["model"] : undefined;
    this.model = model;
    this.adjusted = [...dropped, ...changed];
  }

  /** The reply has begun well. `dropped` are fields that the backend refused on the way. */
  onBegun(dropped: readonly string[], upstreamId: string | undefined): void {
    this.status = 200;
    if (dropped.length > 0) this.adjusted = [...new Set([...this.adjusted, ...dropped])];
    this.requestId = upstreamId ?? this.requestId;
  }

  /** Something else than was asked for answers, past a limit of the plan. */
  onFallback({ name, model }: { readonly name: string; readonly model: string }): void {
    this.fallback = name;
    this.model = model;
  }

  /** Room that is held for the request until it is over, which it may be by now. */
  hold(reservation: Reservation): void {
    if (this.#isReported) reservation.settle(NOTHING, undefined);
    else this.#reservation = reservation;
  }

  /** Gives back the room that was held, less what was used. Later calls do nothing. */
  settle(plan: PlanLimits | undefined): void {
    this.#reservation?.settle(this.#spent(), plan);
    this.#reservation = undefined;
  }

  onNotable(event: WireEvent): void {
    // A failed attempt before this one is nobody's outcome any more, also for a client that leaves in the middle.
    if (event.type === "response.created") this.#forgetFailure();
    else if (event.type === "response.output_item.done") this.#noticeItem(event);
    else if (isTerminal(event.type)) this.#noticeEnd(event);
  }

  onBatch(batch: readonly WireEvent[]): void {
    this.#answerEvents += batch.length;
    if (this.firstTokenMs === undefined && batch.some(isToken)) this.firstTokenMs = this.#elapsed() - this.#startedAtMs;
    if (this.#answer) for (const event of batch) this.#answer.onEvent(event);
  }

  onAttempt(attempt: UpstreamAttempt): Readonly<Record<string, string>> {
    return this.#trace?.attempt(attempt) ?? NO_HEADERS;
  }

  onAttemptFailed(code: string): void {
    this.#trace?.attemptFailed(code);
  }

  /** The reply is whole, whether or not upstream had more to say. */
  complete(): void {
    if (this.code === undefined) this.finish ??= "stop";
  }

  /** The request failed, before or after its status line. */
  fail(error: RelayError): void {
    if (this.status === 0) this.status = error.status;
    this.code = error.wireCode ?? error.code;
    this.errorStatus = error.status;
    this.fix = error.hint;
    this.finish = undefined;
    if (error.code === "client_closed") this.hasClientLeft = true;
  }

  /** Nothing more will happen. `reason` is why a reply ended that was not whole. Later calls do nothing. */
  end(lifetime: Pick<RequestLifetime, "hasClientLeft">, reason?: unknown): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.totalMs = this.#elapsed() - this.#startedAtMs;
    if (this.finish === undefined && this.code === undefined) {
      if (reason instanceof RelayError) this.fail(reason);
      else if (lifetime.hasClientLeft) this.fail(clientClosed());
    }
    this.#report(this);
  }

  /** Only when its text was kept. */
  get conversation(): Conversation | undefined {
    if (!this.#asked || !this.#answer) return undefined;
    if (!this.#answer.isComplete) {
      this.#answer.onEvent(WireEvent.of({ type: "response.incomplete", response: {} }));
    }
    return { asked: this.#asked, answered: this.#answer.toResponse()?.output ?? [] };
  }

  /** As upstream counted, else by estimate where an answer had begun: a client that leaves has used the plan all the same. */
  #spent(): Spent {
    if (this.tokens) return this.tokens;
    if (this.firstTokenMs === undefined) return NOTHING;
    return { input: this.inputEstimate, cached: 0, output: this.#answerEvents };
  }

  #noticeItem({ event }: WireEvent): void {
    if (event.type === "response.output_item.done" && isObject(event.item) && isCall(event.item)) this.#hasCalls = true;
  }

  #forgetFailure(): void {
    this.code = undefined;
    this.errorStatus = undefined;
    this.fix = undefined;
  }

  /** Upstream's last word, unless an attempt that failed is repeated. */
  #noticeEnd(wire: WireEvent): void {
    this.finish = undefined;
    this.#forgetFailure();
    const failure = failureOf(wire, 0);
    if (failure) return this.fail(failure);
    const response = responseOf(wire.event);
    this.tokens = isObject(response.usage) ? tokensOf(response.usage) : undefined;
    this.finish = shortReason(wire.type, response) ?? (this.#hasCalls ? "tool_calls" : "stop");
  }
}

const NO_HEADERS = {};
const NOTHING: Spent = { input: 0, cached: 0, output: 0 };

function clientClosed(): RelayError {
  return new RelayError("client_closed", "The client closed the connection.");
}

/** What a reader sees first: a delta of anything, or an item that came whole. */
function isToken({ type }: WireEvent): boolean {
  return type.endsWith(".delta") || type === "response.output_item.done";
}

/** Unchecked until here: text that was added to a counter would spoil it for good. */
function tokensOf(usage: Partial<Usage>): Tokens {
  return {
    input: count(usage.input_tokens),
    cached: count(usage.input_tokens_details?.cached_tokens),
    output: count(usage.output_tokens),
    reasoning: count(usage.output_tokens_details?.reasoning_tokens),
  };
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
