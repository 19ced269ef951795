import type { Server } from "bun";
import type { CredentialProvider } from "../auth/credentials.ts";
import { isCodexClient } from "../codex/wire/headers.ts";
import { ReasoningStore } from "../codex/reasoning-store.ts";
import { ResponseStore } from "../codex/response-store.ts";
import { RelayError, toRelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { DIALECTS, EXCHANGES } from "../protocols/index.ts";
import type { ErrorFormat, ProtocolEntry } from "../protocols/protocol.ts";
import type { UpstreamClient } from "../upstream/client.ts";
import { BodyBudget } from "./body-budget.ts";
import { dialectRoutes } from "./dialect-routes.ts";
import { corsHeaders, Gate, preflightHeaders, refuseForms, type Caller } from "./access.ts";
import type { Admitted, HandleDependencies } from "./handle.ts";
import { openRoutes, type Instance } from "./health.ts";
import { RequestLifetime } from "./lifetime.ts";
import { Metrics, type MetricsSnapshot } from "./metrics.ts";
import { modelRoutes } from "./models.ts";
import type { RelayOptions } from "./options.ts";
import { isPublicApiPath, PublicApi } from "./public-api.ts";
import { RequestRecord, type RecordStart } from "./record.ts";
import { COMMON_VOICE, errorReply } from "./reply.ts";
import { logRequest } from "./request-log.ts";
import { fits, isNotOffered, pathOf, spokenIn, type Handler, type Route } from "./routes.ts";
import { isUpgrade, Sockets, TAKEN } from "./sockets.ts";
import { storedRoutes } from "./stored.ts";
import type { ResponsesSocket, SocketDependencies } from "./websocket.ts";

export interface RelayDependencies {
  readonly options: RelayOptions;
  readonly upstream: UpstreamClient;
  readonly credentials: CredentialProvider;
  readonly log: Log;
  /** What /health shows as `instance`, when whoever starts this process has to recognise it; else random. */
  readonly instanceId?: string | undefined;
  readonly now?: () => number;
  /** Milliseconds since some moment, for durations: unlike `now` it never goes back. */
  readonly elapsed?: () => number;
}

/** What a request's answer needs of its route; `path` is undefined where none fits. */
interface RouteFacts {
  readonly isOpen: boolean;
  readonly dialect?: ProtocolEntry | undefined;
  readonly path: string | undefined;
}

/** Routes, and what all of them have in common: gate, request id, limits, errors. */
export class Relay {
  readonly log: Log;
  readonly instance: Instance;
  /** Lives of the requests in flight. */
  readonly active = new Set<RequestLifetime>();
  readonly sockets: Sockets;
  readonly #deps: RelayDependencies;
  readonly #metrics = new Metrics();
  readonly #room: BodyBudget;
  readonly #publicApi: PublicApi;
  readonly #now: () => number;
  readonly #elapsed: () => number;
  readonly #routes: readonly Route[];
  readonly #patterns: ReadonlySet<string>;
  #options: RelayOptions;
  #handling: HandleDependencies;
  #gate: Gate;

  constructor(deps: RelayDependencies) {
    this.#deps = deps;
    this.log = deps.log;
    this.#now = deps.now ?? Date.now;
    this.#elapsed = deps.elapsed ?? (() => performance.now());
    this.#options = deps.options;
    this.#gate = new Gate(deps.options);
    this.#room = new BodyBudget(() => BODIES_AT_ONCE * this.#options.maxBodyBytes);
    this.#publicApi = new PublicApi(deps.upstream, () => this.#options.maxBodyBytes);
    this.#handling = {
      options: deps.options,
      upstream: deps.upstream,
      memory: new ReasoningStore(),
      responses: new ResponseStore(),
      log: deps.log,
      now: this.#now,
    };
    this.instance = { id: deps.instanceId ?? newId(), startedAtMs: this.#now() };
    this.sockets = new Sockets({
      publicApi: this.#publicApi,
      deps: () => this.#socketDependencies(),
      record: (start) => this.#record(start),
    });
    this.#routes = [
      ...dialectRoutes({
        publicApi: this.#publicApi,
        handling: () => this.#handling,
        upgrade: (admitted) => this.sockets.upgrade(admitted),
      }),
      ...modelRoutes(deps.upstream, this.#publicApi),
      ...storedRoutes(this.#handling.responses, this.#publicApi, this.#now),
      ...openRoutes({
        instance: this.instance,
        credentials: deps.credentials,
        metrics: this.#metrics,
        now: this.#now,
        moment: (isTrusted) => this.#moment(isTrusted),
      }),
    ];
    this.#patterns = new Set(this.#routes.map(({ path }) => path));
  }

  reconfigure(options: RelayOptions): void {
    this.#options = options;
    this.#gate = new Gate(options);
    this.#handling = { ...this.#handling, options };
  }

  /** The route table in Bun's form: one wrapped handler for each path and method. */
  bunRoutes(): Record<
    string,
    Record<string, (request: Request, server: Server<ResponsesSocket>) => Promise<Response>>
  > {
    return Object.fromEntries(
      this.#routes.map((route) => [
        route.path,
        Object.fromEntries(
          Object.entries(route.methods).map(([method, handler]) => [
            method,
            (request: Request, server: Server<ResponsesSocket>) => this.#answer(request, server, route, handler),
          ]),
        ),
      ]),
    );
  }

  /** Everything that no route took: other methods, preflights, paths that do not exist. */
  elsewhere(request: Request, server: Server<ResponsesSocket>): Promise<Response> {
    const path = pathOf(request.url);
    const route = this.#routes.find((candidate) => fits(candidate.path, path));
    return this.#answer(
      request,
      server,
      // A preflight carries no key by design; it gives nothing away.
      { isOpen: request.method === "OPTIONS" || route?.isOpen === true, dialect: route?.dialect, path: route?.path },
      (admitted) => this.#unrouted(admitted, path, route),
    );
  }

  async #unrouted(admitted: Admitted, path: string, route: Route | undefined): Promise<Response> {
    const { request, visitor } = admitted;
    const methods = route ? Object.keys(route.methods) : [];
    const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
    if (request.method === "OPTIONS" && (route || visitor.origin !== undefined)) {
      return new Response(null, {
        status: 204,
        headers: { allow, ...preflightHeaders(visitor, request.headers, allow) },
      });
    }
    // Bun's router takes paths as they came, `/v1/../health` too; `request.url` has them resolved.
    const handler = route?.methods[request.method === "HEAD" ? "GET" : request.method];
    if (handler) return handler(admitted);
    const isPublic = route ? !route.isOpen && isOpenai(route) : isPublicApiPath(path);
    // OPTIONS comes in without a key, so nothing may be spent on it.
    if (request.method !== "OPTIONS" && isPublic && (await this.#publicApi.isLogin())) {
      return this.#publicApi.forward(admitted, path);
    }
    if (route) {
      throw new RelayError("method_not_allowed", `${request.method} is not allowed on ${path}.`, {
        headers: { allow },
      });
    }
    if (isNotOffered(path)) {
      throw new RelayError("not_implemented", `${path} is not offered by this relay.`, { shouldRetry: false });
    }
    throw new RelayError("not_found", `Unknown request URL: ${request.method} ${path.slice(0, 200)}.`, {
      hint: `The relay answers on ${[...[...DIALECTS, ...EXCHANGES].flatMap(({ paths }) => paths), "/v1/models"].join(", ")}.`,
    });
  }

  /** Gate, limits and error rendering around one handler. */
  async #answer(
    request: Request,
    server: Server<ResponsesSocket>,
    route: RouteFacts,
    handler: Handler,
  ): Promise<Response> {
    const { isOpen, dialect } = route;
    const id = newId();
    const { method, url } = request;
    const record = this.#record({
      id,
      method,
      path: pathOf(url),
      route: route.path,
      dialect: dialect?.name,
      isProbe: isOpen,
    });
    const life: RequestLifetime = new RequestLifetime(request.signal, (reason) => {
      this.active.delete(life);
      if (life.isStreaming) record.end(life, reason);
    });
    const waitForever = () => server.timeout(request, 0);
    const upgrade = (data: unknown) => server.upgrade(request, { data: data as ResponsesSocket });
    const room = this.#room.enter();
    const ways = { waitForever, upgrade, holdBody: room.hold };
    let admitted: Admitted = { request, visitor: STRANGER, id, life, record, ...ways };
    try {
      const visitor = this.#gate.admit(request.headers, isOpen);
      admitted = { ...admitted, visitor };
      refuseForms(request, visitor);
      // A socket waits most of its life; its requests are counted one by one.
      if (!isOpen && !isUpgrade(request)) this.#enter(life);
      const reply = await handler(admitted);
      if (reply === TAKEN) return reply;
      record.status = reply.status;
      return withHeaders(reply, admitted);
    } catch (thrown) {
      const voice = (await dialect?.load()) ?? (await spokenIn(request)) ?? COMMON_VOICE;
      const refusal = this.#refusal(thrown, admitted, voice);
      record.status = refusal.status;
      return refusal;
    } finally {
      room.leave();
      if (!life.isStreaming) {
        this.active.delete(life);
        record.end(life);
      }
    }
  }

  #socketDependencies(): Omit<SocketDependencies, "open"> {
    return {
      handling: this.#handling,
      enter: (life) => this.#enter(life),
      leave: (life) => this.active.delete(life),
      newId,
      now: this.#now,
    };
  }

  /** A request's own page in the log and the counters. */
  #record(start: Omit<RecordStart, "keepsText">): RequestRecord {
    const { route } = start;
    const prefixed = this.#patterns.has(`/v1${route}`) ? `/v1${route}` : route;
    const full = { ...start, route: prefixed, keepsText: this.log.isDebug === true };
    return new RequestRecord(full, this.#elapsed, (record) => {
      logRequest(record, this.log);
      if (!record.isProbe) this.#metrics.count(record, this.#deps.upstream.catalogue.known);
    });
  }

  #moment(isTrusted: boolean): MetricsSnapshot {
    const { upstream, credentials } = this.#deps;
    return {
      startedAtMs: this.instance.startedAtMs,
      nowMs: this.#now(),
      requestsInFlight: this.active.size,
      openStreams: [...this.active].filter((life) => life.isStreaming).length,
      upstream: upstream.counts,
      refreshes: credentials.refreshes,
      plan: isTrusted ? upstream.limits.current() : undefined,
    };
  }

  /** Counts a request until its life ends, and refuses the one too many: fetch would queue it in silence. */
  #enter(life: RequestLifetime): void {
    if (this.active.size >= this.#options.maxRequests) {
      throw new RelayError("relay_busy", `The relay is already busy with ${this.active.size} requests.`, {
        retryAfterMs: 1000,
        hint: "Try again in a moment, or raise --max-requests.",
      });
    }
    this.active.add(life);
  }

  #refusal(thrown: unknown, admitted: Admitted, voice: ErrorFormat): Response {
    admitted.life.end();
    const hasLeft = admitted.request.signal.aborted;
    const error = hasLeft
      ? new RelayError("client_closed", "The client closed the request.", { cause: thrown })
      : toRelayError(isRelayStop(admitted.life.signal.reason) ? admitted.life.signal.reason : thrown);
    admitted.record.fail(error);
    if (error.code === "internal_error") {
      this.log.error("A request failed inside the relay.", { request_id: admitted.id, reason: String(error.cause) });
    }
    const headers = { "x-request-id": admitted.id, ...corsHeaders(admitted.visitor) };
    return errorReply(error, voice, headers, isCodexClient(admitted.request.headers));
  }
}

/** Of the largest size that may be held together, while they are read and until their replies begin. */
const BODIES_AT_ONCE = 8;

/** Routes of other dialects exist only here. */
function isOpenai(route: Route): boolean {
  return route.dialect === undefined || route.dialect.isOpenai;
}

const STRANGER: Caller = { clientId: "", isTrusted: false, origin: undefined, isBrowser: false };

function isRelayStop(reason: unknown): boolean {
  return reason instanceof RelayError && reason.code === "relay_stopping";
}

function withHeaders(response: Response, admitted: Admitted): Response {
  if (!response.headers.has("x-request-id")) response.headers.set("x-request-id", admitted.id);
  for (const [name, value] of Object.entries(corsHeaders(admitted.visitor))) response.headers.set(name, value);
  return response;
}

function newId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
