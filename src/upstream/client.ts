import { platform, arch, release } from "node:os";
import type { CredentialProvider, Credentials } from "../auth/credentials.ts";
import { isEndpointRefused, type EndpointCall } from "../codex/wire/endpoint-call.ts";
import { refusalOf, refusedField } from "../codex/request/refusals.ts";
import { withAuthorizationText } from "../codex/wire/failure.ts";
import { frameHeaders, namedHeaders, type ReplyHeaders } from "../codex/wire/reply-headers.ts";
import { conversationHeaders, identityHeaders, modelHeaders } from "../codex/wire/request-headers.ts";
import type { PlanLimits } from "../codex/plan-limits.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import { isCall } from "../codex/wire/lenient.ts";
import { isKnownEvent } from "../codex/wire/event-types.ts";
import { RelayError } from "../lib/errors.ts";
import { PAGE_HINT } from "../lib/web-page.ts";
import { isObject, parseJson, type JsonObject } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { NAME, VERSION } from "../version.ts";
import { watchAttempt, type AttemptObserver } from "./attempts.ts";
import type { ReplyObserver, UpstreamCall, UpstreamReply } from "./call.ts";
import { CatalogueKeeper } from "./catalogue.ts";
import { credentialHeaders } from "./credential-headers.ts";
import { CookieJar } from "./cookie-jar.ts";
import type { Egress } from "./egress.ts";
import { endpointCallBody, endpointCallHeaders, endpointCallUrl, readAnswer } from "./endpoint-calls.ts";
import { failedDetour, Fallback, keyRefused } from "./fallback.ts";
import { EventReader, type EventBatches } from "./sse.ts";
import { afterFirstOutput } from "./first-output.ts";
import { HttpTransport } from "./transport/http.ts";
import type { PairedSocket } from "./transport/paired-socket.ts";
import { SocketAttempts } from "./socket-attempts.ts";
import { PrefixWatch } from "./prefix-watch.ts";
import { PlanLimitsKeeper } from "./plan-limits.ts";
import type { LiveUpstreamOptions, UpstreamOptions } from "./options.ts";
import { Retrier } from "./retry.ts";
import { ACCOUNT_TIMEOUT_MS, AccountApi, type PassedRequest } from "./account-api.ts";
import { readRefusal } from "./refusal.ts";
import { LinkedAbort } from "./transport/linked-abort.ts";
import { LearnedRejections } from "./learned-rejections.ts";
import type { SharedLearned } from "./shared-learned.ts";
import { TurnStates } from "./turn-states.ts";
import { RequestEncoder, type PreparedRequest } from "./request-encoder.ts";

export interface UpstreamDependencies {
  readonly options: UpstreamOptions;
  readonly credentials: CredentialProvider;
  readonly egress: Egress;
  readonly log: Log;
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random?: () => number;
  /** What replicas tell each other of the backend's refusals. */
  readonly learned?: SharedLearned | undefined;
}

/** Counters for health and metrics. */
export interface UpstreamCounts {
  retries: number;
  /** Data fields that are no events. */
  ignoredData: number;
  /** Events of types that the relay does not know, by type: the backend has moved on. */
  readonly unknownEvents: Map<string, number>;
}

/**
 * A look at the login that is younger will do: over HTTP one was made when the request came. A frame of a socket may get
 * by with the look of another request, so that for so long after a login was replaced it can go out under the old one.
 */
const RECENT_MS = 5;

/** Requests that come so close together share a look: no program makes a login and then a request within it. */
const AT_ONCE_MS = 0.5;

/** Most unknown event types counted by name; those beyond share one count. */
const UNKNOWN_TYPES = 32;

/** The request that an endpoint call belongs to. */
export interface EndpointCallContext extends Pick<UpstreamCall, "codexHeaders"> {
  /** UUID that stays the same for all requests of one conversation. */
  readonly conversationId: string;
  /** By which a plan's limits are held against it. */
  readonly model: string;
  /** Counts bytes of the answer before they are kept; may throw RelayError. */
  readonly onBytes: (bytes: number) => void;
  readonly observer?: AttemptObserver;
}

/** The whole reply to an endpoint call. */
export interface EndpointCallReply {
  readonly headers: ReplyHeaders;
  readonly body: JsonObject;
  /** Fields that the backend refused and that were left out on a second try. */
  readonly dropped: readonly string[];
}

/** Speaks to the backend on behalf of every dialect. */
export class UpstreamClient {
  readonly catalogue: CatalogueKeeper;
  readonly limits: PlanLimitsKeeper;
  readonly counts: UpstreamCounts = { retries: 0, ignoredData: 0, unknownEvents: new Map() };
  #options: UpstreamOptions;
  readonly #credentials: CredentialProvider;
  readonly #http: HttpTransport;
  readonly #account: AccountApi;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #retrier: Retrier;
  readonly #sockets: SocketAttempts;
  readonly #cookies: CookieJar;
  readonly #turnStates = new TurnStates();
  readonly #identity: Record<string, string>;
  readonly #learned: LearnedRejections;
  /** What the public API has taught, which is not what the plan's backend has. */
  readonly #learnedOfPublicApi: LearnedRejections;
  readonly #fallback: Fallback;
  readonly #prefixes = new PrefixWatch();

  constructor(dependencies: UpstreamDependencies) {
    this.#options = dependencies.options;
    this.#credentials = dependencies.credentials;
    this.#log = dependencies.log;
    this.#now = dependencies.now ?? Date.now;
    const { learned } = dependencies;
    this.#learned = new LearnedRejections(this.#now, learned && ((name, entry) => learned.tell(name, entry)));
    learned?.onEntry((entry) => this.#learned.take(entry));
    this.#learnedOfPublicApi = new LearnedRejections(this.#now);
    this.#fallback = new Fallback(this.#options.fallback, this.#log, this.#now);
    this.#retrier = new Retrier({ ...dependencies, counts: this.counts });
    this.#identity = identityHeaders({
      clientVersion: this.#options.clientVersion,
      platform: `${platform()} ${release()}; ${arch()}`,
      product: `${NAME}/${VERSION}`,
      originator: this.#options.originator,
    });
    this.#cookies = new CookieJar(() => this.#options.cookies !== "off", this.#now);
    this.#http = new HttpTransport(dependencies.egress, this.#now, this.#cookies);
    this.#account = new AccountApi({
      credentials: this.#credentials,
      http: this.#http,
      identity: this.#identity,
      options: () => this.#options,
      now: this.#now,
    });
    this.catalogue = new CatalogueKeeper({
      ask: (etag) => this.#askModels(etag),
      modelsCacheFile: this.#options.modelsCacheFile,
      published: this.#options.models,
      now: this.#now,
      log: this.#log,
    });
    this.limits = new PlanLimitsKeeper({
      ask: () => this.#account.usage(AbortSignal.timeout(ACCOUNT_TIMEOUT_MS)).then(({ text }) => text),
      stopAtPercent: this.#options.stopAtPercent,
      now: this.#now,
      log: this.#log,
    });
    this.#sockets = new SocketAttempts({
      egress: dependencies.egress,
      options: () => this.#options,
      identity: this.#identity,
      cookies: this.#cookies,
      turnStates: this.#turnStates,
      catalogue: this.catalogue,
      limits: this.limits,
      onIgnored: () => (this.counts.ignoredData += 1),
      onNotable: (event, accountId, observer) => this.#notice(event, accountId, observer),
      now: this.#now,
      log: this.#log,
    });
  }

  /** From now on these hold; replies under way keep what they began with. */
  reconfigure(options: LiveUpstreamOptions): void {
    const before = this.#options;
    this.#options = { ...before, ...options };
    this.catalogue.publish(options.models);
    this.limits.stopAt(options.stopAtPercent);
    if (!Bun.deepEquals(before.fallback, options.fallback)) this.#fallback.choose(options.fallback);
  }

  /** Ends the connections that are kept for later; replies under way go on to their end. */
  close(): void {
    this.#sockets.close();
  }

  /**
   * Sends one request and returns once the reply has begun. Retries, refreshes and learns only before that, so the
   * client has seen nothing twice. Past a limit of the plan the owner's fallback answers, where there is one. Throws
   * RelayError; an abort of `signal` throws `client_closed`.
   */
  async send(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamReply> {
    const { model } = call.body;
    const refused = this.#fallback.standingRefusal(model);
    if (refused) return this.#sendPast(refused, call, signal);
    try {
      return await this.#sendToPlan(call, signal);
    } catch (thrown) {
      if (signal.aborted || !this.#fallback.notice(model, thrown)) throw thrown;
      return this.#sendPast(thrown, call, signal);
    }
  }

  /** The same to the fallback. Throws `refused` where there is none any more. */
  async #sendPast(refused: RelayError, call: UpstreamCall, signal: AbortSignal): Promise<UpstreamReply> {
    const detour = this.#fallback.detourOf(call.body.model);
    if (!detour) throw refused;
    const { model = call.body.model } = detour;
    const instead = { ...call, body: { ...call.body, model } };
    try {
      const reply = await (detour.apiKey === undefined
        ? this.#sendToPlan(instead, signal)
        : this.#sendToPublicApi(instead, detour.apiKey, signal));
      return { ...reply, fallback: { name: detour.name, model } };
    } catch (thrown) {
      throw failedDetour(detour, refused, thrown);
    }
  }

  async #sendToPlan(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamReply> {
    const encoder = new RequestEncoder(call, {
      learned: this.#learned,
      options: this.#options,
      catalogue: this.catalogue,
      log: this.#log,
    });
    const credentials = await this.#credentials.current(RECENT_MS);
    await this.limits.admit(call.body.model, credentials.accountId);
    this.limits.watchSpending(credentials);
    try {
      const reply = await this.#retrier.run(credentials, signal, {
        attempt: (current) =>
          watchAttempt(call.observer, { url: this.#url, model: call.body.model }, (more) =>
            this.#attempt(call, current, encoder, signal, more),
          ),
        adapt: (error) => encoder.adapt(error),
        // A Codex client has its own retries; doubling them would only multiply the waiting.
        isRepeatable: () => !call.codexHeaders,
      });
      encoder.succeeded();
      const prefixDeparture = encoder.prefixDeparture(this.#prefixes);
      const spending = this.limits.spendingHeaders(credentials.accountId);
      const headers = spending ? { ...reply.headers, ...spending } : reply.headers;
      return { ...reply, headers, prefixDeparture, ownConversation: encoder.ownConversation };
    } catch (thrown) {
      throw thrown instanceof RelayError ? encoder.inClientTerms(this.limits.explained(thrown)) : thrown;
    }
  }

  /** Asks the public API, which speaks the same language, for an answer that `apiKey` pays for. */
  async #sendToPublicApi(call: UpstreamCall, apiKey: string, signal: AbortSignal): Promise<UpstreamReply> {
    const encoder = new RequestEncoder(call, {
      learned: this.#learnedOfPublicApi,
      options: { lite: { default: "off", models: {} } },
      catalogue: this.catalogue,
      log: this.#log,
    });
    const credentials = apiKeyCredentials(apiKey);
    const url = `${this.#options.openaiBaseUrl}/responses`;
    try {
      const reply = await this.#retrier.run(credentials, signal, {
        attempt: () =>
          watchAttempt(call.observer, { url, model: call.body.model }, (more) =>
            this.#attemptPublicApi(call, credentials, encoder, signal, { url, more }),
          ),
        adapt: (error) => encoder.adapt(error),
        isRepeatable: () => !call.codexHeaders,
      });
      encoder.succeeded();
      return reply;
    } catch (thrown) {
      throw thrown instanceof RelayError ? encoder.inClientTerms(thrown) : thrown;
    }
  }

  async #attemptPublicApi(
    call: UpstreamCall,
    credentials: Credentials,
    encoder: RequestEncoder,
    signal: AbortSignal,
    { url, more }: { readonly url: string; readonly more: Readonly<Record<string, string>> },
  ): Promise<UpstreamReply> {
    const { body, headers } = await encoder.encode(url, encoder.prepare());
    const linkedAbort = new LinkedAbort(signal);
    const about = { accept: "text/event-stream", "content-type": "application/json", ...headers, ...more };
    const response = await this.#http.fetch(
      url,
      { method: "POST", headers: { ...credentialHeaders(credentials), ...about }, body },
      linkedAbort,
      this.#options.firstByteTimeoutMs,
    );
    if (!response.ok) {
      const error = await this.#refusal(response);
      throw error.code === "upstream_unauthorized" ? keyRefused(error) : error;
    }
    const replyHeaders = namedHeaders(response.headers);
    const events = this.#events(response, replyHeaders, noticing(call.observer), call.observer, linkedAbort);
    const begun = call.codexHeaders ? events : await this.#begun(replyHeaders, events);
    return { headers: replyHeaders, events: begun, dropped: encoder.adjusted };
  }

  /**
   * Makes one endpoint call, with the retries of a request for a response. `codexHeaders` are those of a Codex client,
   * whose body goes as it is. Throws RelayError; an abort of `signal` throws `client_closed`.
   */
  async run(endpointCall: EndpointCall, call: EndpointCallContext, signal: AbortSignal): Promise<EndpointCallReply> {
    const { model, codexHeaders } = call;
    const dropped = new Set<string>();
    const credentials = await this.#credentials.current();
    await this.limits.admit(model, credentials.accountId);
    const url = endpointCallUrl(endpointCall, this.#options.baseUrl);
    return this.#retrier.run(credentials, signal, {
      attempt: (current) =>
        watchAttempt(call.observer, { url, model }, (more) =>
          this.#attemptEndpointCall(endpointCall, call, current, dropped, signal, { url, more }),
        ),
      adapt: (error) => {
        const name = refusedField(refusalOf(error), endpointCall.body);
        if (codexHeaders || name === undefined) return false;
        if (endpointCall.required.includes(name) || dropped.has(name)) return false;
        dropped.add(name);
        return true;
      },
      isRepeatable: (error) => !codexHeaders && !isEndpointRefused(error),
    });
  }

  async #attempt(
    call: UpstreamCall,
    credentials: Credentials,
    encoder: RequestEncoder,
    signal: AbortSignal,
    more: Readonly<Record<string, string>>,
  ): Promise<UpstreamReply> {
    const url = this.#url;
    const prepared = encoder.prepare();
    encoder.readPrefix(this.#prefixes);
    const ofModel = modelHeaders(call.body.model);
    // A socket's headers were sent with its handshake.
    const isHttpOnly = Object.keys(ofModel).length > 0 || (call.codexHeaders !== undefined && !call.paired);
    const overSocket = isHttpOnly ? undefined : await this.#sockets.send({ url, call, credentials, prepared }, signal);
    if (overSocket) return { ...overSocket, dropped: encoder.adjusted };
    const { conversationId, ownConversation } = prepared;
    const { body, headers } = await encoder.encode(url, prepared);
    const linkedAbort = new LinkedAbort(signal);
    const response = await this.#http.fetch(
      url,
      {
        method: "POST",
        headers: {
          ...this.#identity,
          ...conversationHeaders(conversationId),
          ...(call.codexHeaders ?? this.#turnStates.headersFor(ownConversation, prepared.wire)),
          ...credentialHeaders(credentials),
          ...ofModel,
          ...more,
          accept: "text/event-stream",
          "content-type": "application/json",
          ...headers,
        },
        body,
      },
      linkedAbort,
      this.#options.firstByteTimeoutMs,
    );
    const replyHeaders = namedHeaders(response.headers);
    this.catalogue.noticeEtag(replyHeaders["x-models-etag"]);
    this.limits.noticeHeaders(replyHeaders, credentials.accountId);
    if (!response.ok) throw await this.#refusal(response);
    if (!call.codexHeaders) this.#turnStates.notice(ownConversation, replyHeaders);
    const onToolCall = isHttpOnly || call.paired ? undefined : this.#warming(url, credentials, prepared);
    const onNotable = this.#noticing(call.observer, credentials.accountId, onToolCall);
    const events = this.#events(response, replyHeaders, onNotable, call.observer, linkedAbort);
    // A Codex client reads failures out of the stream itself.
    const begun = call.codexHeaders ? events : await this.#begun(replyHeaders, events);
    return { headers: replyHeaders, events: begun, dropped: encoder.adjusted };
  }

  /** A tool's output will follow, and its request finds the handshake done. */
  #warming(url: string, credentials: Credentials, { conversationId, ownConversation }: PreparedRequest): () => void {
    return () => this.#sockets.warm({ url, credentials, prepared: { conversationId, ownConversation } });
  }

  /** Watches a reply to its end, which may be minutes away. Made where no request is in scope, which would stay as long. */
  #noticing(
    observer: ReplyObserver | undefined,
    accountId: string | undefined,
    onToolCall: (() => void) | undefined,
  ): (event: WireEvent) => void {
    return (event) => {
      this.#notice(event, accountId, observer);
      if (onToolCall && isToolCall(event)) onToolCall();
    };
  }

  /** Where answers are asked for. */
  get #url(): string {
    return `${this.#options.baseUrl}${this.#options.responsesPath}`;
  }

  async #begun(headers: ReplyHeaders, events: EventBatches): Promise<EventBatches> {
    try {
      return await afterFirstOutput(events, this.#options.holdMs, this.#now);
    } catch (thrown) {
      throw thrown instanceof RelayError ? withAuthorizationText(thrown, headers) : thrown;
    }
  }

  /** The backend's socket for a Codex client's; its owner closes it. */
  pairedSocket(): PairedSocket {
    return this.#sockets.pairedSocket();
  }

  /**
   * Sends ahead what a Codex client sends ahead, without an answer to come. Undefined where there is no socket for it.
   * Throws RelayError: nothing is retried, as the request itself comes later.
   */
  async prewarm(call: UpstreamCall, signal: AbortSignal): Promise<Pick<UpstreamReply, "events"> | undefined> {
    if (!call.paired) return undefined;
    const url = this.#url;
    const encoder = new RequestEncoder(call, {
      learned: this.#learned,
      options: this.#options,
      catalogue: this.catalogue,
      log: this.#log,
    });
    const credentials = await this.#credentials.current();
    return this.#sockets.send({ url, call, credentials, prepared: encoder.prepare() }, signal);
  }

  async #attemptEndpointCall(
    endpointCall: EndpointCall,
    { conversationId, codexHeaders, onBytes }: EndpointCallContext,
    credentials: Credentials,
    dropped: ReadonlySet<string>,
    signal: AbortSignal,
    { url, more }: { readonly url: string; readonly more: Readonly<Record<string, string>> },
  ): Promise<EndpointCallReply> {
    const { idleTimeoutMs } = this.#options;
    const kept = Object.fromEntries(Object.entries(endpointCall.body).filter(([name]) => !dropped.has(name)));
    const { body, headers } = await endpointCallBody(kept);
    const about = { ...endpointCallHeaders(endpointCall, this.#identity, conversationId), ...codexHeaders, ...more };
    const response = await this.#http.fetch(
      url,
      { method: "POST", headers: { ...about, ...credentialHeaders(credentials), accept: "*/*", ...headers }, body },
      new LinkedAbort(signal),
      // The headers come with the whole answer: all of the work is done before.
      idleTimeoutMs,
    );
    const replyHeaders = namedHeaders(response.headers);
    this.limits.noticeHeaders(replyHeaders, credentials.accountId);
    if (!response.ok) throw await this.#refusal(response);
    const answer = await readAnswer(response, idleTimeoutMs, onBytes);
    return { headers: replyHeaders, body: answer, dropped: [...dropped] };
  }

  #events(
    response: Response,
    headers: ReplyHeaders,
    onNotable: (event: WireEvent) => void,
    observer: ReplyObserver | undefined,
    linkedAbort: LinkedAbort,
  ): EventBatches {
    const contentType = headers["content-type"] ?? "";
    if (!response.body || /json|html/.test(contentType)) {
      response.body?.cancel().catch(() => {});
      const message = `Upstream answered with ${contentType || "nothing"} instead of a stream.`;
      throw new RelayError("upstream_error", message, contentType.includes("html") ? { hint: PAGE_HINT } : {});
    }
    return new EventReader(response.body, {
      idleTimeoutMs: this.#options.idleTimeoutMs,
      onIgnored: () => (this.counts.ignoredData += 1),
      onNotable,
      ...(observer ? { onBatch: (batch: readonly WireEvent[]) => observer.onBatch(batch) } : {}),
      // The request is over before its reply's last bytes are in.
      onEnd: () => linkedAbort.release(),
    });
  }

  #notice(event: WireEvent, accountId: string | undefined, observer: ReplyObserver | undefined): void {
    if (event.type === "codex.rate_limits") this.limits.noticeBody(event.event, accountId);
    // In place of the headers that a refusal over HTTP has.
    else if (event.type === "error")
      this.limits.noticeHeaders(namedHeaders(frameHeaders((event.event as JsonObject)["headers"])), accountId);
    else if (!isKnownEvent(event.type)) this.#countUnknown(event.type);
    observer?.onNotable(event);
  }

  #countUnknown(type: string): void {
    const { unknownEvents } = this.counts;
    const key = unknownEvents.has(type) || unknownEvents.size < UNKNOWN_TYPES ? type : "other";
    unknownEvents.set(key, (unknownEvents.get(key) ?? 0) + 1);
  }

  /** Passes one request of an API-key login to the public API as it is, and its reply back as it is. */
  async forward(
    request: {
      readonly method: string;
      readonly path: string;
      readonly headers: Headers;
      readonly body: Uint8Array<ArrayBuffer> | undefined;
      readonly observer?: AttemptObserver;
    },
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<Response> {
    const { method, path, body, observer } = request;
    const headers = new Headers();
    for (const [name, value] of request.headers) if (!NOT_FORWARDED.test(name)) headers.set(name, value);
    headers.set("authorization", `Bearer ${credentials.accessToken}`);
    const url = `${this.#options.openaiBaseUrl}${path}`;
    return watchAttempt(observer, { url, model: undefined }, (more) => {
      for (const [name, value] of Object.entries(more)) headers.set(name, value);
      return this.#http.fetch(
        url,
        { method, headers, ...(body ? { body } : {}) },
        new LinkedAbort(signal),
        // An answer that is not streamed sends its headers when all of it is there.
        this.#options.idleTimeoutMs,
      );
    });
  }

  /** The login in use, as far as routing needs it. Throws `codex_auth_required`. */
  credentials(): Promise<Credentials> {
    return this.#credentials.current(AT_ONCE_MS);
  }

  /** Passes a request that a Codex client makes to its own provider, under the relay's own login. Throws RelayError. */
  async pass(request: PassedRequest, signal: AbortSignal): Promise<Response> {
    return this.#account.pass(request, signal);
  }

  /** The backend's own model list, for Codex clients that bring their version. */
  async rawModels(clientVersion: string, codexHeaders: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const response = await this.#account.models(clientVersion, codexHeaders, signal);
    if (!response.ok) throw await this.#refusal(response);
    return response;
  }

  /** The plan's windows, asked now. Throws RelayError; `not_found` for API-key logins, which have none. */
  async usage(signal: AbortSignal): Promise<{ readonly body: unknown; readonly limits: PlanLimits | undefined }> {
    const { text, accountId } = await this.#account.usage(signal);
    const body = parseJson(text);
    return { body, limits: this.limits.noticeBody(body, accountId) };
  }

  #askModels(etag: string | undefined): Promise<Response> {
    const headers: Record<string, string> = etag === undefined ? {} : { "if-none-match": etag };
    return this.#account.models(this.#options.clientVersion, headers, AbortSignal.timeout(ACCOUNT_TIMEOUT_MS));
  }

  #refusal(response: Response): Promise<RelayError> {
    return readRefusal(response, Math.min(this.#options.idleTimeoutMs, ACCOUNT_TIMEOUT_MS), this.#now);
  }
}

function apiKeyCredentials(apiKey: string): Credentials {
  return {
    kind: "api-key",
    accessToken: apiKey,
    accountId: undefined,
    expiresAtMs: undefined,
    isFedramp: false,
    email: undefined,
    plan: undefined,
    source: "PLANSOCKET_FALLBACK_API_KEY",
  };
}

/** As `#noticing`, for what says nothing about the plan. */
function noticing(observer: ReplyObserver | undefined): (event: WireEvent) => void {
  return (event) => observer?.onNotable(event);
}

/** The model asks the client to run a tool. */
function isToolCall({ type, event }: WireEvent): boolean {
  return type === "response.output_item.added" && event.type === type && isObject(event.item) && isCall(event.item);
}

/** Ours, the client's connection, or made anew by fetch. `accept-encoding`: fetch asks and decodes by itself. */
const NOT_FORWARDED =
  /^(authorization|x-api-key|host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|accept-encoding|content-encoding|origin|referer|cookie|sec-.*|forwarded|x-forwarded-.*)$/;
