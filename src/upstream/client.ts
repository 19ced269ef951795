import { platform, arch, release } from "node:os";
import type { CredentialProvider, Credentials } from "../auth/credentials.ts";
import { isEndpointRefused, type EndpointCall } from "../codex/wire/endpoint-call.ts";
import { refusalOf, refusedField } from "../codex/request/refusals.ts";
import { withAuthorizationText } from "../codex/wire/failure.ts";
import { conversationHeaders, frameHeaders, identityHeaders, modelHeaders } from "../codex/wire/headers.ts";
import { headersFromLimits, type PlanLimits } from "../codex/plan-limits.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import { isCall } from "../codex/wire/lenient.ts";
import { isKnownEvent } from "../codex/wire/event-types.ts";
import { RelayError, toRelayError } from "../lib/errors.ts";
import { PAGE_HINT } from "../lib/web-page.ts";
import { isObject, parseJson, type JsonObject } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { NAME, VERSION } from "../version.ts";
import { watchAttempt, type AttemptObserver } from "./attempts.ts";
import { CatalogueKeeper } from "./catalogue.ts";
import { credentialHeaders } from "./credential-headers.ts";
import { CookieJar } from "./cookie-jar.ts";
import type { Egress } from "./egress.ts";
import { endpointCallBody, endpointCallHeaders, endpointCallUrl, readAnswer } from "./endpoint-calls.ts";
import { failedDetour, Fallback, keyRefused } from "./fallback.ts";
import { EventReader, type EventBatches } from "./sse.ts";
import { afterFirstEvent, afterFirstOutput } from "./first-output.ts";
import { HttpTransport } from "./transport/http.ts";
import { PairedSocket, type PairedFrame } from "./transport/paired-socket.ts";
import {
  isSocketFault,
  SocketTransport,
  type SocketCall,
  type SocketOwner,
  type SocketReplyStart,
} from "./transport/websocket.ts";
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
import { RequestEncoder, type PreparedRequest, type WrittenRequest } from "./request-encoder.ts";

/** One request to the backend. */
export interface UpstreamCall extends WrittenRequest {
  readonly observer?: ReplyObserver;
  /** Where a Codex client asks over a socket: the backend's socket that belongs to it, and its own frame. */
  readonly paired?: { readonly socket: PairedSocket; readonly frame: PairedFrame };
}

/** Watches a reply's events as they come, also of attempts that are then repeated. Quick, and never throws. */
export interface ReplyObserver extends AttemptObserver {
  /** Every event but the many deltas. */
  onNotable(event: WireEvent): void;
  /** All events of one network read. */
  onBatch(batch: readonly WireEvent[]): void;
}

/** A reply that has begun well: its first event that matters is no failure, or none came for `holdMs`. */
export interface UpstreamReply {
  readonly headers: Headers;
  /** Whoever stops reading before the end cancels it: an abort of the signal wakes only those who read. */
  readonly events: EventBatches;
  /** Paths of what was not sent as the dialect wrote it. */
  readonly dropped: readonly string[];
  /** Who answers in place of the plan or of the model that was asked for, past a limit of the plan. */
  readonly fallback?: { readonly name: string; readonly model: string } | undefined;
  /** Where the request departs from the conversation's last one, so that the prompt cache ends there; see PrefixWatch. */
  readonly prefixDeparture?: string | undefined;
  /** Stays the same for all requests of one client's conversation. */
  readonly ownConversation?: string | undefined;
}

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
  readonly headers: Headers;
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
  readonly #sockets: SocketTransport;
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
    this.#sockets = new SocketTransport({
      connect: (url, signal) => dependencies.egress.connect(url, signal),
      handshakeTimeoutMs: () => Math.min(this.#options.firstByteTimeoutMs, HANDSHAKE_TIMEOUT_MS),
      choice: () => this.#options.transport,
      now: this.#now,
      log: this.#log,
    });
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
    const credentials = await this.#credentials.current();
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
      const { body, envelope } = encoder.sent;
      const prefixDeparture = this.#prefixes.notice(encoder.ownConversation, body, envelope);
      const headers = withHeaders(reply.headers, this.limits.spendingHeaders(credentials.accountId));
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
    const events = this.#events(response, (event) => call.observer?.onNotable(event), call.observer, linkedAbort);
    const begun = call.codexHeaders ? events : await this.#begun(response, events);
    return { headers: response.headers, events: begun, dropped: encoder.adjusted };
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
    const ofModel = modelHeaders(call.body.model);
    // A socket's headers were sent with its handshake.
    const isHttpOnly = Object.keys(ofModel).length > 0 || (call.codexHeaders !== undefined && !call.paired);
    const attemptOverSocket = () =>
      call.paired
        ? this.#attemptPaired(url, { ...call, ...call.paired }, credentials, prepared, signal)
        : this.#attemptOverSocket(url, call, credentials, prepared, signal);
    const overSocket = isHttpOnly ? undefined : await attemptOverSocket();
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
    this.catalogue.noticeEtag(response.headers.get("x-models-etag"));
    this.limits.noticeHeaders(response.headers, credentials.accountId);
    if (!response.ok) throw await this.#refusal(response);
    if (!call.codexHeaders) this.#turnStates.notice(ownConversation, response.headers);
    const onNotable = (event: WireEvent) => {
      this.#notice(event, credentials.accountId, call.observer);
      // A tool's output will follow, and its request finds the handshake done.
      if (!isHttpOnly && !call.paired && isToolCall(event)) {
        this.#sockets.warm(
          this.#socketOwner(url, prepared, credentials, this.#turnStates.headersWithin(ownConversation)),
        );
      }
    };
    const events = this.#events(response, onNotable, call.observer, linkedAbort);
    // A Codex client reads failures out of the stream itself.
    const begun = call.codexHeaders ? events : await this.#begun(response, events);
    return { headers: response.headers, events: begun, dropped: encoder.adjusted };
  }

  /** Where answers are asked for. */
  get #url(): string {
    return `${this.#options.baseUrl}${this.#options.responsesPath}`;
  }

  async #begun({ headers }: Response, events: EventBatches): Promise<EventBatches> {
    try {
      return await afterFirstOutput(events, this.#options.holdMs, this.#now);
    } catch (thrown) {
      throw thrown instanceof RelayError ? withAuthorizationText(thrown, headers) : thrown;
    }
  }

  /**
   * The same over a WebSocket; undefined where HTTP has to do it. A socket that has lost its history, or dies before it
   * said anything, has its request sent again whole: nothing of an answer was seen.
   */
  async #attemptOverSocket(
    url: string,
    call: UpstreamCall,
    credentials: Credentials,
    prepared: PreparedRequest,
    signal: AbortSignal,
  ): Promise<Omit<UpstreamReply, "dropped"> | undefined> {
    const { accountId } = credentials;
    const { holdMs } = this.#options;
    const { wire, headers, ownConversation } = prepared;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const seen = { anything: false };
      const started = await this.#sockets.send(
        {
          ...this.#socketOwner(url, prepared, credentials, this.#turnStates.headersFor(ownConversation, wire)),
          frameHeaders: headers,
          body: { ...wire },
          reply: this.#socketReply(call, accountId, seen),
        },
        signal,
      );
      if (!started) return undefined;
      this.#noticeHandshake(url, started, accountId);
      if (started.isNew) this.#turnStates.notice(ownConversation, started.headers);
      try {
        const events = await afterFirstOutput(started.events, holdMs, this.#now);
        return { headers: this.#socketHeaders(started.headers), events };
      } catch (thrown) {
        const error = toRelayError(thrown);
        const isDead = !seen.anything && isConnectionFault(error);
        // Places in the rest of a conversation are none in the whole, by which refusals are understood.
        const isMisplaced = started.isContinued && /\binput\b/.test(`${error.param ?? ""} ${error.message}`);
        const isAnew = isSocketFault(error) || (isMisplaced && error.code === "upstream_rejected");
        if (signal.aborted || !(isDead || isAnew)) throw thrown;
        this.#sockets.forget(ownConversation);
        if (isDead) return undefined;
      }
    }
    return undefined;
  }

  /**
   * A Codex client's frame over the backend's socket that is its own; undefined where HTTP has to do it. What that socket
   * has lost, or a socket that died in silence, is made good by the whole conversation on another.
   */
  async #attemptPaired(
    url: string,
    { socket, frame, ...call }: UpstreamCall & NonNullable<UpstreamCall["paired"]>,
    credentials: Credentials,
    { wire, conversationId, ownConversation }: PreparedRequest,
    signal: AbortSignal,
  ): Promise<Omit<UpstreamReply, "dropped"> | undefined> {
    const { accountId } = credentials;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const seen = { anything: false };
      const sent: SocketCall = {
        url,
        headers: this.#handshakeHeaders(url, conversationId, credentials, frame.headers),
        frameHeaders: {},
        body: { ...wire },
        conversationId: ownConversation,
        login: accountId ?? "",
        reply: { ...this.#socketReply(call, accountId, seen), handsOnErrors: "after-output" },
      };
      const started = await socket.send(sent, frame, signal);
      if (!started) return undefined;
      this.#noticeHandshake(url, started, accountId);
      try {
        const events = await afterFirstEvent(started.events);
        return { headers: this.#socketHeaders(started.headers), events };
      } catch (thrown) {
        const error = toRelayError(thrown);
        const isDead = !seen.anything && isConnectionFault(error);
        if (signal.aborted || !(isDead || isSocketFault(error))) throw thrown;
        socket.forget();
        if (isDead) return undefined;
      }
    }
    return undefined;
  }

  /** The backend's socket for a Codex client's; its owner closes it. */
  pairedSocket(): PairedSocket {
    return new PairedSocket(this.#sockets);
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
    return this.#attemptPaired(url, { ...call, ...call.paired }, credentials, encoder.prepare(), signal);
  }

  /** Whose socket a request goes over; within a turn its handshake brings the turn's state. */
  #socketOwner(
    url: string,
    { conversationId, ownConversation }: PreparedRequest,
    credentials: Credentials,
    turnState: Readonly<Record<string, string>>,
  ): SocketOwner {
    return {
      url,
      headers: this.#handshakeHeaders(url, conversationId, credentials, turnState),
      conversationId: ownConversation,
      login: credentials.accountId ?? "",
    };
  }

  #handshakeHeaders(
    url: string,
    conversationId: string,
    credentials: Credentials,
    more: Readonly<Record<string, string>>,
  ): Record<string, string> {
    return {
      ...this.#identity,
      ...conversationHeaders(conversationId),
      ...more,
      ...credentialHeaders(credentials),
      ...this.#cookies.headersFor(url),
      ...SOCKET_HEADERS,
    };
  }

  /** How the reply to `call` is read; `seen` says whether any of it has come. */
  #socketReply(
    { observer }: Pick<UpstreamCall, "observer">,
    accountId: string | undefined,
    seen: { anything: boolean },
  ): SocketCall["reply"] {
    const { idleTimeoutMs, firstByteTimeoutMs } = this.#options;
    return {
      handsOnErrors: false,
      idleTimeoutMs,
      firstEventTimeoutMs: firstByteTimeoutMs,
      onIgnored: () => (this.counts.ignoredData += 1),
      onNotable: (event) => {
        seen.anything = true;
        this.#notice(event, accountId, observer);
      },
      onBatch: (batch) => observer?.onBatch(batch),
    };
  }

  #noticeHandshake(url: string, { isNew, headers }: SocketReplyStart, accountId: string | undefined): void {
    if (!isNew) return;
    this.#cookies.notice(url, headers);
    this.catalogue.noticeEtag(headers.get("x-models-etag"));
    this.limits.noticeHeaders(headers, accountId);
  }

  /** Headers of a reply over a socket: those of its handshake, and the plan's windows as they are now. */
  #socketHeaders(handshake: Headers): Headers {
    const headers = new Headers();
    for (const [name, value] of handshake) if (OF_SOCKET.test(name)) headers.set(name, value);
    const limits = this.limits.current();
    if (limits)
      for (const [name, value] of Object.entries(headersFromLimits(limits, this.#now()))) headers.set(name, value);
    return headers;
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
    this.limits.noticeHeaders(response.headers, credentials.accountId);
    if (!response.ok) throw await this.#refusal(response);
    const answer = await readAnswer(response, idleTimeoutMs, onBytes);
    return { headers: response.headers, body: answer, dropped: [...dropped] };
  }

  #events(
    response: Response,
    onNotable: (event: WireEvent) => void,
    observer: ReplyObserver | undefined,
    linkedAbort: LinkedAbort,
  ): EventBatches {
    const contentType = response.headers.get("content-type") ?? "";
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
      this.limits.noticeHeaders(frameHeaders((event.event as JsonObject)["headers"]), accountId);
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
  async credentials(): Promise<Credentials> {
    return this.#credentials.current();
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

/** What the Codex CLI sends with the handshake of its sockets. */
const SOCKET_HEADERS = { "openai-beta": "responses_websockets=2026-02-06" };

/** After this HTTP is the faster way. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Of a handshake's reply, what holds for every reply over the socket. */
const OF_SOCKET = /^(x-codex-turn-state|x-models-etag|x-reasoning-included|openai-model)$/;

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

/** The model asks the client to run a tool. */
function isToolCall({ type, event }: WireEvent): boolean {
  return type === "response.output_item.added" && event.type === type && isObject(event.item) && isCall(event.item);
}

/** The connection's fault rather than the backend's answer. */
function isConnectionFault({ code }: RelayError): boolean {
  return code === "upstream_stream_truncated" || code === "upstream_timeout" || code === "upstream_unreachable";
}

/** Ours, the client's connection, or made anew by fetch. `accept-encoding`: fetch asks and decodes by itself. */
const NOT_FORWARDED =
  /^(authorization|x-api-key|host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|accept-encoding|content-encoding|origin|referer|cookie|sec-.*|forwarded|x-forwarded-.*)$/;

/** Headers with more of them; the same object where there are none to add. */
function withHeaders(headers: Headers, more: Readonly<Record<string, string>>): Headers {
  const names = Object.entries(more);
  if (names.length === 0) return headers;
  const all = new Headers(headers);
  for (const [name, value] of names) all.set(name, value);
  return all;
}
