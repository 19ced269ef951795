import type { Credentials } from "../auth/credentials.ts";
import { headersFromLimits } from "../codex/plan-limits.ts";
import type { WireEvent } from "../codex/wire/event.ts";
import { namedHeaders, type ReplyHeaders } from "../codex/wire/reply-headers.ts";
import { conversationHeaders } from "../codex/wire/request-headers.ts";
import { toRelayError, type RelayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { ReplyObserver, UpstreamCall, UpstreamReply } from "./call.ts";
import type { CatalogueKeeper } from "./catalogue.ts";
import type { CookieJar } from "./cookie-jar.ts";
import { credentialHeaders } from "./credential-headers.ts";
import type { Egress } from "./egress.ts";
import { afterFirstEvent, afterFirstOutput } from "./first-output.ts";
import type { UpstreamOptions } from "./options.ts";
import type { PlanLimitsKeeper } from "./plan-limits.ts";
import type { PreparedRequest } from "./request-encoder.ts";
import { PairedSocket } from "./transport/paired-socket.ts";
import {
  isSocketFault,
  SocketTransport,
  type SocketCall,
  type SocketOwner,
  type SocketReplyStart,
} from "./transport/websocket.ts";
import type { TurnStates } from "./turn-states.ts";

/** What the Codex CLI sends with the handshake of its sockets. */
const SOCKET_HEADERS = { "openai-beta": "responses_websockets=2026-02-06" };

/** After this HTTP is the faster way. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Of a handshake's reply, what holds for every reply over the socket. */
const OF_SOCKET = /^(x-codex-turn-state|x-models-etag|x-reasoning-included|openai-model)$/;

/** What attempts over a socket share with those over HTTP. */
export interface SocketSurroundings {
  readonly egress: Egress;
  readonly options: () => UpstreamOptions;
  /** Headers that name the relay. */
  readonly identity: Readonly<Record<string, string>>;
  readonly cookies: CookieJar;
  readonly turnStates: TurnStates;
  readonly catalogue: CatalogueKeeper;
  readonly limits: PlanLimitsKeeper;
  /** Called for every data field that is no event. */
  readonly onIgnored: () => void;
  /** Called with every event but the many deltas. */
  readonly onNotable: (event: WireEvent, accountId: string | undefined, observer: ReplyObserver | undefined) => void;
  readonly now: () => number;
  readonly log: Log;
}

/** A conversation's login, and its names. */
interface SocketUser {
  readonly url: string;
  readonly credentials: Credentials;
  readonly prepared: Pick<PreparedRequest, "conversationId" | "ownConversation">;
}

/** A request as it goes over a socket. */
interface SocketAttempt extends SocketUser {
  readonly call: UpstreamCall;
  readonly prepared: PreparedRequest;
}

/** Asks the backend over its WebSocket: with a socket of the relay's own, or with that of a Codex client's. */
export class SocketAttempts {
  readonly #with: SocketSurroundings;
  readonly #transport: SocketTransport;

  constructor(surroundings: SocketSurroundings) {
    const { egress, options, now, log } = surroundings;
    this.#with = surroundings;
    this.#transport = new SocketTransport({
      connect: (url, signal) => egress.connect(url, signal),
      handshakeTimeoutMs: () => Math.min(options().firstByteTimeoutMs, HANDSHAKE_TIMEOUT_MS),
      choice: () => options().transport,
      now,
      log,
    });
  }

  /** Ends the sockets that are kept for later. */
  close(): void {
    this.#transport.close();
  }

  /** The backend's socket for a Codex client's; its owner closes it. */
  pairedSocket(): PairedSocket {
    return new PairedSocket(this.#transport);
  }

  /** Makes the handshake for the request that is going to follow in this turn. */
  warm({ url, credentials, prepared }: SocketUser): void {
    const turnState = this.#with.turnStates.headersWithin(prepared.ownConversation);
    this.#transport.warm(this.#socketOwner(url, prepared, credentials, turnState));
  }

  /**
   * Sends a request and returns once its reply has begun; undefined where HTTP has to do it. Throws RelayError; an abort
   * of `signal` throws `client_closed`.
   */
  send({ call, ...attempt }: SocketAttempt, signal: AbortSignal): Promise<Omit<UpstreamReply, "dropped"> | undefined> {
    if (call.paired) return this.#sendPaired({ ...attempt, call: { ...call, ...call.paired } }, signal);
    // Told before anything is made for a socket: some backends serve none.
    return this.#transport.isAvailable ? this.#sendOverOwn({ ...attempt, call }, signal) : Promise.resolve(undefined);
  }

  /**
   * Over the relay's own socket for the conversation. One that has lost its history, or dies before it said anything,
   * has its request sent again whole: nothing of an answer was seen.
   */
  async #sendOverOwn(
    { url, call, credentials, prepared }: SocketAttempt,
    signal: AbortSignal,
  ): Promise<Omit<UpstreamReply, "dropped"> | undefined> {
    const { accountId } = credentials;
    const { holdMs } = this.#with.options();
    const { wire, headers, ownConversation } = prepared;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const seen = { anything: false };
      const started = await this.#transport.send(
        {
          ...this.#socketOwner(url, prepared, credentials, this.#with.turnStates.headersFor(ownConversation, wire)),
          frameHeaders: headers,
          body: { ...wire },
          reply: this.#socketReply(call, accountId, seen),
        },
        signal,
      );
      if (!started) return undefined;
      this.#noticeHandshake(url, started, accountId);
      if (started.isNew) this.#with.turnStates.notice(ownConversation, namedHeaders(started.headers));
      try {
        const events = await afterFirstOutput(started.events, holdMs, this.#with.now);
        return { headers: this.#socketHeaders(started.headers), events };
      } catch (thrown) {
        const error = toRelayError(thrown);
        const isDead = !seen.anything && isConnectionFault(error);
        // Places in the rest of a conversation are none in the whole, by which refusals are understood.
        const isMisplaced = started.isContinued && /\binput\b/.test(`${error.param ?? ""} ${error.message}`);
        const isAnew = isSocketFault(error) || (isMisplaced && error.code === "upstream_rejected");
        if (signal.aborted || !(isDead || isAnew)) throw thrown;
        this.#transport.forget(ownConversation);
        if (isDead) return undefined;
      }
    }
    return undefined;
  }

  /**
   * A Codex client's frame over the backend's socket that is its own. What that socket has lost, or a socket that died
   * in silence, is made good by the whole conversation on another.
   */
  async #sendPaired(
    { url, call, credentials, prepared }: SocketAttempt & { readonly call: NonNullable<UpstreamCall["paired"]> },
    signal: AbortSignal,
  ): Promise<Omit<UpstreamReply, "dropped"> | undefined> {
    const { socket, frame } = call;
    const { wire, conversationId, ownConversation } = prepared;
    const { accountId } = credentials;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const seen = { anything: false };
      const sent: SocketCall = {
        url,
        headers: this.#handshakeHeaders(url, conversationId, credentials, frame.headers),
        frameHeaders: {},
        body: { ...wire },
        conversationId: ownConversation,
        login: accountId ?? "",
        reply: { ...this.#socketReply(call, accountId, seen), handsOnErrors: "after-output" },
      };
      const started = await socket.send(sent, frame, signal);
      if (!started) return undefined;
      this.#noticeHandshake(url, started, accountId);
      try {
        const events = await afterFirstEvent(started.events);
        return { headers: this.#socketHeaders(started.headers), events };
      } catch (thrown) {
        const error = toRelayError(thrown);
        const isDead = !seen.anything && isConnectionFault(error);
        if (signal.aborted || !(isDead || isSocketFault(error))) throw thrown;
        socket.forget();
        if (isDead) return undefined;
      }
    }
    return undefined;
  }

  /** Whose socket a request goes over; within a turn its handshake brings the turn's state. */
  #socketOwner(
    url: string,
    { conversationId, ownConversation }: SocketUser["prepared"],
    credentials: Credentials,
    turnState: Readonly<Record<string, string>>,
  ): SocketOwner {
    return {
      url,
      headers: this.#handshakeHeaders(url, conversationId, credentials, turnState),
      conversationId: ownConversation,
      login: credentials.accountId ?? "",
    };
  }

  #handshakeHeaders(
    url: string,
    conversationId: string,
    credentials: Credentials,
    more: Readonly<Record<string, string>>,
  ): Record<string, string> {
    return {
      ...this.#with.identity,
      ...conversationHeaders(conversationId),
      ...more,
      ...credentialHeaders(credentials),
      ...this.#with.cookies.headersFor(url),
      ...SOCKET_HEADERS,
    };
  }

  /** How the reply to `call` is read; `seen` says whether any of it has come. */
  #socketReply(
    { observer }: Pick<UpstreamCall, "observer">,
    accountId: string | undefined,
    seen: { anything: boolean },
  ): SocketCall["reply"] {
    const { idleTimeoutMs, firstByteTimeoutMs } = this.#with.options();
    return {
      handsOnErrors: false,
      idleTimeoutMs,
      firstEventTimeoutMs: firstByteTimeoutMs,
      onIgnored: this.#with.onIgnored,
      onNotable: (event) => {
        seen.anything = true;
        this.#with.onNotable(event, accountId, observer);
      },
      onBatch: (batch) => observer?.onBatch(batch),
    };
  }

  #noticeHandshake(url: string, { isNew, headers }: SocketReplyStart, accountId: string | undefined): void {
    if (!isNew) return;
    this.#with.cookies.notice(url, headers);
    const named = namedHeaders(headers);
    this.#with.catalogue.noticeEtag(named["x-models-etag"]);
    this.#with.limits.noticeHeaders(named, accountId);
  }

  /** Headers of a reply over a socket: those of its handshake, and the plan's windows as they are now. */
  #socketHeaders(handshake: Headers): ReplyHeaders {
    const headers: Record<string, string> = {};
    for (const [name, value] of handshake) if (OF_SOCKET.test(name)) headers[name] = value;
    const limits = this.#with.limits.current();
    return limits ? Object.assign(headers, headersFromLimits(limits, this.#with.now())) : headers;
  }
}

/** The connection's fault rather than the backend's answer. */
function isConnectionFault({ code }: RelayError): boolean {
  return code === "upstream_stream_truncated" || code === "upstream_timeout" || code === "upstream_unreachable";
}
