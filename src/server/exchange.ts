import { ResponseAssembler } from "../codex/output/assemble.ts";
import { conversationId } from "../codex/request/cache-key.ts";
import { failureOf, truncated } from "../codex/wire/failure.ts";
import { upstreamRequestId } from "../codex/wire/reply-headers.ts";
import { codexClientHeaders, isCodexClient } from "../codex/wire/request-headers.ts";
import { RelayError, toRelayError } from "../lib/errors.ts";
import type { JsonObject } from "../lib/json.ts";
import { toBodyStream } from "../lib/body-stream.ts";
import type { Answer, Exchange, ExchangeProtocol, Step } from "../protocols/exchange.ts";
import type { Context } from "../protocols/protocol.ts";
import type { UpstreamReply } from "../upstream/call.ts";
import { readBatches } from "../upstream/sse.ts";
import { readBody, readJson } from "./http/body.ts";
import { isForm, parseForm } from "./http/form.ts";
import { SSE } from "./http/frames.ts";
import {
  contextOf,
  refuseDropped,
  replyHeaders,
  sendUpstream,
  type Admitted,
  type HandleDependencies,
} from "./handle.ts";
import { holdBudget, refuseModel, roughTokens } from "./key-limits.ts";
import { streamHeaders } from "./http/reply.ts";
import { wholeReply } from "./http/whole-reply.ts";
import type { RequestLifetime } from "./lifetime.ts";
import type { Share } from "./budget.ts";
import { sizeOf, textSource } from "./reply-stream.ts";

/** One request that other endpoints of the backend answer. Throws RelayError while the status line is still open. */
export async function handleExchange(
  protocol: ExchangeProtocol,
  admitted: Admitted,
  deps: HandleDependencies,
): Promise<Response> {
  const body = await bodyOf(protocol, admitted, deps.options.maxBodyBytes);
  const context = await contextOf(admitted, isCodexClient(admitted.request.headers), deps, body);
  const exchange = protocol.read(body, context);
  admitted.record.onExchange(body, exchange);
  if (deps.options.strict) refuseDropped(exchange);
  refuseModel(admitted.caller.key, exchange.model, context);
  await holdBudget(admitted, deps, () =>
    roughTokens("translation" in exchange.way ? exchange.way.translation.body : body),
  );
  if ("translation" in exchange.way) return streamed(protocol, exchange, exchange.way, context, admitted, deps);
  const asking = new Asking(exchange, context, admitted, deps);
  try {
    const answer = await asking.answer(exchange.way.dialogue);
    const last = asking.last ?? { headers: {}, dropped: [] };
    admitted.record.onBegun(last.dropped, upstreamRequestId(last.headers));
    admitted.record.complete();
    return replyOf(answer, replyHeaders(protocol, last, exchange, admitted.id), admitted.lifetime);
  } finally {
    if (!admitted.lifetime.isStreaming) admitted.lifetime.end();
  }
}

async function bodyOf({ takesForms }: ExchangeProtocol, admitted: Admitted, maxBytes: number): Promise<unknown> {
  const contentType = admitted.request.headers.get("content-type") ?? "";
  if (takesForms === "always" && !isForm(contentType)) {
    throw new RelayError("unsupported_media_type", "The request body must be a multipart/form-data form.");
  }
  if (takesForms === "never" || !isForm(contentType)) return readJson(admitted, maxBytes, admitted.waitForever);
  const form = await readBody(admitted, maxBytes);
  admitted.waitForever();
  return parseForm(form, contentType);
}

async function streamed(
  protocol: ExchangeProtocol,
  exchange: Exchange,
  way: Extract<Exchange["way"], { readonly stream: unknown }>,
  context: Context,
  admitted: Admitted,
  deps: HandleDependencies,
): Promise<Response> {
  const reply = await sendUpstream(way.translation, context, admitted, deps);
  admitted.lifetime.isStreaming = true;
  admitted.record.isStream = true;
  const frames = textSource((send) => way.stream(send), reply, admitted, SSE);
  return new Response(toBodyStream(frames, { frame: SSE.keepAlive, everyMs: deps.options.keepAliveMs }), {
    headers: { ...streamHeaders(SSE.contentType), ...replyHeaders(protocol, reply, exchange, admitted.id) },
  });
}

function replyOf(answer: Answer, headers: Readonly<Record<string, string>>, lifetime: RequestLifetime): Response {
  if ("json" in answer) return wholeReply(answer.json, headers, lifetime);
  if ("frames" in answer) {
    const text = answer.frames.map((frame) => SSE.write(frame)).join("");
    return new Response(text, { headers: { "content-type": SSE.contentType, ...headers } });
  }
  return new Response(answer.text, { headers: { "content-type": answer.contentType, ...headers } });
}

/** Puts a dialogue's questions to the backend. */
class Asking {
  /** Of the last answer, with what was dropped on the way to all of them. */
  last: Pick<UpstreamReply, "headers" | "dropped" | "fallback"> | undefined;
  readonly #exchange: Exchange;
  readonly #context: Context;
  readonly #admitted: Admitted;
  readonly #deps: HandleDependencies;

  constructor(exchange: Exchange, context: Context, admitted: Admitted, deps: HandleDependencies) {
    this.#exchange = exchange;
    this.#context = context;
    this.#admitted = admitted;
    this.#deps = deps;
  }

  async answer(dialogue: Generator<Step, Answer, JsonObject>): Promise<Answer> {
    let step = dialogue.next();
    while (!step.done) {
      let answer: JsonObject;
      try {
        answer = await this.#ask(step.value);
      } catch (thrown) {
        // Whoever has left wants no second attempt either.
        if (this.#admitted.lifetime.signal.aborted) throw thrown;
        step = dialogue.throw(toRelayError(thrown));
        continue;
      }
      step = dialogue.next(answer);
    }
    return step.value;
  }

  async #ask(step: Step): Promise<JsonObject> {
    if ("translation" in step) {
      const reply = await sendUpstream(step.translation, this.#context, this.#admitted, this.#deps);
      this.#note(reply);
      return wholeResponse(reply, this.#admitted.share, this.#context.now);
    }
    const { request, id, lifetime, share, record: observer } = this.#admitted;
    const codexHeaders = this.#context.isCodexClient ? codexClientHeaders(request.headers) : undefined;
    const { model, conversation = id } = this.#exchange;
    const onBytes = (bytes: number) => share.collect(bytes);
    const call = { conversationId: conversationId(conversation), codexHeaders, model, onBytes, observer };
    const reply = await this.#deps.upstream.run(step.endpointCall, call, lifetime.signal);
    this.#note(reply);
    return reply.body;
  }

  #note({ headers, dropped, fallback }: Pick<UpstreamReply, "headers" | "dropped" | "fallback">): void {
    this.last = { headers, dropped: [...(this.last?.dropped ?? []), ...dropped], fallback };
  }
}

/** All of a response that nobody streams. Throws RelayError when it failed or was cut off. */
async function wholeResponse(reply: UpstreamReply, share: Share, nowMs: number): Promise<JsonObject> {
  const accumulator = new ResponseAssembler();
  await readBatches(reply.events, (batch) => {
    share.collect(sizeOf(batch));
    for (const event of batch) {
      const failure = failureOf(event, nowMs);
      if (failure) throw failure;
      accumulator.onEvent(event);
    }
    return accumulator.isComplete;
  });
  const response = accumulator.toResponse();
  if (!response) throw truncated();
  return response;
}
