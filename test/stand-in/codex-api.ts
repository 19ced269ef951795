import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { ModelCatalogue } from "../../src/codex/models.ts";
import { limitHeaders, usageReply } from "../../src/demo/account.ts";
import type { StandInAccount } from "./account.ts";
import { accountsReply } from "./accounts-check.ts";
import { CATALOGUE_ETAG } from "../../src/demo/catalogue.ts";
import { readConversation } from "../../src/demo/conversation.ts";
import { FAULTS, faultIn, type Script } from "./faults.ts";
import { asText } from "../../src/demo/json.ts";
import type { NextId } from "../../src/demo/output.ts";
import type { Recorder } from "./recorder.ts";
import { refuse, type Refusal } from "./refusal.ts";
import { answerEvents, compactReply, imagesReply, PromptCache, TRANSCRIPT } from "../../src/demo/endpoints.ts";
import { findRefusal } from "./rules.ts";
import { ScriptQueue } from "./script-queue.ts";
import type { StreamShape } from "./stream.ts";
import { refuseCookies, refuseRegion, SET_COOKIES, TurnStates } from "./session-rules.ts";
import { modelsFor } from "./versions.ts";
import type { Views } from "./views.ts";
import { reworded } from "./wordings.ts";
import type { Vault } from "./vault.ts";

/** Streams events to the client of one request. */
type Send = (events: Iterable<JsonObject>, shape: StreamShape, headers: Record<string, string>) => Promise<Response>;

export interface ApiCall {
  readonly request: Request;
  readonly url: URL;
  readonly body: unknown;
  readonly send: Send;
  /** True for what came over a socket that was let in before. */
  readonly isFrame?: boolean;
}

export interface CodexApiOptions {
  readonly vault: Vault;
  readonly recorder: Recorder;
  readonly counts: { responses: number; compactions: number; models: number };
  readonly now: () => number;
  readonly nextId: NextId;
  readonly catalogue: ModelCatalogue;
  readonly views: () => Views;
}

const NOT_FOUND = { detail: "Not Found" };

/** Plays everything below chatgpt.com/backend-api. */
export class CodexApi {
  readonly #options: CodexApiOptions;
  readonly #scripts = new ScriptQueue<Script>();
  readonly #modelScripts = new ScriptQueue<Script>();
  readonly #endpointScripts = new ScriptQueue<Script>();
  readonly #cache = new PromptCache();
  readonly #turns = new TurnStates();
  #hasSetCookies = false;

  /** Prompts that have had their `:once` fault. */
  readonly #faultsGiven = new Set<string>();

  constructor(options: CodexApiOptions) {
    this.#options = options;
  }

  script(steps: readonly Script[]): void {
    this.#scripts.push(steps);
  }

  scriptModels(steps: readonly Script[]): void {
    this.#modelScripts.push(steps);
  }

  scriptEndpoints(steps: readonly Script[]): void {
    this.#endpointScripts.push(steps);
  }

  /** What a handshake for a socket is refused with; undefined lets it in. */
  handshake(request: Request): Response | undefined {
    const beta = request.headers.get("openai-beta") ?? "";
    const url = new URL(request.url);
    const account = this.#admit(request);
    if ("status" in account) return this.#refuse(url, account);
    const stray = this.#turns.refuseHandshake(request.headers);
    if (stray) return this.#refuse(url, stray);
    if (beta.includes("responses_websockets=")) return undefined;
    return this.#refuse(url, refuse("The handshake lacks openai-beta: responses_websockets"));
  }

  /** Headers of a handshake's reply. */
  handshakeHeaders(request: Request): Record<string, string> {
    return { "x-codex-turn-state": this.#turns.ofHandshake(request.headers) };
  }

  async handle(call: ApiCall): Promise<Response> {
    const { request, url } = call;
    if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
      return Response.json({ detail: "Upgrade Required" }, { status: 426 });
    }
    const route = `${request.method} ${url.pathname.replace(/^\/backend-api/, "")}`;
    if (!ROUTES.has(route) && !CLIENT_ROUTE.test(route)) return Response.json(NOT_FOUND, { status: 404 });
    const account = call.isFrame === true ? this.#accountOf(request) : this.#admit(request);
    if ("status" in account) return this.#refuse(url, account);
    const reply = await this.#answer(route, call, account);
    for (const cookie of SET_COOKIES) reply.headers.append("set-cookie", cookie);
    this.#hasSetCookies = true;
    return reply;
  }

  /** Who asks, and whether from where and with what cookies they may; of a socket its handshake decides that. */
  #admit(request: Request): StandInAccount | Refusal {
    const account = this.#accountOf(request);
    if ("status" in account) return account;
    const { cookies } = this.#options.views();
    return (
      refuseRegion(request.headers, account) ?? refuseCookies(request.headers, cookies, this.#hasSetCookies) ?? account
    );
  }

  async #answer(route: string, call: ApiCall, account: StandInAccount): Promise<Response> {
    switch (route) {
      case "POST /codex/responses":
        return this.#responses(call, account);
      case "GET /codex/models":
        return this.#models(call);
      case "GET /wham/usage":
      case "GET /api/codex/usage":
        return Response.json({ ...usageReply(account, this.#options.now()), ...account.usage });
      case "GET /wham/accounts/check":
        return Response.json(accountsReply(account, secureOrigin(call.request)));
      default:
        return CLIENT_ROUTE.test(route) ? Response.json(echoOf(call)) : this.#endpointCall(route, call);
    }
  }

  /** The endpoints that answer with one JSON object. */
  async #endpointCall(route: string, call: ApiCall): Promise<Response> {
    const prompt = isObject(call.body) ? asText(call.body["prompt"]) : "";
    const script = this.#endpointScripts.next() ?? this.#faultIn(prompt);
    if (script?.kind === "http") return sendHttp(script, this.#requestId());
    if (route === "POST /codex/responses/compact") return this.#compact(call);
    return route === "POST /transcribe" ? this.#transcribe(call) : this.#images(call);
  }

  #refuse(url: URL, usual: Refusal): Response {
    const refusal = reworded(usual, this.#options.views().wording);
    this.#options.recorder.refuse({ path: url.pathname, status: refusal.status, detail: refusal.detail });
    return Response.json(refusal.body, { status: refusal.status, headers: { "x-request-id": this.#requestId() } });
  }

  #requestId(): string {
    return this.#options.nextId("req");
  }

  #accountOf(request: Request): StandInAccount | Refusal {
    const token = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    const bearer = this.#options.vault.bearer(token ?? "");
    if (bearer === "unknown") return refuse("Unauthorized", 401);
    if (bearer === "expired") {
      const message = "Provided authentication token is expired. Please try signing in again.";
      const error = { message, type: null, code: "token_expired", param: null };
      return { status: 401, body: { error, status: 401 }, detail: message };
    }
    const accountId = request.headers.get("chatgpt-account-id");
    if (accountId === null) return refuse("Unauthorized", 401);
    return accountId === bearer.account.accountId
      ? bearer.account
      : refuse("The account does not belong to this token", 403);
  }

  async #responses(call: ApiCall, account: StandInAccount): Promise<Response> {
    this.#options.counts.responses += 1;
    const { request, url, body } = call;
    const { catalogue, views } = this.#options;
    const refusal = findRefusal(request.headers, body, catalogue, views());
    if (refusal) return this.#refuse(url, refusal);
    const checked = body as JsonObject;
    const stray = call.isFrame === true ? undefined : this.#turns.refuse(request.headers, checked);
    if (stray) return this.#refuse(url, stray);
    const script = this.#scripts.next() ?? this.#limitOf(checked) ?? this.#faultOf(checked) ?? { kind: "answer" };
    if (script.kind === "http") return sendHttp(script, this.#requestId());
    const headers = {
      // Accounts without windows have a spending limit, of which headers say nothing.
      ...(account.usage["rate_limit"] === null ? {} : limitHeaders(account.plan, this.#options.now())),
      "x-request-id": this.#requestId(),
      "openai-model": asText(checked["model"]),
      "x-reasoning-included": "true",
      // A socket's was in its handshake.
      ...(call.isFrame === true ? {} : { "x-codex-turn-state": this.#turns.next(request.headers, checked) }),
      ...script.headers,
    };
    const shape = script.shape ?? {};
    if (script.kind === "events") return call.send(script.events as readonly JsonObject[], shape, headers);
    const { now, nextId } = this.#options;
    const events = answerEvents(checked, { cache: this.#cache, nowMs: now(), nextId });
    return call.send(script.rewrite ? script.rewrite(events) : events, shape, headers);
  }

  /** The plan's limit, where it is reached. */
  #limitOf(body: JsonObject): Script | undefined {
    const { openModels } = this.#options.views();
    const isOpen = openModels === "all" || openModels.includes(asText(body["model"]));
    return isOpen ? undefined : FAULTS.usage_limit.script(this.#options.now());
  }

  #faultOf(body: JsonObject): Script | undefined {
    return this.#faultIn(readConversation(body).userText);
  }

  #faultIn(prompt: string): Script | undefined {
    const fault = faultIn(prompt);
    if (!fault || (fault.isOnce && this.#faultsGiven.has(prompt))) return undefined;
    this.#faultsGiven.add(prompt);
    return FAULTS[fault.name].script(this.#options.now());
  }

  /** The older way to shorten a history: one plain JSON exchange. */
  #compact(call: ApiCall): Response {
    this.#options.counts.compactions += 1;
    const { body, url } = call;
    if (!isObject(body)) return this.#refuse(url, refuse("Request body must be a JSON object"));
    const stranger = Object.keys(body).find((name) => !COMPACT_FIELDS.has(name));
    if (stranger !== undefined) return this.#refuse(url, refuse(`Unsupported parameter: ${stranger}`));
    if (!Array.isArray(body["input"])) return this.#refuse(url, refuse("Input must be a list"));
    return Response.json(compactReply(this.#options.nextId));
  }

  async #models(call: ApiCall): Promise<Response> {
    this.#options.counts.models += 1;
    const script = this.#modelScripts.next();
    if (script?.kind === "http") return sendHttp(script, this.#requestId());
    const version = call.url.searchParams.get("client_version");
    if (!version) return this.#refuse(call.url, refuse("client_version is required"));
    if (call.request.headers.get("if-none-match") === CATALOGUE_ETAG) {
      return new Response(null, { status: 304, headers: { etag: CATALOGUE_ETAG } });
    }
    return Response.json(modelsFor(version, this.#options.catalogue.models), { headers: { etag: CATALOGUE_ETAG } });
  }

  #transcribe(call: ApiCall): Response {
    const isForm = call.request.headers.get("content-type")?.startsWith("multipart/form-data") === true;
    if (!isForm || !asText(call.body).includes('name="file"'))
      return this.#refuse(call.url, refuse("file is required"));
    return Response.json(TRANSCRIPT);
  }

  #images(call: ApiCall): Response {
    const { body, url } = call;
    if (!isObject(body) || asText(body["prompt"]) === "") return this.#refuse(url, refuse("prompt is required"));
    if (url.pathname.endsWith("/edits") && !Array.isArray(body["images"])) {
      return this.#refuse(url, refuse("images is required"));
    }
    return Response.json(imagesReply(body, this.#options.now()));
  }
}

/** What Codex clients ask beside the conversation: search, notes, history and their account (contract 0.15). */
const CLIENT_ROUTE =
  /^((GET|POST) \/codex\/alpha\/(search|notes\/v2\/[a-z_]+|history\/v2\/[a-z_]+)|GET \/wham\/(profiles\/me|settings\/user|rate-limit-reset-credits))$/;

/** What came in, so that a test sees that it passed as it was. */
function echoOf({ request, url, body }: ApiCall): JsonObject {
  const session = request.headers.get("session-id");
  return { path: url.pathname, query: url.search, session, received: body, results: [] };
}

const ROUTES = new Set([
  "GET /api/codex/usage",
  "POST /codex/responses",
  "POST /codex/responses/compact",
  "GET /codex/models",
  "GET /wham/usage",
  "GET /wham/accounts/check",
  "POST /transcribe",
  "POST /codex/images/generations",
  "POST /codex/images/edits",
]);

const COMPACT_FIELDS = new Set([
  "model",
  "input",
  "instructions",
  "tools",
  "parallel_tool_calls",
  "reasoning",
  "text",
  "prompt_cache_key",
  "service_tier",
]);

async function sendHttp(script: Extract<Script, { kind: "http" }>, requestId: string): Promise<Response> {
  if (script.delayMs) await Bun.sleep(script.delayMs);
  const init = { status: script.status, headers: { "x-request-id": requestId, ...script.headers } };
  return typeof script.body === "string" ? new Response(script.body, init) : Response.json(script.body ?? {}, init);
}

/** Where the Codex CLI shall go on; it refuses anything but https. */
function secureOrigin(request: Request): string {
  const url = new URL(request.url);
  return url.protocol === "https:" ? `https://${request.headers.get("host") ?? url.host}` : "https://chatgpt.com";
}
