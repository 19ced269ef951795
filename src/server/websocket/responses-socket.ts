import type { ServerWebSocket } from "bun";
import { TURN_STATE_HEADER } from "../../codex/wire/reply-headers.ts";
import { codexClientHeaders, isCodexClient } from "../../codex/wire/request-headers.ts";
import type { ResponseStore } from "../../codex/response-store.ts";
import type { InputItem } from "../../codex/wire/request.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import { isObject, parseJson, type JsonObject } from "../../lib/json.ts";
import { errorEvent } from "../../protocols/responses-frames.ts";
import { WireEvent } from "../../codex/wire/event.ts";
import type { Frame } from "../../protocols/protocol.ts";
import type { KeyRing } from "../../keys/key-ring.ts";
import type { Caller, CallerKey } from "../access.ts";
import { endOfKey } from "../key-watch.ts";
import { jsonOf } from "../http/frames.ts";
import { begin, contextOf, refuseDropped, type HandleDependencies } from "../handle.ts";
import { refuseModel } from "../key-limits.ts";
import { outOfMemory, type MemoryBudget, type Share } from "../budget.ts";
import { RequestLifetime } from "../lifetime.ts";
import type { RequestLimit } from "../limits.ts";
import type { RequestRecord } from "../record.ts";
import { ReplyStream } from "../reply-stream.ts";
import type { UpstreamCall } from "../../upstream/call.ts";
import type { PairedSocket } from "../../upstream/transport/paired-socket.ts";
import { readBatches } from "../../upstream/sse.ts";
import { endIn, eventOf, namingPrevious, type Answered } from "./answered.ts";
import { headersOfFrame, invalidFrame, isSameTurn, readRequestFrame, turnOf } from "./request-frame.ts";
import { previousIdOf, SocketMemory, wholeOf, type Asked } from "./socket-memory.ts";

/** What a socket needs of the relay around it. */
export interface SocketDependencies {
  readonly handling: HandleDependencies;
  readonly keys: KeyRing | undefined;
  readonly limit: RequestLimit;
  readonly budget: MemoryBudget;
  /** What sockets remember, all of them together. */
  readonly turns: ResponseStore;
  /** A page in the log for one request of the socket. */
  readonly open: (id: string, headers: Headers) => RequestRecord;
  readonly newId: () => string;
  readonly now: () => number;
}

export interface SocketUpgrade {
  /** Of the upgrade request. */
  readonly headers: Headers;
  readonly url: string;
  readonly caller: Caller;
}

type Socket = ServerWebSocket<ResponsesSocket>;

/** Clients know this limit of the backend's own sockets and come back by themselves. */
const LIFETIME_MS = 60 * 60_000;
/**
 * Copies of a frame that Bun makes before the relay has it: what came over the network, and the text. With those of its
 * translation they are what a frame costs.
 */
const FRAME_COPIES = 2;
/** Time for a client that is turned away to read why. */
const GOODBYE_MS = 10_000;
const GOING_AWAY = 1001;
const TRY_AGAIN = 1013;
const POLICY_VIOLATION = 1008;

/**
 * The Responses API over one WebSocket: `response.create` frames in, the reply's events out, one request at a time.
 * A Codex client's socket has one of the backend's behind it, over which its frames pass as they are. Everything else, and
 * what cannot go that way, is upstream the same request as any other; what a request refers to with
 * `previous_response_id`, or has sent ahead with `generate: false`, the socket remembers and puts back.
 */
export class ResponsesSocket {
  readonly #deps: SocketDependencies;
  readonly #upgrade: SocketUpgrade;
  readonly #isCodex: boolean;
  readonly #openedAtMs: number;
  readonly #memory: SocketMemory;
  /** The backend's socket behind a Codex client's. */
  readonly #paired: PairedSocket | undefined;
  readonly #closed = new AbortController();
  /** Frames that are being read or answered. */
  #frames = 0;
  #lifetime: RequestLifetime | undefined;
  #isLeaving = false;
  #isShutOut = false;
  #wake: PromiseWithResolvers<void> | undefined;
  /** Ties the requests of one turn to the same machine upstream. */
  #turn: { readonly id: unknown; readonly state: string } | undefined;

  constructor(deps: SocketDependencies, upgrade: SocketUpgrade) {
    this.#deps = deps;
    this.#upgrade = upgrade;
    this.#isCodex = isCodexClient(upgrade.headers);
    this.#paired = this.#isCodex ? deps.handling.upstream.pairedSocket() : undefined;
    this.#openedAtMs = deps.now();
    this.#memory = new SocketMemory({
      turns: deps.turns,
      socketId: deps.newId(),
      now: deps.now,
      // Codex clients have none there.
      storedElsewhere: (id) =>
        this.#isCodex ? undefined : deps.handling.responses.conversation(id, deps.now(), this.key?.id),
    });
  }

  /** True while a frame that has arrived is read or answered. */
  get isBusy(): boolean {
    return this.#frames > 0;
  }

  /** What the client came in with. */
  get key(): CallerKey | undefined {
    return this.#upgrade.caller.key;
  }

  /** One frame of the client's. Never throws: errors are sent as frames. */
  async onMessage(socket: Socket, data: string | Buffer): Promise<void> {
    const share = this.#deps.budget.open();
    this.#frames += 1;
    try {
      share.receive(data.length);
      share.hold(data.length * FRAME_COPIES);
      const body = await readRequestFrame(data);
      share.received(data.length);
      if (socket.readyState !== WebSocket.OPEN) return;
      if (this.#lifetime) throw invalidFrame("A response is already being created on this connection.");
      if (this.#deps.now() - this.#openedAtMs >= LIFETIME_MS) throw expired();
      const ended = endOfKey(this.#deps.keys, this.key);
      if (ended) return this.shutOut(socket, ended);
      if (body["generate"] === false) await this.#warm(socket, body, share);
      else await this.#create(socket, body, share);
    } catch (thrown) {
      this.#fail(socket, toRelayError(thrown));
      if (isExpiry(thrown)) socket.close(TRY_AGAIN, "connection limit reached");
    } finally {
      this.#frames -= 1;
      share.close();
      // What was being answered has said why.
      if (this.#isShutOut) socket.close(POLICY_VIOLATION, "the key is good no more");
    }
  }

  /** The key is good no more: says so, in the place of what is being answered, and closes. */
  shutOut(socket: Socket, error: RelayError): void {
    if (this.#isShutOut) return;
    this.#isShutOut = true;
    // A client that reads nothing does not keep it open.
    setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
    if (this.#lifetime) {
      this.#lifetime.end(error);
      this.#wake?.resolve();
      return;
    }
    this.#fail(socket, error);
    socket.close(POLICY_VIOLATION, "the key is good no more");
  }

  /** Sends the client away for a moment, in the middle of a frame if need be. */
  turnAway(socket: Socket): void {
    this.#fail(socket, outOfMemory());
    socket.close(TRY_AGAIN, "too many large frames at once");
    // What has arrived of the frame is held until the connection is gone.
    setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
  }

  onDrain(): void {
    this.#wake?.resolve();
  }

  onClose(): void {
    this.#lifetime?.end(new RelayError("client_closed", "The client closed the connection."));
    this.#wake?.resolve();
    this.#closed.abort(new RelayError("client_closed", "The client closed the connection."));
    this.#paired?.close();
    this.#memory.clear();
  }

  /** The relay stops: at once when idle, else after what is being answered. */
  goAway(socket: Socket): void {
    this.#isLeaving = true;
    if (!this.#lifetime) socket.close(GOING_AWAY, "the relay is stopping");
  }

  /** What the client sends ahead is known to the backend's socket then, or else kept for the request that goes on from it. */
  async #warm(socket: Socket, body: JsonObject, share: Share): Promise<void> {
    const asked = this.#memory.asked(body);
    if (!asked.added.every(isObject)) throw invalidFrame("Every item of 'input' must be an object.");
    const id = await this.#warmBackend(socket, body, asked, share);
    if (id !== undefined) this.#memory.remember({ id, items: [] }, body, asked);
    else await this.#warmHere(socket, body, asked, share);
  }

  /** Passes on what was sent ahead, and its events; the id that it has there. Undefined where it did not get there. */
  async #warmBackend(socket: Socket, body: JsonObject, asked: Asked, share: Share): Promise<string | undefined> {
    const { handling } = this.#deps;
    const { caller } = this.#upgrade;
    const paired = this.#pairedFor(body, asked);
    // A limited key's requests are counted one by one, and this is none.
    if (!paired || caller.key?.limits) return undefined;
    const frames: Frame[] = [];
    try {
      const sent = wholeOf(body, asked, share);
      const { responses } = await import("../../protocols/responses/index.ts");
      const context = await contextOf({ caller, share, id: this.#deps.newId() }, true, handling);
      const request = responses.read(sent, context);
      if ("reply" in request) return undefined;
      const call = { body: request.translation.body, codexHeaders: this.#codexHeaders(body), paired };
      const more = { clientId: context.clientId, isStrict: handling.options.strict };
      const reply = await handling.upstream.prewarm({ ...call, ...more }, this.#closed.signal);
      if (!reply) return undefined;
      await readBatches(reply.events, (batch) => {
        frames.push(...batch.map((event): Frame => event));
        return false;
      });
    } catch {
      // The request itself will say what is wrong.
      return undefined;
    }
    const ends = frames.map((frame) => endIn(eventOf(frame), []));
    const end = ends.find((each) => each !== undefined);
    if (end === undefined || end === "failed") return undefined;
    for (const frame of frames) await this.#send(socket, jsonOf(frame));
    return end.id;
  }

  /** Kept here; refused as the request itself would be, which the client then need not wait for. */
  async #warmHere(socket: Socket, body: JsonObject, asked: Asked, share: Share): Promise<void> {
    const { handling } = this.#deps;
    const { caller } = this.#upgrade;
    const { prewarm } = await import("../../protocols/responses/prewarm.ts");
    const context = await contextOf({ caller, share, id: this.#deps.newId() }, this.#isCodex, handling);
    const id = `resp_${context.id}`;
    const { translation, events } = prewarm(id, wholeOf(body, asked, share), context);
    if (handling.options.strict) refuseDropped(translation);
    refuseModel(caller.key, translation.body.model, context);
    if (socket.readyState !== WebSocket.OPEN) return;
    this.#memory.remember({ id, items: [] }, body, asked);
    const previousId = previousIdOf(body);
    for (const event of events) socket.send(JSON.stringify(namingPrevious(event, previousId) ?? event));
  }

  async #create(socket: Socket, body: JsonObject, share: Share): Promise<void> {
    const { limit, handling } = this.#deps;
    const lifetime: RequestLifetime = new RequestLifetime(new AbortController().signal, (reason) => {
      limit.leave(lifetime);
      // As over HTTP: whoever has closed the socket may ask again at once.
      if (reason !== undefined) record.settle(handling.upstream.limits.current());
    });
    lifetime.isOnSocket = true;
    lifetime.key = this.key;
    const id = this.#deps.newId();
    const headers = this.#headersFor(body);
    const record = this.#deps.open(id, headers);
    record.isStream = true;
    record.key = this.key?.name;
    try {
      limit.enter(lifetime);
      this.#lifetime = lifetime;
      await this.#bring(body);
      const asked = this.#memory.asked(body);
      const post = new Request(this.#upgrade.url, { method: "POST", headers });
      const { caller } = this.#upgrade;
      const paired = this.#pairedFor(body, asked);
      const admitted = { request: post, caller, id, lifetime, record, waitForever: () => {}, share, paired };
      const sent = wholeOf(body, asked, share);
      const { responses } = await import("../../protocols/responses/index.ts");
      const context = await contextOf(admitted, this.#isCodex, this.#deps.handling);
      const request = { body: sent, asked: responses.read(sent, context), context };
      const { reply } = await begin(responses, request, admitted, this.#deps.handling);
      share.settle();
      const state = reply.headers[TURN_STATE_HEADER];
      if (state !== undefined) this.#turn = { id: turnOf(body), state };
      const frames: Frame[] = [];
      const stream = request.asked.stream((frame) => frames.push(frame));
      const previousId = previousIdOf(body);
      const output = await this.#pump(socket, frames, new ReplyStream(stream, reply, admitted, (isMore) => isMore), {
        ...admitted,
        previousId,
      });
      if (output) this.#memory.remember(output, body, asked);
      else this.#memory.forgetPrevious(body);
    } catch (thrown) {
      const { reason } = lifetime.signal as { reason: unknown };
      // When the relay stops it is not the client that has left.
      const error = toRelayError(reason instanceof RelayError ? reason : thrown);
      record.fail(error);
      this.#memory.forgetPrevious(body);
      throw error;
    } finally {
      lifetime.end();
      record.end(lifetime);
      this.#lifetime = undefined;
      if (this.#isLeaving) socket.close(GOING_AWAY, "the relay is stopping");
    }
  }

  /** The backend's socket behind this one, and the frame for it. */
  #pairedFor(body: JsonObject, { added }: Asked): UpstreamCall["paired"] {
    if (!this.#paired) return undefined;
    const { client_metadata: metadata, generate } = body;
    const previousId = previousIdOf(body);
    const headers = codexClientHeaders(this.#upgrade.headers);
    return { socket: this.#paired, frame: { headers, added, previousId, metadata, isPrewarm: generate === false } };
  }

  #codexHeaders(body: JsonObject): Record<string, string> {
    return codexClientHeaders(this.#headersFor(body));
  }

  /** Sends the reply's frames, one message each, at the pace of the reader. The answer, if it is one to go on from. */
  async #pump(
    socket: Socket,
    frames: Frame[],
    reply: ReplyStream,
    {
      record,
      share,
      previousId,
    }: { readonly record: RequestRecord; readonly share: Share; readonly previousId: string | undefined },
  ): Promise<Answered | undefined> {
    const output: InputItem[] = [];
    let end: Answered | "failed" | undefined;
    while (await reply.next()) {
      for (const frame of frames.splice(0)) {
        const event = eventOf(frame);
        // Items are kept until the end, for requests that go on from them.
        if (this.#isCodex && event !== undefined && frame instanceof WireEvent) share.collect(frame.size);
        end = endIn(event, output) ?? end;
        // A socket has no status line: its errors carry the status.
        const isError = isObject(event) && event["type"] === "error" && event["status"] === undefined;
        const told = isError ? { status: record.errorStatus ?? 502, ...event } : namingPrevious(event, previousId);
        await this.#send(socket, told ? JSON.stringify(told) : jsonOf(frame));
      }
    }
    // A socket has no end of a reply: closing it is the only sign that nothing more will come.
    if (!end) socket.close(TRY_AGAIN, "the upstream stream ended before the response was complete");
    return end === "failed" ? undefined : end;
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
    const own = errorEvent(error, 0);
    // Codex clients read codes and reset times out of the backend's own words.
    const detail = this.#isCodex && isObject(upstream) && isObject(upstream["error"]) ? upstream["error"] : own.error;
    const headers = {
      ...error.headers,
      ...(error.retryAfterMs === undefined
        ? {}
        : { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) }),
    };
    socket.send(JSON.stringify({ ...own, status: error.status, error: detail, headers }));
  }

  /** Other replicas may know what the request goes on from; what this socket remembers is its own. */
  async #bring(body: JsonObject): Promise<void> {
    const { shared } = this.#deps.handling;
    if (this.#isCodex || !shared) return;
    const previousId = this.#memory.remembers(body) ? undefined : previousIdOf(body);
    await shared.bring(this.#upgrade.caller.key?.id ?? "", { ...body, previous_response_id: previousId });
  }

  /** Headers as an HTTP request would have had them. */
  #headersFor(body: JsonObject): Headers {
    if (!this.#isCodex) return new Headers(this.#upgrade.headers);
    const headers = headersOfFrame(this.#upgrade.headers, body);
    if (this.#turn && isSameTurn(this.#turn.id, body)) headers.set("x-codex-turn-state", this.#turn.state);
    return headers;
  }
}

const LIMIT_CODE = "websocket_connection_limit_reached";

function expired(): RelayError {
  return new RelayError("invalid_request", "Connections last 60 minutes; open a new one.", { wireCode: LIMIT_CODE });
}

function isExpiry(thrown: unknown): boolean {
  return thrown instanceof RelayError && thrown.wireCode === LIMIT_CODE;
}
