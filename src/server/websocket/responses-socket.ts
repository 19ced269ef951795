import type { ServerWebSocket } from "bun";
import { isCodexClient } from "../../codex/wire/headers.ts";
import { inputItems } from "../../codex/request/build.ts";
import type { InputItem } from "../../codex/wire/schema.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { isObject, parseJson, type JsonObject } from "../../lib/json.ts";
import { parseJsonBytes } from "../../lib/large-json.ts";
import { openaiError } from "../../lib/openai-error.ts";
import { WireEvent } from "../../codex/wire/event.ts";
import type { Frame } from "../../protocols/protocol.ts";
import type { Caller } from "../access.ts";
import { jsonOf } from "../http/frames.ts";
import { begin, contextOf, type HandleDependencies } from "../handle.ts";
import { RequestLifetime } from "../lifetime.ts";
import type { RequestRecord } from "../record.ts";
import { ReplyStream } from "../reply-stream.ts";

/** What a socket needs of the relay around it. */
export interface SocketDependencies {
  readonly handling: HandleDependencies;
  /** Counts a request in flight; throws `relay_busy`. */
  readonly enter: (life: RequestLifetime) => void;
  readonly leave: (life: RequestLifetime) => void;
  /** A page in the log for one request of the socket. */
  readonly open: (id: string) => RequestRecord;
  readonly newId: () => string;
  readonly now: () => number;
}

export interface SocketVisit {
  /** Of the upgrade request. */
  readonly headers: Headers;
  readonly url: string;
  readonly visitor: Caller;
}

interface Conversation {
  readonly items: readonly InputItem[];
  /** Of JSON, what other conversations share included. */
  readonly characters: number;
}

type Socket = ServerWebSocket<ResponsesSocket>;

/** Clients know this limit of the backend's own sockets and come back by themselves. */
const LIFETIME_MS = 60 * 60_000;
/** Earlier responses that a request may go on from. */
const REMEMBERED = 8;
/** Of all of them together, in characters of JSON: frames that are sent ahead cost their sender nothing. */
const REMEMBERED_CHARACTERS = 64 * 1024 * 1024;
/** Request fields that a socket carries in its frames because it has headers only once. */
const FRAME_HEADER = /^ws_request_header_([\w-]+)$/;

const GOING_AWAY = 1001;
const TRY_AGAIN = 1013;

/**
 * The Responses API over one WebSocket: `response.create` frames in, the reply's events out, one request at a time.
 * Upstream it is the same HTTP request as any other; what a request refers to with `previous_response_id`, or has sent
 * ahead with `generate: false`, the socket remembers and puts back.
 */
export class ResponsesSocket {
  readonly #deps: SocketDependencies;
  readonly #visit: SocketVisit;
  readonly #isCodex: boolean;
  readonly #openedAtMs: number;
  /** Whole conversations by the id of the response that they led to, oldest first. */
  readonly #conversations = new Map<string, Conversation>();
  #life: RequestLifetime | undefined;
  #isLeaving = false;
  #wake: PromiseWithResolvers<void> | undefined;
  /** Ties the requests of one turn to the same machine upstream. */
  #turn: { readonly id: unknown; readonly state: string } | undefined;

  constructor(deps: SocketDependencies, visit: SocketVisit) {
    this.#deps = deps;
    this.#visit = visit;
    this.#isCodex = isCodexClient(visit.headers);
    this.#openedAtMs = deps.now();
  }

  /** One frame of the client's. Never throws: whatever is wrong is told in a frame. */
  async onMessage(socket: Socket, data: string | Buffer): Promise<void> {
    try {
      const body = requestOf(await frameOf(data));
      if (socket.readyState !== WebSocket.OPEN) return;
      if (this.#life) throw invalid("A response is already being created on this connection.");
      if (this.#deps.now() - this.#openedAtMs >= LIFETIME_MS) throw expired();
      if (body["generate"] === false) this.#warm(socket, body, data.length);
      else await this.#create(socket, body, data.length);
    } catch (thrown) {
      this.#fail(socket, toRelayError(thrown));
      if (isExpiry(thrown)) socket.close(TRY_AGAIN, "connection limit reached");
    }
  }

  onDrain(): void {
    this.#wake?.resolve();
  }

  onClose(): void {
    this.#life?.end(new RelayError("client_closed", "The client closed the connection."));
    this.#wake?.resolve();
  }

  /** The relay stops: at once when idle, else after what is being answered. */
  goAway(socket: Socket): void {
    this.#isLeaving = true;
    if (!this.#life) socket.close(GOING_AWAY, "the relay is stopping");
  }

  /** What the client sends ahead costs nothing: it is only kept for the request that goes on from it. */
  #warm(socket: Socket, body: JsonObject, frameLength: number): void {
    const id = `resp_${this.#deps.newId()}`;
    this.#remember(id, this.#whole(body, frameLength));
    const response = {
      id,
      object: "response",
      created_at: Math.floor(this.#deps.now() / 1000),
      model: body["model"],
      output: [],
    };
    const usage = {
      input_tokens: 0,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 0,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 0,
    };
    socket.send(JSON.stringify({ type: "response.created", response: { ...response, status: "in_progress" } }));
    socket.send(JSON.stringify({ type: "response.completed", response: { ...response, status: "completed", usage } }));
  }

  async #create(socket: Socket, body: JsonObject, frameLength: number): Promise<void> {
    const life: RequestLifetime = new RequestLifetime(new AbortController().signal, () => this.#deps.leave(life));
    const id = this.#deps.newId();
    const record = this.#deps.open(id);
    record.isStream = true;
    try {
      this.#deps.enter(life);
      this.#life = life;
      const asked = this.#whole(body, frameLength);
      const post = new Request(this.#visit.url, { method: "POST", headers: this.#headersFor(body) });
      const { visitor } = this.#visit;
      const admitted = { request: post, visitor, id, life, record, waitForever: () => {}, holdBody: () => {} };
      const sent = withoutFrameFields(body);
      // What the relay's own memory holds it puts back itself, and keeps the turns of a conversation once.
      if (this.#isOnlyHere(body)) Object.assign(sent, { input: asked.items, previous_response_id: undefined });
      const { responses } = await import("../../protocols/responses/index.ts");
      const context = await contextOf(admitted, this.#isCodex, this.#deps.handling);
      const request = { body: sent, asked: responses.read(sent, context), context };
      const { reply } = await begin(responses, request, admitted, this.#deps.handling);
      const state = reply.headers.get("x-codex-turn-state");
      if (state !== null) this.#turn = { id: turnOf(body), state };
      const frames: Frame[] = [];
      const stream = request.asked.stream((frame) => frames.push(frame));
      await this.#pump(socket, frames, new ReplyStream(stream, reply, admitted), asked, record);
    } catch (thrown) {
      const { reason } = life.signal as { reason: unknown };
      // When the relay stops it is not the client that has left.
      const error = toRelayError(reason instanceof RelayError ? reason : thrown);
      record.fail(error);
      throw error;
    } finally {
      life.end();
      record.end(life);
      this.#life = undefined;
      if (this.#isLeaving) socket.close(GOING_AWAY, "the relay is stopping");
    }
  }

  /** The reply's frames, one message each, at the pace of the reader. */
  async #pump(
    socket: Socket,
    frames: Frame[],
    reply: ReplyStream,
    asked: Conversation,
    record: Pick<RequestRecord, "errorStatus">,
  ): Promise<void> {
    const output: InputItem[] = [];
    let isFinished = false;
    while (await reply.next()) {
      for (const frame of frames.splice(0)) {
        const event = eventOf(frame);
        isFinished = this.#notice(event, asked, output) || isFinished;
        // A socket has no status line: its errors say it themselves.
        const isError = isObject(event) && event["type"] === "error" && event["status"] === undefined;
        await this.#send(
          socket,
          isError ? JSON.stringify({ status: record.errorStatus ?? 502, ...event }) : jsonOf(frame),
        );
      }
    }
    // A socket has no end of a reply: only its own end tells the client that nothing more will come.
    if (!isFinished) socket.close(TRY_AGAIN, "the upstream stream ended before the response was complete");
  }

  /** Collects what a later request may go on from. True when the reply is over. */
  #notice(event: unknown, asked: Conversation, output: InputItem[]): boolean {
    if (!isObject(event)) return false;
    const { type, item, response } = event;
    if (type === "response.output_item.done" && isObject(item)) output.push(item);
    if (type === "error" || type === "response.failed") return true;
    if (!isObject(response) || !/^response\.(completed|incomplete|done)$/.test(String(type))) return false;
    const whole = Array.isArray(response["output"]) && response["output"].length > 0 ? response["output"] : output;
    if (typeof response["id"] === "string") {
      const characters = asked.characters + JSON.stringify(whole).length;
      this.#remember(response["id"], { items: [...asked.items, ...(whole as InputItem[])], characters });
    }
    return true;
  }

  async #send(socket: Socket, data: string): Promise<void> {
    // -1: taken, but the reader is slow; nothing more until it has caught up or left.
    if (socket.send(data) !== -1) return;
    this.#wake = Promise.withResolvers<void>();
    await this.#wake.promise;
    this.#wake = undefined;
  }

  #fail(socket: Socket, error: RelayError): void {
    const upstream = parseJson(error.upstreamBody?.text ?? "");
    const own = openaiError(error) as { error: JsonObject };
    // Codex clients read codes and reset times out of the backend's own words.
    const detail = this.#isCodex && isObject(upstream) && isObject(upstream["error"]) ? upstream["error"] : own.error;
    const headers = {
      ...error.headers,
      ...(error.retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(error.retryAfterMs / 1000)) }),
    };
    socket.send(JSON.stringify({ type: "error", status: error.status, error: detail, headers }));
  }

  #isOnlyHere({ previous_response_id: id }: JsonObject): boolean {
    return typeof id === "string" && this.#conversations.has(id) && !this.#stored(id);
  }

  /** A conversation in the relay's own memory, where other connections leave theirs; Codex clients have none there. */
  #stored(id: unknown): readonly InputItem[] | undefined {
    if (this.#isCodex || typeof id !== "string") return undefined;
    return this.#deps.handling.responses.conversation(this.#visit.visitor.clientId, id, this.#deps.now());
  }

  /** The conversation in full, wherever its beginning is remembered. Throws `previous_response_not_found`. */
  #whole(body: JsonObject, frameLength: number): Conversation {
    const { input, previous_response_id: id } = body;
    const added = inputItems(input);
    if (typeof id !== "string" || id === "") return { items: added, characters: frameLength };
    const here = this.#conversations.get(id);
    const earlier = here?.items ?? this.#stored(id);
    if (!earlier) {
      throw new RelayError(
        "previous_response_not_found",
        `Previous response with id '${id.slice(0, 100)}' not found.`,
        {
          param: "previous_response_id",
        },
      );
    }
    // What the relay's memory holds is counted there.
    return { items: [...earlier, ...added], characters: (here?.characters ?? 0) + frameLength };
  }

  #remember(id: string, conversation: Conversation): void {
    this.#conversations.delete(id);
    this.#conversations.set(id, conversation);
    let characters = 0;
    for (const kept of this.#conversations.values()) characters += kept.characters;
    for (const [oldest, kept] of this.#conversations) {
      if (this.#conversations.size <= REMEMBERED && characters <= REMEMBERED_CHARACTERS) break;
      this.#conversations.delete(oldest);
      characters -= kept.characters;
    }
  }

  /** Headers of the upgrade, with those that this frame brings, as an HTTP request would have had them. */
  #headersFor(body: JsonObject): Headers {
    const headers = new Headers(this.#visit.headers);
    if (!this.#isCodex) return headers;
    // It names the socket's protocol and would be wrong on HTTP.
    headers.delete("openai-beta");
    const metadata = isObject(body["client_metadata"]) ? body["client_metadata"] : {};
    for (const [name, value] of Object.entries(metadata)) {
      const header = FRAME_HEADER.exec(name)?.[1];
      if (header === undefined || typeof value !== "string" || !/^[\x20-\x7e]*$/.test(value)) continue;
      headers.set(header.replaceAll("_", "-"), value);
    }
    if (this.#turn && this.#turn.id === turnOf(body)) headers.set("x-codex-turn-state", this.#turn.state);
    return headers;
  }
}

/** What a frame says, unless it is one of the many deltas. */
function eventOf(frame: Frame): unknown {
  if (frame instanceof WireEvent) return frame.isBulk ? undefined : frame.event;
  return frame.data;
}

/** A frame's JSON; undefined when it is none. Throws `request_too_large`. */
async function frameOf(data: string | Buffer): Promise<unknown> {
  try {
    return await parseJsonBytes(Buffer.from(data as string));
  } catch (error) {
    if (error instanceof RelayError) throw error;
    return undefined;
  }
}

/** The body of a `response.create` frame. Throws `invalid_request`. */
function requestOf(frame: unknown): JsonObject {
  if (!isObject(frame)) throw invalid("A frame must be a JSON object.");
  if (frame["type"] !== "response.create") {
    throw invalid(`Unknown frame type '${String(frame["type"]).slice(0, 60)}'; expected 'response.create'.`);
  }
  const { type: _type, ...body } = frame;
  return body;
}

/** The body as HTTP has it: streamed, and without what only sockets know. */
function withoutFrameFields(body: JsonObject): JsonObject {
  const { generate: _generate, client_metadata: metadata, ...rest } = body;
  if (!isObject(metadata)) return { ...rest, stream: true };
  const kept = Object.entries(metadata).filter(
    ([name]) => !name.startsWith("ws_request_header_") && !name.startsWith("x-codex-ws-"),
  );
  return { ...rest, stream: true, client_metadata: Object.fromEntries(kept) };
}

function turnOf(body: JsonObject): unknown {
  return isObject(body["client_metadata"]) ? body["client_metadata"]["turn_id"] : undefined;
}

function invalid(message: string): RelayError {
  return new RelayError("invalid_request", message);
}

const LIMIT_CODE = "websocket_connection_limit_reached";

function expired(): RelayError {
  return new RelayError("invalid_request", "Connections last 60 minutes; open a new one.", { wireCode: LIMIT_CODE });
}

function isExpiry(thrown: unknown): boolean {
  return thrown instanceof RelayError && thrown.wireCode === LIMIT_CODE;
}
