import { continuationOf, DigestedBody, historyAfter, type FinishedBody } from "../../codex/continuation.ts";
import { toRelayError, type RelayError } from "../../lib/errors.ts";
import { objectOf, type JsonObject } from "../../lib/json.ts";
import { roughJsonSize } from "../../lib/large-json.ts";
import type { Log } from "../../lib/log.ts";
import type { EventBatches } from "../sse.ts";
import type { BackendSocket, ReplyOptions } from "./backend-socket.ts";
import { shakeHands, type Handshake } from "./handshake.ts";
import { WholeOutput } from "./whole-output.ts";

/** The backend ends its sockets after an hour. */
const MAX_AGE_MS = 55 * 60_000;
const MAX_IDLE_MS = 5 * 60_000;
/** Each holds a TLS connection and a digest a step of its conversation. */
const MAX_SOCKETS = 32;
/** After 426 the backend serves no sockets for a while. */
const REFUSED_MS = 10 * 60_000;
/** After handshakes that failed otherwise. */
const FAILED_MS = 5 * 60_000;
const MAX_FAILURES = 2;
/** Conversations remembered as begun. A UUID each. */
const MAX_CONVERSATIONS = 4096;

/**
 * Larger requests go over HTTP, which writes them in pieces: to compare and frame 60 MiB in one go holds up the event
 * loop for 300 ms. In characters of JSON.
 */
const LARGEST = 8 * 1024 * 1024;

/** True for what goes over HTTP for its size. */
export function isLarge(body: JsonObject | FinishedBody): boolean {
  return roughJsonSize(body, LARGEST).characters > LARGEST;
}

/** How requests travel: `auto` uses a WebSocket from a conversation's second request on, where the backend serves one. */
export type TransportChoice = "auto" | "http" | "websocket";

/** Whose socket it is, and how it is opened. */
export interface SocketOwner {
  readonly url: string;
  /** Of the handshake: identity, conversation, credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly conversationId: string;
  /** A socket belongs to one login. */
  readonly login: string;
}

/** One finished request. */
export interface SocketCall extends SocketOwner {
  readonly body: FinishedBody;
  /** Said in the frame, as a socket has headers only once. */
  readonly frameHeaders: Readonly<Record<string, string>>;
  readonly reply: Omit<ReplyOptions, "signal">;
}

export interface SocketTransportOptions {
  readonly connect: Handshake["connect"];
  readonly handshakeTimeoutMs: () => number;
  readonly choice: () => TransportChoice;
  readonly now: () => number;
  readonly log: Log;
}

/** What a request over a socket has become. */
export interface SocketReplyStart {
  /** Of the handshake. */
  readonly headers: Headers;
  readonly events: EventBatches;
  /** True when only the rest of the conversation went out. */
  readonly isContinued: boolean;
  /** True for the first request over the socket: the headers of its handshake are news. */
  readonly isNew: boolean;
}

interface Entry {
  readonly socket: BackendSocket;
  readonly login: string;
  usedAtMs: number;
  /** Opened ahead; nothing has gone over it yet. */
  isSpare: boolean;
}

/** The sockets to the backend: which conversation goes over which, and when HTTP is the better way. */
export class SocketTransport {
  readonly #options: SocketTransportOptions;
  /** By conversation, least recently used first. */
  readonly #sockets = new Map<string, Entry>();
  /** Conversations that have begun over HTTP, oldest first. */
  readonly #begun = new Set<string>();
  /** Handshakes under way: a second request of the conversation does not wait for them. */
  readonly #opening = new Set<string>();
  /** Handshakes ahead of the request that they are for, which does wait. Never rejected. */
  readonly #warming = new Map<string, Promise<void>>();
  readonly #closed = new AbortController();
  #failures = 0;
  #restsUntilMs = 0;
  #isClosing = false;
  #sweeper: Timer | undefined;

  constructor(options: SocketTransportOptions) {
    this.#options = options;
  }

  /**
   * Sends the request over a socket; undefined where HTTP has to do it: by choice, for a conversation's first request,
   * for a very large one, while its socket is busy, while as many as may be open are, and while the backend refuses
   * sockets. Throws what the same refusal over HTTP would.
   */
  async send(call: SocketCall, signal: AbortSignal): Promise<SocketReplyStart | undefined> {
    if (!this.#isWanted(call) || isLarge(call.body)) return undefined;
    const warming = this.#warming.get(call.conversationId);
    if (warming) {
      await warming;
      signal.throwIfAborted();
      if (!this.#sockets.has(call.conversationId)) return undefined;
    }
    const open = this.#usable(call);
    if (open === "busy") return undefined;
    const entry = open ?? (await this.#open(call, signal));
    // Another request may have come before this one woke up.
    if (!entry || entry.socket.isBusy) return undefined;
    const isNew = open === undefined || open.isSpare;
    entry.isSpare = false;
    return { ...this.#start(entry.socket, call, signal), isNew };
  }

  /** Opens the socket of a conversation whose next request is sure to come soon, so that it finds it open. Never throws. */
  warm(owner: SocketOwner): void {
    const { conversationId } = owner;
    if (!this.isAvailable || this.#sockets.has(conversationId) || this.#opening.has(conversationId)) return;
    const opened = this.#open(owner, this.#closed.signal).then(
      (entry) => {
        if (entry) entry.isSpare = true;
        // The relay stops meanwhile.
        if (this.#isClosing) this.forget(conversationId);
      },
      // The request itself will be told.
      () => {},
    );
    this.#warming.set(conversationId, opened);
    void opened.then(() => this.#warming.delete(conversationId));
  }

  /** Ends the socket of a conversation, so that its next request goes out whole on another. */
  forget(conversationId: string): void {
    this.#sockets.get(conversationId)?.socket.close();
    this.#sockets.delete(conversationId);
  }

  /** Ends every socket that does nothing, and those that answer once they have. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    this.#isClosing = true;
    this.#closed.abort();
    for (const [id, { socket }] of this.#sockets) if (!socket.isBusy) this.forget(id);
  }

  /** False while no socket is to be opened: by choice, at the end, and after the backend refused one. */
  get isAvailable(): boolean {
    return this.#options.choice() !== "http" && !this.#isClosing && this.now() >= this.#restsUntilMs;
  }

  now(): number {
    return this.#options.now();
  }

  /** Opens a socket that is its caller's own; undefined where HTTP has to do it. Throws for a login that is refused. */
  async dial({ url, headers }: SocketOwner, signal: AbortSignal): Promise<BackendSocket | undefined> {
    try {
      const { connect, handshakeTimeoutMs, now } = this.#options;
      const upgraded = await shakeHands(
        { url: url.replace(/^http/, "ws"), headers, connect, timeoutMs: handshakeTimeoutMs(), now },
        signal,
      );
      // The WebSocket client takes megabytes, so it is loaded once a backend has agreed to speak to it.
      const { BackendSocket } = await import("./backend-socket.ts");
      if (signal.aborted) upgraded.connection.destroy();
      signal.throwIfAborted();
      const socket = BackendSocket.over(upgraded, now);
      this.#failures = 0;
      return socket;
    } catch (thrown) {
      signal.throwIfAborted();
      return this.#afterFailure(toRelayError(thrown));
    }
  }

  #isWanted({ conversationId }: SocketCall): boolean {
    if (!this.isAvailable) return false;
    if (this.#options.choice() === "websocket" || this.#sockets.has(conversationId)) return true;
    const hasBegun = this.#begun.delete(conversationId);
    this.#begun.add(conversationId);
    for (const oldest of this.#begun) {
      if (this.#begun.size <= MAX_CONVERSATIONS) break;
      this.#begun.delete(oldest);
    }
    return hasBegun;
  }

  #usable({ conversationId, login }: SocketOwner): Entry | "busy" | undefined {
    const entry = this.#sockets.get(conversationId);
    if (!entry) return this.#opening.has(conversationId) ? "busy" : undefined;
    const { socket } = entry;
    if (socket.isBusy) return "busy";
    const nowMs = this.#options.now();
    if (!socket.isOpen || entry.login !== login || isOld(socket, nowMs)) {
      this.forget(conversationId);
      return undefined;
    }
    entry.usedAtMs = nowMs;
    this.#sockets.delete(conversationId);
    this.#sockets.set(conversationId, entry);
    return entry;
  }

  /** Undefined where HTTP has to do it. */
  async #open(owner: SocketOwner, signal: AbortSignal): Promise<Entry | undefined> {
    const { conversationId, login } = owner;
    if (!this.#hasRoom()) return undefined;
    this.#opening.add(conversationId);
    try {
      const socket = await this.dial(owner, signal);
      if (!socket) return undefined;
      const entry = { socket, login, usedAtMs: this.#options.now(), isSpare: false };
      this.#sockets.set(conversationId, entry);
      this.#sweep();
      return entry;
    } finally {
      this.#opening.delete(conversationId);
    }
  }

  /** A login that is refused is refused over HTTP too; everything else leaves the request to HTTP. */
  #afterFailure(error: RelayError): undefined {
    const { now, log } = this.#options;
    if (error.code === "upstream_unauthorized" || error.code === "workspace_region") throw error;
    if (error.upstreamBody?.status === 426) {
      this.#restsUntilMs = now() + REFUSED_MS;
      log.debug("The backend serves no WebSocket; requests go over HTTP.", { forMs: REFUSED_MS });
      return;
    }
    this.#failures += 1;
    if (this.#failures < MAX_FAILURES) return;
    this.#failures = 0;
    this.#restsUntilMs = now() + FAILED_MS;
    log.debug("The backend's WebSocket cannot be opened; requests go over HTTP.", {
      code: error.code,
      forMs: FAILED_MS,
    });
  }

  #start(socket: BackendSocket, call: SocketCall, signal: AbortSignal): Omit<SocketReplyStart, "isNew"> {
    const { body, frameHeaders, reply } = call;
    const digested = new DigestedBody(body);
    const continuation = socket.history && continuationOf(socket.history, digested);
    const metadata = frameMetadata(body, frameHeaders);
    const frame: JsonObject = { type: "response.create", ...body, ...metadata, ...continuation };
    const output = new WholeOutput();
    const events = socket.request(frame, {
      ...reply,
      signal,
      onNotable: (event) => {
        output.notice(event);
        reply.onNotable?.(event);
      },
      onTerminal: (event) => {
        const done = output.complete(event);
        if (done) socket.history = historyAfter(digested, done.id, done.output);
        reply.onTerminal?.(event);
        // Frames that have come stay readable.
        if (this.#isClosing) queueMicrotask(() => socket.close());
      },
    });
    // The request is out, and nothing here is to hold it while the model thinks.
    setImmediate(() => digested.letGo());
    return { headers: socket.headers, events, isContinued: continuation !== undefined };
  }

  /** True when one more may be opened; the one that was not used for longest ends for it. */
  #hasRoom(): boolean {
    const isFull = () => this.#sockets.size + this.#opening.size >= MAX_SOCKETS;
    for (const [id, { socket }] of this.#sockets) {
      if (!isFull()) break;
      if (!socket.isBusy) this.forget(id);
    }
    return !isFull();
  }

  /** Once a minute: sockets that are old, idle or dead. */
  #sweep(): void {
    this.#sweeper ??= setInterval(() => {
      const nowMs = this.#options.now();
      for (const [id, { socket, usedAtMs }] of this.#sockets) {
        if (!socket.isBusy && (!socket.isOpen || isOld(socket, nowMs) || nowMs - usedAtMs > MAX_IDLE_MS))
          this.forget(id);
      }
      if (this.#sockets.size > 0) return;
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }, 60_000);
    this.#sweeper.unref();
  }
}

/** The last one: the backend may count an answer as under way for a moment after it has told its end. */
const SOCKET_FAULTS: ReadonlySet<unknown> = new Set([
  "previous_response_not_found",
  "websocket_connection_limit_reached",
  "response_in_progress",
]);

/** True for failures after which the same request, whole and on a new socket, may succeed. */
export function isSocketFault(error: RelayError): boolean {
  return SOCKET_FAULTS.has(error.wireCode);
}

/** True for a socket that the backend would soon end. */
export function isOld({ openedAtMs }: BackendSocket, nowMs: number): boolean {
  return Math.abs(nowMs - openedAtMs) > MAX_AGE_MS;
}

/** Headers of a single request, in the form that the backend reads out of a frame. */
function frameMetadata(body: FinishedBody, headers: Readonly<Record<string, string>>): JsonObject {
  const entries = Object.entries(headers);
  if (entries.length === 0) return {};
  const named = entries.map(([name, value]) => [`ws_request_header_${name.replaceAll("-", "_")}`, value]);
  return { client_metadata: { ...objectOf(body["client_metadata"]), ...Object.fromEntries(named) } };
}
