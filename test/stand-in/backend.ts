import type { ServerWebSocket } from "bun";
import type { JsonObject } from "../../src/lib/json.ts";
import { isObject, parseJson } from "../../src/lib/json.ts";
import type { ModelInfo } from "../../src/codex/models.ts";
import { DEMO_CATALOGUE } from "../../src/demo/catalogue.ts";
import { type LoginOptions, makeAccount, type StandInAccount } from "./account.ts";
import { makeAuthJson } from "./auth-json.ts";
import { decodeBody } from "./body.ts";
import { CodexApi } from "./codex-api.ts";
import type { Script } from "./faults.ts";
import { AuthServer, type TokenScript } from "./oauth.ts";
import { answerPublic, publicError } from "./public-api.ts";
import { type Entry, type RecordedRefusal, type RecordedRequest, Recorder } from "./recorder.ts";
import { EventStream, type StreamShape } from "./stream.ts";
import { StandInSocket } from "./socket.ts";
import { Vault } from "./vault.ts";
import { USUAL_VIEWS, type Views } from "./views.ts";

export interface StandInOptions {
  /** 0 takes any free port. */
  readonly port?: number;
  readonly hostname?: string;
  /** PEM texts. The Codex CLI itself speaks only to https. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Epoch milliseconds. */
  readonly now?: () => number;
  readonly tokenLifetimeMs?: number;
  /** Pause before each event, for people who watch; 0 for tests. */
  readonly paceMs?: number;
  /** Views that differ from the usual ones. */
  readonly views?: Partial<Views>;
  /** The account's models; those of the newest known release unless given. */
  readonly models?: readonly ModelInfo[];
  /** Serves WebSockets; on unless false: then a handshake is answered with 426. */
  readonly sockets?: boolean;
  /** Of a socket; an hour when left out. */
  readonly maxSocketAgeMs?: number;
  /** Plays the public API below /v1 as well; on unless false. */
  readonly publicApi?: boolean;
}

/** A login that the stand-in will accept. */
export interface StandInLogin {
  /** What the Codex CLI would have in `auth.json`. */
  readonly authJson: JsonObject;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly accountId: string;
}

/** A running stand-in for ChatGPT's Codex backend, its sign-in server and the public API. */
export interface StandIn {
  readonly origin: string;
  /** Base of the plan's backend. */
  readonly baseUrl: string;
  /** Base of the public API, for API-key logins. */
  readonly openaiBaseUrl: string;
  readonly tokenUrl: string;
  readonly revokeUrl: string;
  readonly issuer: string;
  /** What has arrived, oldest first; the last thousand. */
  readonly requests: readonly RecordedRequest[];
  /** What was refused because it broke a rule. Empty at the end of a test means that the relay behaved. */
  readonly refusals: readonly RecordedRefusal[];
  readonly counts: Readonly<Counts>;
  issueLogin(options?: LoginOptions): StandInLogin;
  issueApiKey(): string;
  /** A personal access token of the account that signed in last. */
  issuePersonalToken(): string;
  /** Other views from now on. */
  setViews(views: Partial<Views>): void;
  /** All access tokens given out so far are refused from now on, whatever their `exp` says. */
  expireAccessTokens(): void;
  revokeRefreshToken(token: string): void;
  /** Each POST /responses takes the next step; without one it gets the usual answer. */
  script(...steps: Script[]): void;
  /** The same for refreshes at the token endpoint. */
  scriptToken(...steps: TokenScript[]): void;
  /** The same for the endpoints of images, transcripts and compaction, in the order in which they are asked. */
  scriptEndpoints(...steps: Script[]): void;
  /** The same for GET /models. */
  scriptModels(...steps: Script[]): void;
  /** Replies that are being streamed right now. */
  openStreams(): number;
  /** WebSockets that are open right now. */
  openSockets(): number;
  /** Makes open WebSockets forget what they have answered. */
  forgetResponses(): void;
  /** Goes on counting tokens from here. */
  countFrom(tokens: Partial<TokenCounts>): void;
  /** Ends all WebSockets without a word, as a dead network does. */
  cutSockets(): void;
  /** Ends all connections. */
  stop(): Promise<void>;
}

/** How often each endpoint was called, refused calls included. */
interface Counts {
  responses: number;
  compactions: number;
  models: number;
  refreshes: number;
  /** Of answers that were sent to their end, as they said it themselves. */
  tokens: TokenCounts;
}

interface TokenCounts {
  answers: number;
  input: number;
  cached: number;
  output: number;
  reasoning: number;
}

const TEN_DAYS_MS = 864_000_000;
const HOUR_MS = 3_600_000;

function isHandshake(request: Request): boolean {
  const { pathname } = new URL(request.url);
  return pathname.endsWith("/codex/responses") && request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** What chatgpt.com serves, and the place that backends without `/backend-api` have for usage. */
const CODEX_PATH = /^\/(backend-api\/|api\/codex\/usage$)/;

/** Starts a stand-in that speaks to anybody on its address. Throws when the port is taken. */
export function startStandIn(options: StandInOptions = {}): StandIn {
  const now = options.now ?? Date.now;
  const recorder = new Recorder();
  const counts = { responses: 0, compactions: 0, models: 0 };
  const tokens: TokenCounts = { answers: 0, input: 0, cached: 0, output: 0, reasoning: 0 };
  let account: StandInAccount = makeAccount({});
  const vault = new Vault({ now, tokenLifetimeMs: options.tokenLifetimeMs ?? TEN_DAYS_MS, issuer: () => origin });
  const auth = new AuthServer(vault, () => account);
  const streams = new Set<EventStream>();
  let ids = 0;
  const nextId = (prefix: string) => `${prefix}_standin${String((ids += 1)).padStart(6, "0")}`;
  const catalogue = { ...DEMO_CATALOGUE, models: options.models ?? DEMO_CATALOGUE.models };
  const views = { ...USUAL_VIEWS, ...options.views };
  const api = new CodexApi({ vault, recorder, counts, now, nextId, catalogue, views: () => views });

  const sockets = new Set<ServerWebSocket<StandInSocket>>();
  const server = Bun.serve<StandInSocket>({
    port: options.port ?? 0,
    hostname: options.hostname ?? "127.0.0.1",
    idleTimeout: 60,
    ...(options.tls ? { tls: options.tls } : {}),
    fetch: (request, bun) => {
      // Stalled replies are the point of some tests.
      bun.timeout(request, 0);
      if (options.sockets === false || !isHandshake(request)) return serve(request);
      // Whoever may not ask over HTTP gets no socket either.
      const refusal = api.handshake(request);
      if (refusal) return refusal;
      const data = new StandInSocket({ request, now, maxAgeMs: options.maxSocketAgeMs ?? HOUR_MS, answer: serveFrame });
      return bun.upgrade(request, { data, headers: api.handshakeHeaders(request) })
        ? undefined
        : new Response("no handshake", { status: 400 });
    },
    websocket: {
      perMessageDeflate: true,
      maxPayloadLength: 256 * 1024 * 1024,
      open: (socket) => void sockets.add(socket),
      message: (socket, text) => socket.data.receive(socket, String(text)),
      drain: (socket) => socket.data.drain(),
      close(socket) {
        sockets.delete(socket);
        socket.data.leave();
      },
    },
    error: () => Response.json({ detail: "The stand-in failed" }, { status: 500 }),
  });
  const host = options.hostname ?? "127.0.0.1";
  const origin = `${options.tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${server.port}`;

  async function serve(request: Request): Promise<Response> {
    const bytes = new Uint8Array(await request.arrayBuffer());
    let text: string;
    try {
      text = new TextDecoder().decode(decodeBody(bytes, request.headers.get("content-encoding")));
    } catch {
      return Response.json({ detail: "Could not decode the request body" }, { status: 400 });
    }
    const body = parseJson(text) ?? text;
    const entry = recorder.record(request, body, now());
    request.signal.addEventListener("abort", () => {
      if (entry.request.status() === undefined) entry.markAborted();
    });
    const response = await route(request, text, body, entry);
    entry.setStatus(response.status);
    return response;
  }

  async function serveFrame(request: Request, body: JsonObject, frame: JsonObject): Promise<Response> {
    const entry = recorder.record(request, body, now(), frame);
    request.signal.addEventListener("abort", () => entry.markAborted());
    const response = await route(request, "", body, entry, true);
    entry.setStatus(response.status);
    return response;
  }

  async function route(
    request: Request,
    text: string,
    body: unknown,
    entry: Entry,
    isFrame = false,
  ): Promise<Response> {
    const url = new URL(request.url);
    const send = (events: Iterable<JsonObject>, shape: StreamShape, headers: Record<string, string>) =>
      sendEvents(events, shape, headers, request, entry);
    if (CODEX_PATH.test(url.pathname)) return api.handle({ request, url, body, send, isFrame });
    if (options.publicApi !== false && url.pathname.startsWith("/v1/")) {
      const key = (request.headers.get("authorization") ?? "").replace(/^Bearer /, "");
      if (!vault.isApiKey(key)) return publicError(401, "Incorrect API key provided.", "invalid_api_key");
      return answerPublic(request.method, url.pathname, body, {
        nowMs: now(),
        nextId,
        send: (events, isChat) => send(events, isChat ? { noEventLines: true, trailingDone: true } : {}, {}),
      });
    }
    const fromAuth = await auth.handle(request.method, url, text, request.headers.get("authorization"));
    return fromAuth ?? Response.json({ detail: "Not Found" }, { status: 404 });
  }

  async function sendEvents(
    events: Iterable<JsonObject>,
    shape: StreamShape,
    headers: Record<string, string>,
    request: Request,
    entry: Entry,
  ): Promise<Response> {
    if (shape.delayMs) await Bun.sleep(shape.delayMs);
    const paced = options.paceMs === undefined ? shape : { paceMs: options.paceMs, ...shape };
    const stream = new EventStream(counted(events, tokens), paced, (wasAborted) => {
      streams.delete(stream);
      if (wasAborted) entry.markAborted();
    });
    streams.add(stream);
    request.signal.addEventListener("abort", () => stream.abort());
    if (request.signal.aborted) stream.abort();
    return new Response(stream.body, {
      headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", ...headers },
    });
  }

  return {
    origin,
    baseUrl: `${origin}/backend-api/codex`,
    openaiBaseUrl: `${origin}/v1`,
    tokenUrl: `${origin}/oauth/token`,
    revokeUrl: `${origin}/oauth/revoke`,
    issuer: origin,
    requests: recorder.requests,
    refusals: recorder.refusals,
    get counts() {
      return { ...counts, refreshes: auth.refreshes, tokens: { ...tokens } };
    },
    issueLogin(login = {}) {
      // Whoever signs in through the browser later is the same person.
      account = makeAccount(login);
      const tokens = vault.issue(account, login.expiresInMs);
      return {
        authJson: makeAuthJson(tokens, account, origin, now()),
        accessToken: tokens.access_token,
        refreshToken: tokens.refresh_token,
        accountId: account.accountId,
      };
    },
    issueApiKey: () => vault.issueApiKey(),
    issuePersonalToken: () => vault.issuePersonalToken(account),
    setViews: (changed) => void Object.assign(views, changed),
    expireAccessTokens: () => vault.expireAccessTokens(),
    revokeRefreshToken: (token) => vault.setRefreshState(token, "revoked"),
    script: (...steps) => api.script(steps),
    scriptToken: (...steps) => auth.script(steps),
    scriptEndpoints: (...steps) => api.scriptEndpoints(steps),
    scriptModels: (...steps) => api.scriptModels(steps),
    openStreams: () => streams.size,
    openSockets: () => sockets.size,
    forgetResponses() {
      for (const socket of sockets) socket.data.forget();
    },
    countFrom: (from) => void Object.assign(tokens, from),
    cutSockets() {
      for (const socket of sockets) socket.terminate();
    },
    async stop() {
      for (const stream of streams) stream.abort();
      await server.stop(true);
    },
  };
}

/** The same events; what the last one says of tokens is added up when it is sent. */
function* counted(events: Iterable<JsonObject>, tokens: TokenCounts): Generator<JsonObject> {
  for (const event of events) {
    const { type, response } = event;
    if ((type === "response.completed" || type === "response.incomplete") && isObject(response)) {
      add(tokens, isObject(response["usage"]) ? response["usage"] : {});
    }
    yield event;
  }
}

function add(tokens: TokenCounts, usage: JsonObject): void {
  const part = (details: string, name: string) => (isObject(usage[details]) ? Number(usage[details][name] ?? 0) : 0);
  tokens.answers += 1;
  tokens.input += Number(usage["input_tokens"] ?? 0);
  tokens.cached += part("input_tokens_details", "cached_tokens");
  tokens.output += Number(usage["output_tokens"] ?? 0);
  tokens.reasoning += part("output_tokens_details", "reasoning_tokens");
}
