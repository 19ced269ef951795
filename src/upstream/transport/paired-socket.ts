import type { InputItem } from "../../codex/wire/request.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { responseOf } from "../../codex/wire/lenient.ts";
import type { WireEvent } from "../../codex/wire/event.ts";
import type { BackendSocket } from "./backend-socket.ts";
import { isLarge, isOld, type SocketCall, type SocketReplyStart, type SocketTransport } from "./websocket.ts";

/** One request as a Codex client's own frame has it. */
export interface PairedFrame {
  /** Headers of the client's handshake, passed on with the backend's. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the frame adds to the response that it goes on from. */
  readonly added: readonly InputItem[];
  readonly previousId: string | undefined;
  /** As it came, with what stands for headers. */
  readonly metadata: unknown;
  /** Sent ahead: to be known, not to be answered. */
  readonly isPrewarm: boolean;
}

/**
 * The backend's socket behind one socket of a Codex client: what that client goes on from, the backend knows by the same
 * id, so its frames pass as they are. Where the backend does not know it (another login, a new socket, an answer that
 * came over HTTP), the whole conversation goes out in their place.
 */
export class PairedSocket {
  readonly #transport: SocketTransport;
  #own: { readonly socket: BackendSocket; readonly login: string } | undefined;
  /** The only response that the backend's socket can go on from. */
  #lastId: string | undefined;
  #isClosed = false;

  constructor(transport: SocketTransport) {
    this.#transport = transport;
  }

  /** Sends a request over it, opening it first; undefined where HTTP has to do it. Throws what the same refusal over HTTP would. */
  async send(call: SocketCall, frame: PairedFrame, signal: AbortSignal): Promise<SocketReplyStart | undefined> {
    if (this.#isClosed || this.#own?.socket.isBusy === true) return undefined;
    if (!this.#transport.isAvailable) {
      this.forget();
      return undefined;
    }
    const open = this.#usable(call);
    const isKnown = frame.previousId === undefined || (open !== undefined && frame.previousId === this.#lastId);
    const { input, ...settings } = call.body;
    const rest: JsonObject = {
      ...settings,
      input: isKnown ? frame.added : input,
      previous_response_id: isKnown ? frame.previousId : undefined,
    };
    if (isLarge(rest)) return undefined;
    const socket = open ?? (await this.#open(call, signal));
    if (!socket) return undefined;
    const events = this.#start(socket, call, signal, {
      type: "response.create",
      ...rest,
      ...(isObject(frame.metadata) ? { client_metadata: frame.metadata } : {}),
      ...(frame.isPrewarm ? { generate: false } : {}),
    });
    const isContinued = isKnown && frame.previousId !== undefined;
    return { headers: socket.headers, events, isContinued, isNew: open === undefined };
  }

  /** Ends the backend's socket; the next request opens another. */
  forget(): void {
    this.#own?.socket.close();
    this.#own = undefined;
    this.#lastId = undefined;
  }

  /** The client's socket is closed. */
  close(): void {
    this.#isClosed = true;
    this.forget();
  }

  #usable({ login }: SocketCall): BackendSocket | undefined {
    if (!this.#own) return undefined;
    const { socket } = this.#own;
    if (socket.isOpen && this.#own.login === login && !isOld(socket, this.#transport.now())) return socket;
    this.forget();
    return undefined;
  }

  async #open(call: SocketCall, signal: AbortSignal): Promise<BackendSocket | undefined> {
    const socket = await this.#transport.dial(call, signal);
    if (!socket) return undefined;
    // Meanwhile the client may have left, or asked for more.
    if (this.#isClosed || this.#own) {
      socket.close();
      return undefined;
    }
    this.#own = { socket, login: call.login };
    return socket;
  }

  #start(socket: BackendSocket, call: SocketCall, signal: AbortSignal, frame: JsonObject): SocketReplyStart["events"] {
    this.#lastId = undefined;
    const { reply } = call;
    return socket.request(frame, {
      ...reply,
      signal,
      onTerminal: (event) => {
        if (this.#own?.socket === socket) this.#lastId = idOfWhole(event);
        reply.onTerminal?.(event);
      },
    });
  }
}

/** Id of the response that a terminal event completes; undefined for one that failed or was cut. */
function idOfWhole({ type, event }: WireEvent): string | undefined {
  return type === "response.completed" || type === "response.done" ? (responseOf(event).id ?? undefined) : undefined;
}
