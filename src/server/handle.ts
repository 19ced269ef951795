import { clientHeaders, upstreamRequestId } from "../codex/wire/reply-headers.ts";
import { codexClientHeaders, isCodexClient } from "../codex/wire/request-headers.ts";
import type { ModelCatalogue } from "../codex/models.ts";
import type { ReasoningStore } from "../codex/reasoning-store.ts";
import type { ResponseStore } from "../codex/response-store.ts";
import type { KeyBudgets } from "../keys/budgets.ts";
import { RelayError } from "../lib/errors.ts";
import type { JsonSize } from "../lib/large-json.ts";
import type { Log } from "../lib/log.ts";
import { countTokensNow } from "../lib/tokens.ts";
import { toBodyStream } from "../lib/body-stream.ts";
import {
  JsonLines,
  type ClientBody,
  type Context,
  type ErrorFormat,
  type ExtraRoute,
  type ModelRequest,
  type Protocol,
  type Translation,
} from "../protocols/protocol.ts";
import type { UpstreamCall, UpstreamReply } from "../upstream/call.ts";
import type { UpstreamClient } from "../upstream/client.ts";
import { readBatches } from "../upstream/sse.ts";
import { readJson } from "./http/body.ts";
import type { Caller } from "./access.ts";
import type { Share } from "./budget.ts";
import { holdBudget, modelsFor, refuseModel, roughTokens } from "./key-limits.ts";
import { frameFormat } from "./http/frames.ts";
import type { RequestLifetime } from "./lifetime.ts";
import type { RelayOptions } from "./options.ts";
import { LimitedBatches } from "./output-limit.ts";
import type { RequestRecord } from "./record.ts";
import type { SharedResponses } from "./shared-responses.ts";
import { jsonReply, requestIdHeaders, streamHeaders } from "./http/reply.ts";
import { wholeReply } from "./http/whole-reply.ts";
import { sizeOf, textSource } from "./reply-stream.ts";

/** What handling needs besides the request. */
export interface HandleDependencies {
  readonly options: RelayOptions;
  readonly upstream: UpstreamClient;
  /** Of the clients' keys; undefined while they have none. */
  readonly budgets: () => KeyBudgets | undefined;
  readonly memory: ReasoningStore;
  readonly responses: ResponseStore;
  /** The same for all replicas with one store; undefined for a relay of its own. */
  readonly shared?: SharedResponses | undefined;
  readonly log: Log;
  readonly now: () => number;
}

/** A request that passed the access check. */
export interface Admitted {
  readonly request: Request;
  readonly caller: Caller;
  /** Hex characters unique to the request. */
  readonly id: string;
  readonly lifetime: RequestLifetime;
  readonly record: RequestRecord;
  /** Lifts the limit on silence, which bounds slow senders, once the request is here: models may think for long. */
  readonly waitForever: () => void;
  /** Of the memory that all requests may take together. */
  readonly share: Share;
  /** Of a Codex client's request over a socket: the backend's socket that belongs to it. */
  readonly paired?: UpstreamCall["paired"];
  /** Makes the connection a WebSocket with `data`; absent for requests that came over one. */
  readonly upgrade?: (data: unknown) => boolean;
}

/** A reply that has begun well, and what is needed to go on with it. */
interface Begun {
  readonly reply: UpstreamReply;
  /** For the client; whoever answers may add to them. */
  readonly headers: Record<string, string>;
}

/**
 * Lifetime of one request: body → dialect → backend → dialect → reply.
 * Throws RelayError while the status line is still open; afterwards failures become frames of the dialect.
 */
export async function handle(protocol: Protocol, admitted: Admitted, deps: HandleDependencies): Promise<Response> {
  const body = await readJson(admitted, deps.options.maxBodyBytes, admitted.waitForever);
  const context = await contextOf(admitted, isCodexClient(admitted.request.headers), deps, body);
  const asked = protocol.read(body, context);
  if ("reply" in asked) return ownReply(protocol, asked.reply, admitted.id);
  const { reply, headers } = await begin(protocol, { body, asked, context }, admitted, deps);

  // What follows takes as long as the model does: neither the body nor its translation is in scope there.
  return asked.isStreaming
    ? streamed(protocol, asked, { reply, headers }, admitted, deps.options.keepAliveMs)
    : collected(asked.body(), { reply, headers }, admitted);
}

function streamed(
  protocol: Protocol,
  asked: ModelRequest,
  { reply, headers }: Begun,
  admitted: Admitted,
  everyMs: number,
): Response {
  admitted.lifetime.isStreaming = true;
  admitted.record.isStream = true;
  const format = frameFormat(protocol);
  const frames = textSource((send) => asked.stream(send), reply, admitted, format);
  return new Response(toBodyStream(frames, { frame: format.keepAlive, everyMs }), {
    headers: Object.assign(headers, streamHeaders(format.contentType)),
  });
}

async function collected(
  answer: ClientBody,
  { reply, headers }: Begun,
  { lifetime, record, share }: Admitted,
): Promise<Response> {
  try {
    await readBatches(reply.events, (batch) => {
      share.collect(sizeOf(batch));
      for (const event of batch) {
        answer.onEvent(event);
        // What comes behind the end is no part of the answer, also in the same read.
        if (answer.isDone) return true;
      }
      return false;
    });
    const whole = wholeReply(answer.toBody(), headers, lifetime);
    record.complete();
    return whole;
  } finally {
    if (!lifetime.isStreaming) lifetime.end();
  }
}

/** What a client asked for: its body, and what the dialect made of it. */
export interface Asked {
  readonly body: unknown;
  readonly asked: ModelRequest;
  readonly context: Context;
}

/** From a request to the backend's first words. Throws RelayError. */
export async function begin(
  protocol: Protocol,
  { body, asked, context }: Asked,
  admitted: Admitted,
  deps: HandleDependencies,
): Promise<Begun> {
  const { translation } = asked;
  admitted.record.onTranslated(body, translation);
  if (deps.options.strict) refuseDropped(translation);
  refuseModel(admitted.caller.key, translation.body.model, context);
  await holdBudget(admitted, deps, () => roughTokens(translation.body));
  const sent = await sendUpstream(translation, context, admitted, deps);
  const { maxOutputTokens: limit } = asked;
  const reply = limit === undefined ? sent : { ...sent, events: new LimitedBatches(sent.events, limit) };
  return { reply, headers: replyHeaders(protocol, reply, translation, admitted.id) };
}

/** Asks the backend for a response. Throws RelayError. */
export async function sendUpstream(
  translation: Translation,
  context: Context,
  { request, lifetime, record, paired }: Admitted,
  deps: HandleDependencies,
): Promise<UpstreamReply> {
  const { body, verbatim, clientPath } = translation;
  const reply = await deps.upstream.send(
    {
      body,
      codexHeaders: verbatim ? codexClientHeaders(request.headers) : undefined,
      clientId: context.clientId,
      isStrict: deps.options.strict,
      ...(clientPath ? { clientPath } : {}),
      ...(paired && verbatim ? { paired } : {}),
      observer: record,
    },
    lifetime.signal,
  );
  record.onBegun(reply.dropped, upstreamRequestId(reply.headers));
  if (reply.fallback) record.onFallback(reply.fallback);
  record.prefixDeparture = reply.prefixDeparture;
  record.ownConversation = reply.ownConversation;
  return reply;
}

/** Answers one of the dialect's extra routes, without the backend. Throws RelayError. */
export async function handleExtraRoute(
  protocol: Protocol,
  extraRoute: ExtraRoute,
  admitted: Admitted,
  deps: HandleDependencies,
): Promise<Response> {
  const body = extraRoute.startsWith("GET ") ? undefined : await readJson(admitted, deps.options.maxBodyBytes);
  admitted.waitForever();
  const context = await contextOf(admitted, false, deps, body);
  return ownReply(protocol, await protocol.answerExtraRoute?.(extraRoute, body, context), admitted.id);
}

/** What the dialect says without the backend. */
function ownReply(protocol: Protocol, body: unknown, id: string): Response {
  const headers = { "x-request-id": id };
  if (body instanceof JsonLines) {
    return new Response(body.text, {
      headers: { "content-type": "application/x-ndjson", ...headers, ...requestIdHeaders(protocol, headers) },
    });
  }
  return jsonReply(body, 200, { ...headers, ...requestIdHeaders(protocol, headers) });
}

/** What a dialect may know while it translates this request; `body` is looked through for what it refers to. */
export async function contextOf(
  admitted: Pick<Admitted, "caller" | "share" | "id">,
  isCodex: boolean,
  deps: HandleDependencies,
  body?: unknown,
): Promise<Context> {
  if (deps.shared) await deps.shared.bring(admitted.caller.key?.id ?? "", body);
  return newContext(admitted, isCodex, deps, await deps.upstream.catalogue.current());
}

/** Kept for as long as the answer takes, with all that is in scope here. */
function newContext(
  { caller: { key }, share, id }: Pick<Admitted, "caller" | "share" | "id">,
  isCodexClient: boolean,
  deps: HandleDependencies,
  models: ModelCatalogue,
): Context {
  const { modelAliases } = deps.options;
  const clientId = key?.id ?? "";
  const now = deps.now();
  const reserve = (size: JsonSize) => share.add(size);
  return {
    id,
    now,
    elapsedMs: () => deps.now() - now,
    reasoning: deps.options.reasoning,
    defaultInstructions: deps.options.instructions,
    models: modelsFor(key, { models, modelAliases }),
    modelAliases,
    memory: deps.memory.within(clientId, reserve),
    responses: (deps.shared ?? deps.responses).ofClient(clientId),
    reserve,
    clientId,
    countTokens: countTokensNow,
    isCodexClient,
  };
}

/** Listed in one refusal; tools may have thousands of faults. */
const MOST_NAMES = 20;

/** With `--strict`, what would be dropped is refused. */
export function refuseDropped(translation: Pick<Translation, "dropped">): void {
  const { dropped } = translation;
  const [first] = dropped;
  if (first === undefined) return;
  const more = dropped.length > MOST_NAMES ? ` and ${dropped.length - MOST_NAMES} more` : "";
  const names = dropped.slice(0, MOST_NAMES).map((name) => `'${name.slice(0, 100)}'`);
  throw new RelayError("unsupported_parameter", `Not supported by the Codex backend: ${names.join(", ")}${more}.`, {
    param: first.slice(0, 100),
    hint: "Leave it out, or run the relay without --strict.",
  });
}

/** Headers beside the body: the request id, the plan's limits, and the fields that were adjusted. */
export function replyHeaders(
  protocol: ErrorFormat,
  reply: Pick<UpstreamReply, "headers" | "dropped" | "fallback">,
  translation: Pick<Translation, "dropped" | "changed" | "headers">,
  id: string,
): Record<string, string> {
  const headers = clientHeaders(reply.headers);
  headers["x-request-id"] = upstreamRequestId(reply.headers) ?? id;
  Object.assign(headers, requestIdHeaders(protocol, headers), translation.headers);
  if (reply.fallback) {
    headers["x-plansocket-fallback"] = reply.fallback.name;
    headers["x-plansocket-model"] = reply.fallback.model;
  }
  const adjusted = [...translation.dropped, ...translation.changed, ...reply.dropped];
  if (adjusted.length > 0) headers["x-plansocket-adjusted"] = headerText([...new Set(adjusted)].toSorted());
  return headers;
}

/** Names that a client may have made up, in what a header can carry. */
function headerText(names: readonly string[]): string {
  return names
    .map((name) => name.replace(/[^\x21-\x7e]/g, "?").slice(0, 100))
    .join(", ")
    .slice(0, 2000);
}
