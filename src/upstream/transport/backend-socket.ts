import { httpFailure, truncated } from "../../codex/wire/failure.ts";
import { frameHeaders } from "../../codex/wire/reply-headers.ts";
import { WireEvent } from "../../codex/wire/event.ts";
import { isTerminal } from "../../codex/wire/event-types.ts";
import type { SocketHistory } from "../../codex/continuation.ts";
import { RelayError } from "../../lib/errors.ts";
import { IdleTimer } from "../../lib/idle-timer.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { EventBatches, ReadOptions } from "../sse.ts";
import { AnswerBoundary } from "./answer-boundary.ts";
import type { Upgraded } from "./handshake.ts";
import { UpgradedSocket } from "./upgraded-socket.ts";

/** Frames held for a reader that is slow, in characters, before the socket's own reading stops. */
const PAUSE_CHARACTERS = 256 * 1024;

/** One WebSocket of the backend: one response at a time, and what the backend knows after it. */
export class BackendSocket {
  /** Of the handshake's reply. */
  readonly headers: Headers;
  readonly openedAtMs: number;
  /** What the next request may go on from; undefined after anything but a whole answer. */
  history: SocketHistory | undefined;
  readonly #socket: UpgradedSocket;
  readonly #now: () => number;
  readonly #boundary = new AnswerBoundary();
  #reply: SocketReply | undefined;
  #isOpen = true;

  private constructor(socket: UpgradedSocket, headers: Headers, now: () => number) {
    this.#socket = socket;
    this.headers = headers;
    this.#now = now;
    this.openedAtMs = now();
    socket.on("message", (data: Buffer) => this.#receive(data.toString()));
    socket.on("error", () => this.close());
    socket.on("close", () => this.#end());
  }

  /** Throws `upstream_unreachable` for a connection that has ended meanwhile, or that agrees to what was not offered. */
  static over(upgraded: Upgraded, now: () => number): BackendSocket {
    return new BackendSocket(new UpgradedSocket(upgraded), upgraded.headers, now);
  }

  get isOpen(): boolean {
    // One that is closing takes nothing any more, though its end has not come yet.
    return this.#isOpen && this.#socket.readyState === UpgradedSocket.OPEN;
  }

  get isBusy(): boolean {
    return this.#reply !== undefined;
  }

  /** Sends one `response.create` frame; its events end with the terminal one. Only while it is open and not busy. */
  request(frame: JsonObject, options: ReplyOptions): EventBatches {
    this.history = undefined;
    const reply = new SocketReply(this.#socket, options, {
      now: this.#now,
      onOver: () => (this.#reply = undefined),
      // The backend has no way to be told that an answer is not wanted any more.
      onCancel: () => this.close(),
    });
    this.#reply = reply;
    this.#socket.send(JSON.stringify(frame));
    return reply;
  }

  /** Ends the socket now; a reply under way is cut off. */
  close(): void {
    this.#socket.terminate();
    this.#end();
  }

  #receive(data: string): void {
    const event = WireEvent.from(data);
    if (event && this.#boundary.isStray(event)) {
      // What else is late cannot be told from the next answer.
      this.close();
      return;
    }
    if (event && !event.isBulk) this.#boundary.notice(event);
    this.#reply?.receive(event, data.length);
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.history = undefined;
    this.#reply?.breakOff();
  }
}

/** How the frames of one reply are read. */
export interface ReplyOptions extends Omit<ReadOptions, "onEnd"> {
  /**
   * An error frame is an event to hand on, not a failure to throw: Codex clients read it themselves. `after-output`: once
   * the answer has begun; before that it is a refusal, which may be cured.
   */
  readonly handsOnErrors: boolean | "after-output";
  /** Called when the terminal event has come. */
  readonly onTerminal?: (event: WireEvent) => void;
  /** Longest wait for the first event; none when left out. */
  readonly firstEventTimeoutMs?: number;
  /** Ends the reply, and with it the socket. */
  readonly signal: AbortSignal;
}

interface Owner {
  readonly now: () => number;
  readonly onOver: () => void;
  readonly onCancel: () => void;
}

/** Frames → batches of events, with the same promises as `EventReader` gives for a body. */
class SocketReply implements EventBatches {
  readonly #socket: UpgradedSocket;
  readonly #options: ReplyOptions;
  readonly #owner: Owner;
  readonly #idleTimer: IdleTimer | undefined;
  #batch: WireEvent[] = [];
  #characters = 0;
  #waiting: PromiseWithResolvers<void> | undefined;
  readonly #firstEventTimer: Timer | undefined;
  readonly #onAbort: () => void;
  /** Thrown once all events before it are handed on. */
  #failure: { readonly reason: unknown } | undefined;
  /** Nothing more comes. */
  #isEnded = false;
  /** An event of the answer itself has come. */
  #hasBegun = false;

  constructor(socket: UpgradedSocket, options: ReplyOptions, owner: Owner) {
    this.#socket = socket;
    this.#options = options;
    this.#owner = owner;
    const { idleTimeoutMs, firstEventTimeoutMs, signal } = options;
    if (idleTimeoutMs !== undefined) {
      this.#idleTimer = new IdleTimer(idleTimeoutMs, () => {
        // Between reads it is the client that takes its time.
        if (this.#waiting) this.#giveUp(silent(idleTimeoutMs));
      });
    }
    if (firstEventTimeoutMs !== undefined) {
      this.#firstEventTimer = setTimeout(() => this.#giveUp(silent(firstEventTimeoutMs)), firstEventTimeoutMs);
    }
    this.#onAbort = () => this.#giveUp(signal.reason);
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) queueMicrotask(this.#onAbort);
  }

  async next(): Promise<WireEvent[] | undefined> {
    for (;;) {
      if (this.#batch.length > 0) return this.#take();
      if (this.#failure) throw this.#failure.reason;
      if (this.#isEnded) return undefined;
      this.#idleTimer?.touch();
      this.#waiting = Promise.withResolvers<void>();
      await this.#waiting.promise;
      this.#waiting = undefined;
    }
  }

  cancel(): void {
    if (this.#isEnded) return;
    this.#end();
    this.#owner.onCancel();
  }

  /** One frame of so many characters; undefined for one that is no event. */
  receive(event: WireEvent | undefined, characters: number): void {
    if (this.#isEnded) return;
    clearTimeout(this.#firstEventTimer);
    this.#idleTimer?.touch();
    if (!event) {
      this.#options.onIgnored?.();
      return;
    }
    if (!event.isBulk) this.#notice(event);
    if (this.#isEnded && this.#failure) return;
    this.#batch.push(event);
    this.#characters += characters;
    if (this.#characters > PAUSE_CHARACTERS && !this.#isEnded) this.#socket.pause();
    this.#waiting?.resolve();
  }

  /** The socket died before the reply was over. */
  breakOff(): void {
    if (this.#isEnded) return;
    this.#failure = { reason: truncated() };
    this.#end();
  }

  #notice(event: WireEvent): void {
    this.#options.onNotable?.(event);
    if (event.type.startsWith("response.")) this.#hasBegun ||= event.type !== "response.failed";
    if (!isTerminal(event.type)) return;
    const { handsOnErrors } = this.#options;
    const isHandedOn = handsOnErrors === "after-output" ? this.#hasBegun : handsOnErrors;
    if (event.type === "error" && !isHandedOn) this.#failure = { reason: failureOfFrame(event, this.#owner.now()) };
    this.#options.onTerminal?.(event);
    this.#end();
  }

  #take(): WireEvent[] {
    const batch = this.#batch;
    this.#batch = [];
    if (this.#characters > PAUSE_CHARACTERS) this.#socket.resume();
    this.#characters = 0;
    this.#options.onBatch?.(batch);
    return batch;
  }

  #end(): void {
    this.#isEnded = true;
    this.#idleTimer?.stop();
    clearTimeout(this.#firstEventTimer);
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    if (this.#socket.isPaused) this.#socket.resume();
    this.#owner.onOver();
    this.#waiting?.resolve();
  }

  #giveUp(reason: unknown): void {
    if (this.#isEnded) return;
    this.#failure = { reason };
    this.cancel();
  }
}

function silent(limitMs: number): RelayError {
  return new RelayError("upstream_timeout", `Upstream sent nothing for ${Math.round(limitMs / 1000)} seconds.`);
}

/** An error frame as the failure that the same refusal is over HTTP, with its headers (waits, plan windows). */
function failureOfFrame(event: WireEvent, nowMs: number): RelayError {
  const { status, status_code: statusCode, headers, ...body } = event.event as JsonObject;
  const given = typeof status === "number" ? status : statusCode;
  return httpFailure(
    {
      status: typeof given === "number" && given >= 400 ? given : 500,
      headers: frameHeaders(headers),
      text: JSON.stringify(body),
    },
    nowMs,
  );
}
