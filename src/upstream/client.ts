import { platform, arch, release } from "node:os";
import type { CredentialProvider, Credentials } from "../auth/credentials.ts";
import { isEndpointRefused, type Errand } from "../codex/errand.ts";
import { httpFailure, unsupportedParameter } from "../codex/failure.ts";
import { conversationHeaders, identityHeaders } from "../codex/headers.ts";
import { LITE_HEADER, needsClassicShape, toLite } from "../codex/lite.ts";
import { findModel, type ModelCatalogue } from "../codex/models.ts";
import type { PlanLimits } from "../codex/plan-limits.ts";
import type { CodexRequest } from "../codex/schema.ts";
import { isKnownEvent, type WireEvent } from "../codex/wire-event.ts";
import { RelayError } from "../lib/errors.ts";
import { parseJson, type JsonObject } from "../lib/json.ts";
import { writeJson } from "../lib/large-json.ts";
import type { Log } from "../lib/log.ts";
import { NAME, VERSION } from "../version.ts";
import { CatalogueKeeper } from "./catalogue.ts";
import type { Egress } from "./egress.ts";
import { errandBody, errandHeaders, errandUrl, readAnswer } from "./errands.ts";
import { readEvents } from "./events.ts";
import { afterFirstOutput } from "./first-output.ts";
import { PlanLimitsKeeper } from "./plan-limits.ts";
import { ToolMemory } from "./tool-memory.ts";
import { unreachable } from "../lib/unreachable.ts";
import type { LiveUpstreamOptions, UpstreamOptions } from "./options.ts";
import { Packing } from "./packing.ts";
import { Persistence } from "./persistence.ts";
import { Tether } from "./tether.ts";

/** One request to the backend. */
export interface UpstreamCall {
  readonly body: CodexRequest;
  /** UUID that stays the same for all requests of one conversation. */
  readonly conversationId: string;
  /** Headers of a Codex client, passed on as they are; none for everyone else. */
  readonly codexHeaders: Readonly<Record<string, string>> | undefined;
  /** Hex characters unique to the request. */
  readonly requestId: string;
  readonly observer?: ReplyObserver;
}

/** Told of a reply's events as they come, also of attempts that are then repeated. Quick, and never throws. */
export interface ReplyObserver {
  /** Every event but the many deltas. */
  onNotable(event: WireEvent): void;
  /** All events of one network read. */
  onBatch(batch: readonly WireEvent[]): void;
}

/** A reply that has begun well: its first event that matters is no failure, or none came for `holdMs`. */
export interface UpstreamReply {
  readonly headers: Headers;
  /** Batches of one network read each. Return it (or abort the signal) to let upstream go. */
  readonly events: AsyncGenerator<WireEvent[], void, undefined>;
  /** Fields that the backend refused and that were left out on a second try. */
  readonly dropped: readonly string[];
}

export interface UpstreamDependencies {
  readonly options: UpstreamOptions;
  readonly credentials: CredentialProvider;
  readonly egress: Egress;
  readonly log: Log;
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random?: () => number;
}

/** Counters for health and metrics. */
export interface UpstreamCounts {
  retries: number;
  /** Data fields that are no events. */
  ignoredData: number;
  /** Events of types that the relay does not know, by type: the backend has moved on. */
  readonly unknownEvents: Map<string, number>;
}

/** Types told apart; upstream's inventions beyond are counted as one. */
const UNKNOWN_TYPES = 32;

/** Whose errand it is. */
export interface ErrandCall extends Pick<UpstreamCall, "conversationId" | "codexHeaders"> {
  /** By which a plan's limits are held against it. */
  readonly model: string;
}

/** The whole answer to an errand. */
export interface ErrandReply {
  readonly headers: Headers;
  readonly body: JsonObject;
  /** Fields that the backend refused and that were left out on a second try. */
  readonly dropped: readonly string[];
}

/** What a single attempt may still try; each cure works once. */
interface Cures {
  /** Whether the last attempt was. */
  isPacked: boolean;
  withoutReasoning: boolean;
  shape: "auto" | "lite";
  readonly dropped: Set<string>;
  /** As they were sent last. */
  tools: readonly unknown[];
}

/** Speaks to the backend on behalf of every dialect. */
export class UpstreamClient {
  readonly catalogue: CatalogueKeeper;
  readonly limits: PlanLimitsKeeper;
  readonly counts: UpstreamCounts = { retries: 0, ignoredData: 0, unknownEvents: new Map() };
  #options: UpstreamOptions;
  readonly #credentials: CredentialProvider;
  readonly #egress: Egress;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #persistence: Persistence;
  readonly #identity: Record<string, string>;
  /** Fields that the backend has refused before: left out from the start. */
  readonly #unsupported = new Set<string>();
  readonly #refusedTools = new ToolMemory();
  readonly #packing = new Packing();
  /** When a connection last failed or stayed silent. */
  #brokenAtMs: number | undefined;

  constructor(dependencies: UpstreamDependencies) {
    this.#options = dependencies.options;
    this.#credentials = dependencies.credentials;
    this.#egress = dependencies.egress;
    this.#log = dependencies.log;
    this.#now = dependencies.now ?? Date.now;
    this.#persistence = new Persistence({ ...dependencies, counts: this.counts });
    this.#identity = identityHeaders({
      clientVersion: this.#options.clientVersion,
      platform: `${platform()} ${release()}; ${arch()}`,
      product: `${NAME}/${VERSION}`,
    });
    this.catalogue = new CatalogueKeeper({
      ask: (etag) => this.#askModels(etag),
      modelsCacheFile: this.#options.modelsCacheFile,
      published: this.#options.models,
      now: this.#now,
      log: this.#log,
    });
    this.limits = new PlanLimitsKeeper({
      ask: () => this.#askUsage(AbortSignal.timeout(ASIDE_TIMEOUT_MS)).then(({ text }) => text),
      stopAtPercent: this.#options.stopAtPercent,
      now: this.#now,
      log: this.#log,
    });
  }

  /** From now on these hold; replies under way keep what they began with. */
  reconfigure(options: LiveUpstreamOptions): void {
    this.#options = { ...this.#options, ...options };
    this.catalogue.publish(options.models);
    this.limits.stopAt(options.stopAtPercent);
  }

  /**
   * Sends one request and returns once the reply has begun. Retries, refreshes and learns only before that, so the
   * client has seen nothing twice. Throws RelayError; an abort of `signal` throws `client_closed`.
   */
  async send(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamReply> {
    const cures: Cures = { isPacked: false, withoutReasoning: false, shape: "auto", dropped: new Set(), tools: [] };
    const credentials = await this.#credentials.current();
    await this.limits.admit(call.body.model, credentials.accountId);
    return this.#persistence.until(credentials, signal, {
      attempt: (current) => this.#attempt(call, current, cures, signal),
      cure: (error) => this.#cure(error, call, cures),
      // A Codex client has its own retries; doubling them would only multiply the waiting.
      isRepeatable: () => !call.codexHeaders,
    });
  }

  /**
   * Runs one errand, with the same care as a request for a response. `codexHeaders` are those of a Codex client, whose
   * body goes as it is. Throws RelayError; an abort of `signal` throws `client_closed`.
   */
  async run(errand: Errand, call: ErrandCall, signal: AbortSignal): Promise<ErrandReply> {
    const { model, codexHeaders } = call;
    const dropped = new Set<string>();
    const credentials = await this.#credentials.current();
    await this.limits.admit(model, credentials.accountId);
    return this.#persistence.until(credentials, signal, {
      attempt: (current) => this.#attemptErrand(errand, call, current, dropped, signal),
      cure: (error) => {
        const name = unsupportedParameter(error.message);
        if (codexHeaders || name === undefined || !(name in errand.body)) return false;
        if (errand.required.includes(name) || dropped.has(name)) return false;
        dropped.add(name);
        return true;
      },
      isRepeatable: (error) => !codexHeaders && !isEndpointRefused(error),
    });
  }

  /** Changes the request so that the same refusal cannot come again. False when nothing can be changed. */
  #cure(error: RelayError, call: UpstreamCall, cures: Cures): boolean {
    if (cures.isPacked && this.#packing.learn(error)) {
      this.#log.warn("The backend does not take packed requests; they go as they are from now on.");
      return true;
    }
    if (call.codexHeaders) return false;
    const name = unsupportedParameter(error.message);
    if (name !== undefined && name in call.body && !REQUIRED.has(name) && !cures.dropped.has(name)) {
      this.#unsupported.add(name);
      cures.dropped.add(name);
      this.#log.warn("The backend refuses a field that it used to take; it is left out from now on.", { field: name });
      return true;
    }
    if (this.#refusedTools.learn(error, call.body.tools ?? [], cures.tools)) {
      this.#log.debug("The backend refuses a tool's schema; it is made simpler.", { reason: error.message });
      return true;
    }
    if (error.wireCode === "invalid_encrypted_content" && !cures.withoutReasoning) {
      cures.withoutReasoning = true;
      return true;
    }
    const isShapeFault = error.code === "model_not_found" && needsClassicShape(call.body) && cures.shape === "auto";
    if (isShapeFault) cures.shape = "lite";
    return isShapeFault;
  }

  async #attempt(
    call: UpstreamCall,
    credentials: Credentials,
    cures: Cures,
    signal: AbortSignal,
  ): Promise<UpstreamReply> {
    const { payload, isLite } = call.codexHeaders
      ? { payload: call.body, isLite: false }
      : await this.#pack(call, cures);
    const url = `${this.#options.baseUrl}${this.#options.responsesPath}`;
    const { body, headers } = await this.#packing.pack(url, await writeJson(payload));
    cures.isPacked = headers["content-encoding"] !== undefined;
    const tether = new Tether(signal);
    const response = await this.#fetch(
      url,
      {
        method: "POST",
        headers: {
          ...this.#identity,
          ...conversationHeaders(call.conversationId),
          ...call.codexHeaders,
          ...(isLite ? { [LITE_HEADER]: "true" } : {}),
          ...credentialHeaders(credentials),
          accept: "text/event-stream",
          "content-type": "application/json",
          ...headers,
        },
        body,
      },
      tether,
    );
    this.catalogue.noticeEtag(response.headers.get("x-models-etag"));
    this.limits.noticeHeaders(response.headers, credentials.accountId);
    if (!response.ok) throw await this.#refusal(response);
    const events = this.#events(response, credentials.accountId, call.observer, tether);
    // A Codex client reads failures out of the stream itself.
    const begun = call.codexHeaders ? events : await afterFirstOutput(events, this.#options.holdMs, this.#now);
    return { headers: response.headers, events: begun, dropped: [...cures.dropped] };
  }

  async #attemptErrand(
    errand: Errand,
    { conversationId, codexHeaders }: ErrandCall,
    credentials: Credentials,
    dropped: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<ErrandReply> {
    const { idleTimeoutMs, baseUrl } = this.#options;
    const kept = Object.fromEntries(Object.entries(errand.body).filter(([name]) => !dropped.has(name)));
    const { body, headers } = await errandBody(kept);
    const about = { ...errandHeaders(errand, this.#identity, conversationId), ...codexHeaders };
    const response = await this.#fetch(
      errandUrl(errand, baseUrl),
      { method: "POST", headers: { ...about, ...credentialHeaders(credentials), accept: "*/*", ...headers }, body },
      new Tether(signal),
      // The headers come with the whole answer: all of the work is done before.
      idleTimeoutMs,
    );
    this.limits.noticeHeaders(response.headers, credentials.accountId);
    if (!response.ok) throw await this.#refusal(response);
    return { headers: response.headers, body: await readAnswer(response, idleTimeoutMs), dropped: [...dropped] };
  }

  async #pack(call: UpstreamCall, cures: Cures): Promise<{ payload: object; isLite: boolean }> {
    const refused = [...this.#unsupported].filter((name) => name in call.body);
    for (const name of refused) cures.dropped.add(name);
    const kept = Object.entries(call.body).filter(([name]) => !refused.includes(name));
    const body = Object.fromEntries(kept) as CodexRequest;
    if (body.tools) {
      const { tools, dropped } = this.#refusedTools.apply(body.tools);
      body.tools = tools;
      cures.tools = tools;
      for (const path of dropped) cures.dropped.add(path);
    }
    if (cures.withoutReasoning) body.input = body.input.filter((item) => item["type"] !== "reasoning");
    const isLite =
      cures.shape === "lite" ||
      (!needsClassicShape(body) && this.#usesLite(body.model, await this.catalogue.current()));
    return { payload: isLite ? toLite(body, call.requestId) : body, isLite };
  }

  #usesLite(model: string, catalogue: ModelCatalogue): boolean {
    const choice = this.#options.lite.models[model] ?? this.#options.lite.default;
    return choice === "auto" ? findModel(catalogue, model)?.use_responses_lite === true : choice === "on";
  }

  #events(
    response: Response,
    accountId: string | undefined,
    observer: ReplyObserver | undefined,
    tether: Tether,
  ): AsyncGenerator<WireEvent[], void, undefined> {
    const contentType = response.headers.get("content-type") ?? "";
    if (!response.body || /json|html/.test(contentType)) {
      response.body?.cancel().catch(() => {});
      throw new RelayError("upstream_error", `Upstream answered with ${contentType || "nothing"} instead of a stream.`);
    }
    return readEvents(response.body, {
      idleTimeoutMs: this.#options.idleTimeoutMs,
      onIgnored: () => (this.counts.ignoredData += 1),
      onNotable: (event) => {
        if (event.type === "codex.rate_limits") this.limits.noticeBody(event.event, accountId);
        else if (!isKnownEvent(event.type)) this.#countUnknown(event.type);
        observer?.onNotable(event);
      },
      ...(observer ? { onBatch: (batch: readonly WireEvent[]) => observer.onBatch(batch) } : {}),
      // The request is over before its reply's last bytes are in.
      onEnd: () => tether.release(),
    });
  }

  #countUnknown(type: string): void {
    const { unknownEvents } = this.counts;
    const key = unknownEvents.has(type) || unknownEvents.size < UNKNOWN_TYPES ? type : "other";
    unknownEvents.set(key, (unknownEvents.get(key) ?? 0) + 1);
  }

  /** Passes one request of an API-key login to the public API as it is, and its reply back as it is. */
  async forward(
    request: { method: string; path: string; headers: Headers; body: Uint8Array<ArrayBuffer> | undefined },
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<Response> {
    const headers = new Headers();
    for (const [name, value] of request.headers) if (!NOT_FORWARDED.test(name)) headers.set(name, value);
    headers.set("authorization", `Bearer ${credentials.accessToken}`);
    return this.#fetch(
      `${this.#options.openaiBaseUrl}${request.path}`,
      { method: request.method, headers, ...(request.body ? { body: request.body } : {}) },
      new Tether(signal),
      // An answer that is not streamed sends its headers when all of it is there.
      this.#options.idleTimeoutMs,
    );
  }

  /** The login in use, as far as routing needs it. Throws `codex_auth_required`. */
  async credentials(): Promise<Credentials> {
    return this.#credentials.current();
  }

  /** The backend's own model list, for Codex clients that bring their version. */
  async rawModels(clientVersion: string, codexHeaders: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const response = await this.#getModels(clientVersion, codexHeaders, signal);
    if (!response.ok) throw await this.#refusal(response);
    return response;
  }

  /** The plan's windows, asked now. Throws RelayError; `not_found` for API-key logins, which have none. */
  async usage(signal: AbortSignal): Promise<{ readonly body: unknown; readonly limits: PlanLimits | undefined }> {
    const { text, accountId } = await this.#askUsage(signal);
    const body = parseJson(text);
    return { body, limits: this.limits.noticeBody(body, accountId) };
  }

  async #askUsage(signal: AbortSignal): Promise<{ text: string; accountId: string | undefined }> {
    const { "user-agent": userAgent } = this.#identity;
    const headers = userAgent === undefined ? {} : { "user-agent": userAgent };
    const { response, credentials } = await this.#ask(usageUrl(this.#options.baseUrl), headers, signal);
    if (!response.ok) throw await this.#refusal(response);
    return { text: await response.text(), accountId: credentials.accountId };
  }

  async #askModels(etag: string | undefined): Promise<Response> {
    const signal = AbortSignal.timeout(ASIDE_TIMEOUT_MS);
    return this.#getModels(this.#options.clientVersion, etag === undefined ? {} : { "if-none-match": etag }, signal);
  }

  async #getModels(version: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const url = `${this.#options.baseUrl}/models?client_version=${encodeURIComponent(version)}`;
    const { response } = await this.#ask(url, { ...this.#identity, ...headers }, signal);
    return response;
  }

  /** One GET of the backend's own, beside the traffic, with the same two cures for a 401. */
  async #ask(
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<{ response: Response; credentials: Credentials }> {
    let credentials = await this.#credentials.current();
    if (credentials.kind === "api-key") {
      throw new RelayError("not_found", "An OpenAI API key has no plan, and so neither its models nor its windows.");
    }
    const ask = () => {
      const init = { headers: { ...headers, ...credentialHeaders(credentials), accept: "*/*" } };
      return this.#fetch(url, init, new Tether(signal));
    };
    let response = await ask();
    for (const attempt of [1, 2] as const) {
      if (response.status !== 401) break;
      credentials = await this.#credentials.recover(credentials, attempt);
      response = await ask();
    }
    return { response, credentials };
  }

  async #refusal(response: Response): Promise<RelayError> {
    return httpFailure(await bodyOf(response, Math.min(this.#options.idleTimeoutMs, ASIDE_TIMEOUT_MS)), this.#now());
  }

  /**
   * After a sleep or a change of network all connections that wait for another request are dead, not just the one that
   * showed it: until they are gone, each request gets a connection of its own.
   */
  #distrustsPool(): boolean {
    // Either way: a clock may be set back.
    return this.#brokenAtMs !== undefined && Math.abs(this.#now() - this.#brokenAtMs) < POOL_MS;
  }

  /** fetch with a limit on the wait for response headers, and failures told in the relay's own words. */
  async #fetch(
    url: string,
    init: RequestInit,
    tether: Tether,
    limitMs = this.#options.firstByteTimeoutMs,
  ): Promise<Response> {
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      tether.cut();
    }, limitMs);
    try {
      return await this.#egress.fetch(url, {
        ...init,
        ...(this.#distrustsPool() ? { keepalive: false } : {}),
        signal: tether.signal,
      });
    } catch (error) {
      if (tether.signal.aborted && !isSilent) throw error;
      this.#brokenAtMs = this.#now();
      if (isSilent) {
        const seconds = Math.round(limitMs / 1000);
        throw new RelayError("upstream_timeout", `Upstream did not answer within ${seconds} seconds.`, {
          cause: error,
        });
      }
      throw unreachable(error, new URL(url).host, this.#egress.proxyFor(url));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Bun's fetch lets go of a connection that nobody has used for this long. */
const POOL_MS = 5 * 60_000;

/** Never left out, whatever upstream says about them. */
const REQUIRED = new Set(["model", "input", "store", "stream"]);

/** In characters; refusals of the backend are a few hundred. */
const LONGEST_REFUSAL = 64 * 1024;

/** For questions beside the traffic, which must not hold it up. */
const ASIDE_TIMEOUT_MS = 5000;

/** Ours, the client's connection, or made anew by fetch. `accept-encoding`: fetch asks and decodes by itself. */
const NOT_FORWARDED =
  /^(authorization|x-api-key|host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|accept-encoding|content-encoding|origin|referer|cookie|sec-.*|forwarded|x-forwarded-.*)$/;

/** Beside the Codex API; a backend of somebody's own, without `/backend-api`, has it elsewhere. */
function usageUrl(baseUrl: string): string {
  const root = baseUrl.replace(/\/codex$/, "");
  return root.includes("/backend-api") ? `${root}/wham/usage` : `${root}/api/codex/usage`;
}

function credentialHeaders(credentials: Credentials): Record<string, string> {
  return {
    authorization: `Bearer ${credentials.accessToken}`,
    ...(credentials.accountId === undefined ? {} : { "chatgpt-account-id": credentials.accountId }),
    ...(credentials.isFedramp ? { "x-openai-fedramp": "true" } : {}),
  };
}

/** A refusal with its text, or with what of it came in time: the status alone says most. */
async function bodyOf(
  response: Response,
  limitMs: number,
): Promise<{ status: number; headers: Headers; text: string }> {
  const reader = (response.body ?? new Blob().stream()).getReader();
  const letGo = () => void reader.cancel().catch(() => {});
  const decoder = new TextDecoder();
  let text = "";
  const timer = setTimeout(letGo, limitMs);
  try {
    while (text.length < LONGEST_REFUSAL) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    // Broken off: what came has to do.
  } finally {
    clearTimeout(timer);
    letGo();
  }
  return { status: response.status, headers: response.headers, text: text.slice(0, LONGEST_REFUSAL) };
}
