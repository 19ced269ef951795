import type { Server } from "bun";
import type { CredentialProvider } from "../auth/credentials.ts";
import { ReasoningStore } from "../codex/reasoning-store.ts";
import { ResponseStore } from "../codex/response-store.ts";
import type { KeyBudgets } from "../keys/budgets.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import { RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Counts } from "../ledger/ledger.ts";
import { productName } from "../lib/product-name.ts";
import type { ProtocolEntry } from "../protocols/protocol.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { UpstreamClient } from "../upstream/client.ts";
import { MemoryBudget } from "./budget.ts";
import { codexRoutes } from "./http/codex-api.ts";
import { dialectRoutes } from "./http/dialect-routes.ts";
import { ArrivalReader } from "./arrival.ts";
import { AccessCheck, refuseForms, type Caller } from "./access.ts";
import type { Admitted, HandleDependencies } from "./handle.ts";
import { openRoutes, rootReply, type Instance } from "./http/health.ts";
import { KeyWatch } from "./key-watch.ts";
import { conversationDigest, ledgerEntry } from "./ledger-entry.ts";
import { RequestLifetime } from "./lifetime.ts";
import { RequestLimit } from "./limits.ts";
import { knownModel, Metrics, planUse, type MetricsSnapshot, type StoreState } from "./metrics.ts";
import { modelRoutes } from "./http/models.ts";
import type { RelayOptions } from "./options.ts";
import { RequestFeed } from "./page/feed.ts";
import { pageRoutes } from "./page/routes.ts";
import { PageSessions } from "./page/sessions.ts";
import { StateReader } from "./page/state.ts";
import { PublicApi } from "./http/public-api.ts";
import { RequestRecord, type RecordStart } from "./record.ts";
import { refusalReply, withCommonHeaders } from "./http/outcome.ts";
import { OPENAI_ERRORS } from "./http/reply.ts";
import { logRequest } from "./request-log.ts";
import { dialectNamedIn, fits, pathOf, type Handler, type Route } from "./http/routes.ts";
import { isUpgrade, Sockets, TAKEN } from "./websocket/sockets.ts";
import { storedRoutes } from "./http/stored.ts";
import type { SharedResponses } from "./shared-responses.ts";
import { answerUnrouted } from "./http/unrouted.ts";
import type { ResponsesSocket, SocketDependencies } from "./websocket/responses-socket.ts";

export interface RelayDependencies {
  readonly options: RelayOptions;
  readonly upstream: UpstreamClient;
  readonly credentials: CredentialProvider;
  /** The clients' keys; none when left out. */
  readonly keys?: KeyRing;
  /** What those keys have used; nobody counts when left out. */
  readonly budgets?: KeyBudgets;
  /** What this relay shares with others; undefined for one of its own. */
  readonly store?: StoreState | undefined;
  /** Makes the memory of responses that goes with it. */
  readonly share?: ((local: ResponseStore) => SharedResponses) | undefined;
  /** Counts what is used; nobody does when left out. */
  readonly ledger?: Counts | undefined;
  /** Tells a collector; none when left out. */
  readonly telemetry?: Telemetry | undefined;
  readonly log: Log;
  /** Takes a code that `plansocket open` left for this relay; true for a good one. Absent where nobody leaves any. */
  readonly takeOpenCode?: ((code: string) => boolean) | undefined;
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

/** Routes, and what all of them have in common: access check, request id, limits, errors. */
export class Relay {
  readonly log: Log;
  readonly instance: Instance;
  readonly limit = new RequestLimit(() => this.#options.maxRequests);
  readonly sockets: Sockets;
  /** What the status page is told as it happens. */
  readonly feed = new RequestFeed();
  readonly #sessions: PageSessions;
  readonly #deps: RelayDependencies;
  readonly #keyWatch: KeyWatch | undefined;
  readonly #metrics = new Metrics();
  readonly #budget: MemoryBudget;
  readonly #publicApi: PublicApi;
  readonly #now: () => number;
  readonly #elapsed: () => number;
  readonly #routes: readonly Route[];
  /** Patterns that are also there with `/v1` before them, with that. */
  readonly #prefixed: ReadonlyMap<string | undefined, string>;
  #isRetiring = false;
  #options: RelayOptions;
  #handling: HandleDependencies;
  #access: AccessCheck;
  #arrivals: ArrivalReader;

  constructor(deps: RelayDependencies) {
    this.#deps = deps;
    this.log = deps.log;
    this.#now = deps.now ?? Date.now;
    this.#elapsed = deps.elapsed ?? (() => performance.now());
    this.#options = deps.options;
    this.#access = new AccessCheck(deps.options, deps.keys, this.#now);
    this.#arrivals = new ArrivalReader(deps.options.trustProxies, deps.options.basePath);
    this.#budget = new MemoryBudget(
      () => LARGEST_BODIES * this.#options.maxBodyBytes,
      () => this.#options.maxBodyBytes,
    );
    const requests = () => this.limit.active;
    const sockets = () => this.sockets.watched();
    this.#keyWatch = deps.keys && new KeyWatch({ ring: deps.keys, requests, sockets });
    const responses = new ResponseStore();
    this.#handling = {
      options: deps.options,
      upstream: deps.upstream,
      budgets: () => (deps.keys?.isInUse === true ? deps.budgets : undefined),
      memory: new ReasoningStore(),
      responses,
      shared: deps.share?.(responses),
      log: deps.log,
      now: this.#now,
    };
    this.#publicApi = new PublicApi(this.#handling, () => this.#options.maxBodyBytes);
    this.instance = { id: deps.instanceId ?? newId(), startedAtMs: this.#now() };
    this.sockets = new Sockets({
      publicApi: this.#publicApi,
      deps: () => this.#socketDependencies(),
      limit: this.limit,
      budget: this.#budget,
      record: (start) => this.#record(start),
      onOpen: (key) => this.#keyWatch?.opened(key),
    });
    this.#sessions = new PageSessions(this.#now);
    const conversations = dialectRoutes({
      publicApi: this.#publicApi,
      handling: () => this.#handling,
      upgrade: (admitted) => this.sockets.upgrade(admitted),
    });
    this.#routes = [
      ...conversations,
      ...modelRoutes(deps.upstream, this.#publicApi, () => this.#options.modelAliases),
      ...storedRoutes(this.#handling, this.#publicApi, this.#now),
      ...codexRoutes({
        limits: this.#handling,
        upstream: deps.upstream,
        publicApi: this.#publicApi,
        maxBodyBytes: () => this.#options.maxBodyBytes,
      }),
      ...openRoutes({
        instance: this.instance,
        credentials: deps.credentials,
        store: deps.store,
        isRetiring: () => this.#isRetiring,
        metrics: this.#metrics,
        now: this.#now,
        snapshot: (isTrusted) => this.#snapshot(isTrusted),
      }),
      ...this.#pageRoutes(conversations),
    ];
    const patterns = new Set(this.#routes.map(({ path }) => path));
    this.#prefixed = new Map(
      [...patterns].filter((path) => patterns.has(`/v1${path}`)).map((path) => [path, `/v1${path}`]),
    );
    deps.telemetry?.watchPlan(() => planUse(deps.upstream.limits.current()));
  }

  /** Waits for what is on its way to other replicas. */
  async settle(): Promise<void> {
    await this.#handling.shared?.settle();
  }

  reconfigure(options: RelayOptions): void {
    if (options.apiKey !== this.#options.apiKey) this.#sessions.clear();
    this.#options = options;
    this.#access = new AccessCheck(options, this.#deps.keys, this.#now);
    this.#arrivals = new ArrivalReader(options.trustProxies, options.basePath);
    this.#handling = { ...this.#handling, options };
  }

  /** Tells load balancers by /ready and clients by `Connection: close` to go elsewhere, and goes on answering. */
  retire(): void {
    this.#isRetiring = true;
  }

  /** The route table in Bun's form: one wrapped handler for each path and method. */
  bunRoutes(): Record<
    string,
    Record<string, (request: Request, server: Server<ResponsesSocket>) => Promise<Response>>
  > {
    return Object.fromEntries(
      this.#routes.map((route) => [
        `${this.#options.basePath ?? ""}${route.path}`,
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
    const { basePath = "" } = this.#options;
    const inside = this.#withoutBase(request);
    const path = pathOf(inside.url);
    const isBeside = basePath !== "" && inside === request;
    const route = isBeside ? undefined : this.#routes.find((candidate) => fits(candidate.path, path));
    return this.#answer(
      request,
      server,
      // A preflight carries no key by design; it gives nothing away.
      { isOpen: request.method === "OPTIONS" || route?.isOpen === true, dialect: route?.dialect, path: route?.path },
      (admitted) => answerUnrouted(admitted, path, route, this.#publicApi),
    );
  }

  /** Access check, limits and error rendering around one handler. */
  async #answer(
    original: Request,
    server: Server<ResponsesSocket>,
    route: RouteFacts,
    handler: Handler,
  ): Promise<Response> {
    const { isOpen, dialect } = route;
    const id = newId();
    const request = this.#withoutBase(original);
    const { method, url } = request;
    const record = this.#record({
      id,
      method,
      path: pathOf(url),
      route: route.path,
      dialect: dialect?.name,
      client: productName(request.headers.get("user-agent")),
      isProbe: isOpen,
      isSecure: url.startsWith("https:"),
      headers: request.headers,
    });
    const share = this.#budget.open();
    const lifetime: RequestLifetime = new RequestLifetime(original.signal, (reason) => {
      this.limit.leave(lifetime);
      // Who has left may ask again at once: room under the key's limits does not wait until upstream has let go.
      if (lifetime.hasClientLeft) record.settle(this.#deps.upstream.limits.current());
      if (!lifetime.isStreaming) return;
      share.close();
      record.end(lifetime, reason);
    });
    const waitForever = () => server.timeout(original, 0);
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- what handles requests knows nothing of sockets
    const upgrade = (data: unknown) => server.upgrade(original, { data: data as ResponsesSocket });
    const by = (caller: Caller): Admitted => ({ request, caller, id, lifetime, record, waitForever, upgrade, share });
    let admitted: Admitted | undefined;
    try {
      const arrival = this.#arrivals.read(
        request.headers,
        url.startsWith("https:"),
        () => server.requestIP(original)?.address ?? this.#socketPeer,
      );
      const caller = this.#access.admit(request.headers, isOpen, arrival);
      record.address = arrival.address;
      admitted = by(caller);
      lifetime.key = caller.key;
      record.key = caller.key?.name;
      refuseForms(request, caller);
      // A socket waits most of the time; its requests are counted one by one.
      if (!isOpen && !isUpgrade(request)) {
        this.limit.enter(lifetime);
        this.#keyWatch?.opened(caller.key);
      }
      const reply = await handler(admitted);
      if (reply === TAKEN) return reply;
      record.status = reply.status;
      return this.#parting(withCommonHeaders(reply, admitted));
    } catch (thrown) {
      const format = (await dialect?.load()) ?? (await dialectNamedIn(request)) ?? OPENAI_ERRORS;
      const refusal = refusalReply(thrown, admitted ?? by(UNKNOWN_CALLER), format, this.log);
      record.status = refusal.status;
      return this.#parting(refusal);
    } finally {
      if (lifetime.isStreaming) share.settle();
      else {
        share.close();
        this.limit.leave(lifetime);
        record.end(lifetime);
      }
    }
  }

  /** The same reply; before a stop its connection ends with it, which would else be cut under its next request. */
  #parting(reply: Response): Response {
    if (this.#isRetiring) reply.headers.set("connection", "close");
    return reply;
  }

  /** Who comes by a socket is a program of this machine. */
  get #socketPeer(): string | undefined {
    return this.#options.unix === undefined ? undefined : "127.0.0.1";
  }

  /** The request as it would be at the root of the host; the same one where it is. */
  #withoutBase(request: Request): Request {
    const { basePath = "" } = this.#options;
    if (basePath === "") return request;
    const [, origin = "", path = ""] = /^([a-z]+:\/\/[^/?#]*)?(.*)$/i.exec(request.url) ?? [];
    if (!path.startsWith(`${basePath}/`) && path !== basePath) return request;
    return new Request(`${origin || "http://localhost"}${path.slice(basePath.length) || "/"}`, request);
  }

  #socketDependencies(): Omit<SocketDependencies, "open" | "turns" | "budget"> {
    return {
      handling: this.#handling,
      keys: this.#deps.keys,
      limit: this.limit,
      newId,
      now: this.#now,
    };
  }

  /** The status page, which asks its questions as any client of the Responses API does. */
  #pageRoutes(conversations: readonly Route[]): Route[] {
    const responses = conversations.find(({ path }) => path === "/v1/responses")?.methods["POST"];
    return pageRoutes({
      sessions: this.#sessions,
      feed: this.feed,
      state: new StateReader({
        upstream: this.#deps.upstream,
        credentials: this.#deps.credentials,
        startedAtMs: this.instance.startedAtMs,
        now: this.#now,
        isKeyRequired: () => this.#access.isKeyNeeded,
        hasLedger: this.#deps.ledger !== undefined,
        counts: () => ({
          ...this.#metrics.totals,
          inFlight: this.limit.active.size,
          openStreams: this.limit.openStreams,
        }),
      }),
      ledger: this.#deps.ledger,
      prices: () => this.#options.prices ?? {},
      now: this.#now,
      isOwnKey: (key) => this.#access.isOwnKey(key),
      hasOwnKey: () => this.#options.apiKey !== undefined,
      takeCode: this.#deps.takeOpenCode,
      keepAliveMs: () => this.#options.keepAliveMs,
      alive: (admitted) => rootReply(admitted, this.instance, this.#now()),
      ask: (admitted) => {
        // Counted, limited and logged like anybody's.
        admitted.record.isProbe = false;
        this.limit.enter(admitted.lifetime);
        if (!responses) throw new RelayError("not_found", "There is no Responses API.");
        return responses(admitted);
      },
    });
  }

  /** A request's own page in the log and the counters. */
  #record(start: Omit<RecordStart, "keepsText">): RequestRecord {
    const route = this.#prefixed.get(start.route) ?? start.route;
    const full = { ...start, route, keepsText: this.log.isDebug === true };
    const trace = this.#deps.telemetry?.begin(full);
    const report = (record: RequestRecord) => {
      record.settle(this.#deps.upstream.limits.current());
      logRequest(record, this.log);
      if (record.isProbe) return;
      const { known } = this.#deps.upstream.catalogue;
      this.#metrics.count(record, known);
      this.feed.add(record, this.#now());
      const entry = this.#deps.ledger && ledgerEntry(record, known, this.#now());
      if (entry) this.#deps.ledger?.add(entry);
      trace?.end(record, { model: knownModel(record.model, known), conversation: conversationDigest(record) });
    };
    return new RequestRecord(full, this.#elapsed, report, trace);
  }

  #snapshot(isTrusted: boolean): MetricsSnapshot {
    const { upstream, credentials } = this.#deps;
    return {
      startedAtMs: this.instance.startedAtMs,
      nowMs: this.#now(),
      requestsInFlight: this.limit.active.size,
      openStreams: this.limit.openStreams,
      upstream: upstream.counts,
      refreshes: credentials.refreshes,
      isTrusted,
      store: this.#deps.store,
      plan: isTrusted ? upstream.limits.current() : undefined,
    };
  }
}

/** The memory budget of all requests together, in bodies of the largest size: three of them, in three copies, and the rest. */
const LARGEST_BODIES = 10;

const UNKNOWN_CALLER: Caller = {
  key: undefined,
  isTrusted: false,
  origin: undefined,
  isBrowser: false,
  arrival: { host: null, isSecure: false, basePath: "", address: undefined },
};

function newId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
