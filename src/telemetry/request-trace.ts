import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { mayKnowTrace, methodOf, operationOf, type Operation } from "./conventions.ts";
import type { Instruments } from "./instruments.ts";
import type { Attempt, EndContext, RequestEnd, RequestStart, RequestTrace } from "./telemetry.ts";

export interface TraceDependencies {
  readonly tracer: Tracer;
  readonly instruments: Instruments;
  readonly propagates: boolean;
}

/** The backend being asked: one operation with all its repetitions, as the GenAI conventions have it. */
interface Call extends Attempt {
  readonly span: Span;
  readonly startedAtMs: number;
  readonly server: Attributes;
  /** Why its last attempt failed; undefined while none has. */
  failure: string | undefined;
}

/** Of a span, in characters: a client may write anything as a model. */
const LONGEST_NAME = 100;
const PROPAGATOR = new W3CTraceContextPropagator();
const OF_HEADERS = {
  get: (headers: Headers, name: string) => headers.get(name) ?? undefined,
  keys: (headers: Headers) => [...headers.keys()],
};
const INTO_HEADERS = {
  set: (headers: Record<string, string>, name: string, value: string) => void (headers[name] = value),
};
const NO_HEADERS = {};

/** A server span for one request, and below it a client span for what it asks of a backend. */
export class OtlpRequestTrace implements RequestTrace {
  readonly #start: RequestStart;
  readonly #deps: TraceDependencies;
  readonly #operation: Operation | undefined;
  readonly #startedAtMs = performance.now();
  readonly #span: Span;
  readonly #context: Context;
  #call: Call | undefined;

  constructor(start: RequestStart, deps: TraceDependencies) {
    this.#start = start;
    this.#deps = deps;
    this.#operation = operationOf(start.route);
    const { method, route } = start;
    const parent = deps.propagates ? PROPAGATOR.extract(ROOT_CONTEXT, start.headers, OF_HEADERS) : ROOT_CONTEXT;
    const name = isFrame(start) ? "WS" : methodOf(method);
    this.#span = deps.tracer.startSpan(
      route === undefined ? name : `${name} ${route}`,
      { kind: SpanKind.SERVER, attributes: arrivalOf(start) },
      parent,
    );
    this.#context = trace.setSpan(parent, this.#span);
  }

  attempt(attempt: Attempt): Readonly<Record<string, string>> {
    const call = this.#goOn(attempt) ?? this.#begin(attempt);
    const headers: Record<string, string> = {};
    if (!this.#deps.propagates || !mayKnowTrace(new URL(attempt.url))) return NO_HEADERS;
    PROPAGATOR.inject(trace.setSpan(this.#context, call.span), headers, INTO_HEADERS);
    return headers;
  }

  attemptFailed(code: string): void {
    if (this.#call) this.#call.failure = code;
  }

  end(end: RequestEnd, context: EndContext): void {
    const failure = this.#failureOf(end);
    this.#endCall(failure, end, context);
    this.#span.setAttributes({ ...replyOf(end), ...(failure === undefined ? {} : { "error.type": failure }) });
    // A client's own fault is none of the server's, and neither is its leaving.
    if ((end.errorStatus ?? end.status) >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
    this.#measure(failure, end, context);
  }

  /** The same call where this only repeats an attempt that failed. */
  #goOn({ url, model }: Attempt): Call | undefined {
    const call = this.#call;
    if (call?.failure === undefined || call.url !== url || call.model !== model) return undefined;
    call.span.addEvent("retry", { "error.type": call.failure });
    call.failure = undefined;
    return call;
  }

  #begin(attempt: Attempt): Call {
    if (this.#call) this.#endCall(this.#call.failure);
    const { hostname, port, protocol } = new URL(attempt.url);
    const server = {
      "server.address": hostname,
      "server.port": port === "" ? (protocol === "https:" ? 443 : 80) : Number(port),
    };
    const operation = this.#operation;
    const span = this.#deps.tracer.startSpan(
      operation === undefined
        ? methodOf(this.#start.method)
        : attempt.model === undefined
          ? operation
          : `${operation} ${attempt.model.slice(0, LONGEST_NAME)}`,
      {
        kind: SpanKind.CLIENT,
        attributes: {
          ...server,
          ...(operation === undefined
            ? { "http.request.method": methodOf(this.#start.method) }
            : { "gen_ai.operation.name": operation, "gen_ai.provider.name": "openai" }),
          ...(attempt.model === undefined ? {} : { "gen_ai.request.model": attempt.model }),
        },
      },
      this.#context,
    );
    this.#call = { ...attempt, span, server, startedAtMs: performance.now(), failure: undefined };
    return this.#call;
  }

  /** Ends the call; without `end` the request goes on with another. */
  #endCall(failure: string | undefined, end?: RequestEnd, context?: EndContext): void {
    const call = this.#call;
    if (!call) return;
    this.#call = undefined;
    const { span, server, startedAtMs } = call;
    if (failure !== undefined) {
      span.setAttribute("error.type", failure);
      if (end?.hasClientLeft !== true) span.setStatus({ code: SpanStatusCode.ERROR });
    }
    const sinceMs = startedAtMs - this.#startedAtMs;
    const firstSeconds = end?.firstTokenMs === undefined ? undefined : Math.max(0, end.firstTokenMs - sinceMs) / 1000;
    if (end) span.setAttributes(answerOf(end, firstSeconds, context));
    span.end();
    if (this.#operation === undefined) return;
    const labels = { ...this.#labels(failure, context), ...server };
    const { operationSeconds, firstChunkSeconds, tokens } = this.#deps.instruments;
    operationSeconds((performance.now() - startedAtMs) / 1000, labels);
    if (firstSeconds !== undefined) firstChunkSeconds(firstSeconds, labels);
    const { "error.type": _failure, ...ofTokens } = labels;
    for (const type of ["input", "output"] as const) {
      if (end?.tokens && end.tokens[type] > 0) tokens(end.tokens[type], { ...ofTokens, "gen_ai.token.type": type });
    }
  }

  #measure(failure: string | undefined, end: RequestEnd, context: EndContext): void {
    const { instruments } = this.#deps;
    if (!isFrame(this.#start)) {
      const { method, route, isSecure } = this.#start;
      instruments.httpSeconds(end.totalMs / 1000, {
        "http.request.method": methodOf(method),
        "url.scheme": isSecure ? "https" : "http",
        ...(route === undefined ? {} : { "http.route": route }),
        "http.response.status_code": end.status,
        ...(failure === undefined ? {} : { "error.type": instruments.codeOf(failure) }),
      });
    }
    if (this.#operation === undefined) return;
    const labels = this.#labels(failure, context);
    instruments.requestSeconds(end.totalMs / 1000, labels);
    if (end.firstTokenMs !== undefined) instruments.firstTokenSeconds(end.firstTokenMs / 1000, labels);
  }

  #labels(failure: string | undefined, context: EndContext | undefined): Attributes {
    return {
      "gen_ai.operation.name": this.#operation,
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": context?.model ?? "other",
      ...(failure === undefined ? {} : { "error.type": this.#deps.instruments.codeOf(failure) }),
    };
  }

  #failureOf({ code, errorStatus, status }: RequestEnd): string | undefined {
    if (code !== undefined) return code;
    const failed = errorStatus ?? status;
    return failed >= 400 ? String(failed) : undefined;
  }
}

function isFrame({ method }: RequestStart): boolean {
  return method === "WS";
}

function arrivalOf(start: RequestStart): Attributes {
  const { method, route, path, isSecure, client } = start;
  const isKnown = methodOf(method) === method;
  return {
    ...(isFrame(start)
      ? { "network.protocol.name": "websocket" }
      : {
          "http.request.method": methodOf(method),
          ...(isKnown ? {} : { "http.request.method_original": method }),
        }),
    ...(route === undefined ? {} : { "http.route": route }),
    "url.path": path,
    "url.scheme": isSecure ? "https" : "http",
    ...(client === "" ? {} : { "user_agent.name": client }),
  };
}

/** What the client got. Undefined values are left out by the SDK. */
function replyOf(end: RequestEnd): Attributes {
  return {
    "http.response.status_code": end.status,
    "client.address": end.address,
    "gen_ai.request.model": end.modelAsked,
    "gen_ai.request.stream": end.modelAsked === undefined ? undefined : end.isStream,
    "plansocket.request.id": end.requestId,
    "plansocket.dialect": end.dialect,
    "plansocket.key": end.key,
    "plansocket.fallback": end.fallback,
    "plansocket.client_left": end.hasClientLeft ? true : undefined,
  };
}

/** What the backend answered. */
function answerOf(end: RequestEnd, firstSeconds: number | undefined, context: EndContext | undefined): Attributes {
  const { tokens, finish } = end;
  return {
    "gen_ai.response.finish_reasons": finish === undefined ? undefined : [finish],
    "gen_ai.response.time_to_first_chunk": firstSeconds,
    "gen_ai.usage.input_tokens": tokens?.input,
    "gen_ai.usage.output_tokens": tokens?.output,
    "gen_ai.usage.cache_read.input_tokens": tokens?.cached || undefined,
    "gen_ai.usage.reasoning.output_tokens": tokens?.reasoning || undefined,
    "gen_ai.conversation.id": context?.conversation,
    "plansocket.effort": end.effort,
  };
}
