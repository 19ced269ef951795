import { isObject, type JsonObject, parseJson } from "../lib/json.ts";
import { DEMO_ACCOUNT, limitHeaders, usageReply } from "./account.ts";
import { CATALOGUE_ETAG, modelsReply } from "./catalogue.ts";
import { readConversation } from "./conversation.ts";
import { answerEvents, compactReply, imagesReply, PromptCache, TRANSCRIPT } from "./endpoints.ts";
import { eventStream, type Pace } from "./event-stream.ts";
import { faultIn, PLAYED_FAULTS, type PlayedFault } from "./faults.ts";
import { asText } from "./json.ts";
import { makeJwt } from "./tokens.ts";

/** A running player: a backend on this machine whose answers are made up. */
export interface Player {
  readonly origin: string;
  /** Base of the plan's backend. */
  readonly baseUrl: string;
  /** Settings and tokens that point a relay at it, and at nothing else. */
  readonly services: {
    readonly settings: { baseUrl: string; openaiBaseUrl: string; tokenUrl: string; proxy: undefined };
    readonly tokens: Readonly<Record<string, string>>;
  };
  /** Ends all connections. */
  stop(): Promise<void>;
}

export interface PlayerOptions {
  /** 0 takes any free port. */
  readonly port?: number;
  /** Milliseconds before each event, for people who watch. */
  readonly paceMs?: number;
}

const HOST = "127.0.0.1";
const HUNDRED_YEARS_MS = 3_155_760_000_000;

/** Starts a player on loopback. It checks no login and no field. Throws when the port is taken. */
export function startPlayer(options: PlayerOptions = {}): Player {
  const playing = new Playing({ paceMs: options.paceMs ?? 0 });
  const server = Bun.serve({
    port: options.port ?? 0,
    hostname: HOST,
    idleTimeout: 0,
    fetch: (request) => playing.answer(request),
    error: () => Response.json({ detail: "The demo backend failed" }, { status: 500 }),
  });
  const origin = `http://${HOST}:${server.port}`;
  const baseUrl = `${origin}/backend-api/codex`;
  const times = { nowMs: Date.now(), expiresInMs: HUNDRED_YEARS_MS };
  return {
    origin,
    baseUrl,
    services: {
      settings: { baseUrl, openaiBaseUrl: `${origin}/v1`, tokenUrl: `${origin}/oauth/token`, proxy: undefined },
      // Tokens of the player's own: the owner's login is neither read nor written.
      tokens: {
        OPENAI_ACCESS_TOKEN: makeJwt(DEMO_ACCOUNT, origin, times, "at_demo"),
        OPENAI_CHATGPT_ACCOUNT_ID: DEMO_ACCOUNT.accountId,
      },
    },
    stop: () => server.stop(true),
  };
}

class Playing {
  readonly #pace: Pace;
  readonly #cache = new PromptCache();
  /** Prompts that have had their `:once` fault. */
  readonly #faultsGiven = new Set<string>();
  #ids = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  readonly #nextId = (prefix: string) => `${prefix}_demo${String((this.#ids += 1)).padStart(6, "0")}`;

  async answer(request: Request): Promise<Response> {
    const route = `${request.method} ${new URL(request.url).pathname}`;
    switch (route) {
      case "GET /backend-api/codex/models":
        return Response.json(modelsReply(), { headers: { etag: CATALOGUE_ETAG } });
      case "GET /backend-api/wham/usage":
        return Response.json(usageReply(DEMO_ACCOUNT, Date.now()));
      case "POST /backend-api/transcribe":
        return Response.json(TRANSCRIPT);
      case "POST /backend-api/codex/responses/compact":
        return Response.json(compactReply(this.#nextId));
      case "POST /backend-api/codex/images/generations":
      case "POST /backend-api/codex/images/edits":
        return this.#images(await bodyOf(request));
      case "POST /backend-api/codex/responses":
        return this.#responses(await bodyOf(request));
      case "GET /backend-api/codex/responses":
        return Response.json({ detail: "Upgrade Required" }, { status: 426 });
      default:
        return Response.json({ detail: "Not Found" }, { status: 404 });
    }
  }

  #images(body: JsonObject): Response {
    const fault = this.#faultIn(asText(body["prompt"]));
    return fault?.kind === "http" ? sendRefusal(fault) : Response.json(imagesReply(body, Date.now()));
  }

  async #responses(body: JsonObject): Promise<Response> {
    const fault = this.#faultIn(readConversation(body).userText) ?? { kind: "answer" };
    if (fault.kind === "http") return sendRefusal(fault);
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...limitHeaders(DEMO_ACCOUNT.plan, Date.now()),
      "x-request-id": this.#nextId("req"),
      "openai-model": asText(body["model"]),
    };
    if (fault.kind === "events") return new Response(eventStream(fault.events, this.#pace), { headers });
    const usual = answerEvents(body, { cache: this.#cache, nowMs: Date.now(), nextId: this.#nextId });
    const events = fault.rewrite ? fault.rewrite(usual) : usual;
    return new Response(eventStream(events, { ...this.#pace, ...fault.shape }), { headers });
  }

  #faultIn(prompt: string): PlayedFault | undefined {
    const fault = faultIn(prompt);
    const make = Object.entries(PLAYED_FAULTS).find(([name]) => name === fault?.name)?.[1];
    if (!fault || !make || (fault.isOnce && this.#faultsGiven.has(prompt))) return undefined;
    if (fault.isOnce) this.#faultsGiven.add(prompt);
    return make(Date.now());
  }
}

/** The body as JSON, after undoing the one content coding that the relay uses. */
async function bodyOf(request: Request): Promise<JsonObject> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  const isPacked = request.headers.get("content-encoding") === "zstd";
  const body = parseJson(new TextDecoder().decode(isPacked ? Bun.zstdDecompressSync(bytes) : bytes));
  return isObject(body) ? body : {};
}

function sendRefusal(fault: Extract<PlayedFault, { kind: "http" }>): Response {
  const init = { status: fault.status, headers: fault.headers ?? {} };
  return typeof fault.body === "string" ? new Response(fault.body, init) : Response.json(fault.body, init);
}
