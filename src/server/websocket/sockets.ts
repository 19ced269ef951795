import type { ServerWebSocket, WebSocketHandler } from "bun";
import { RelayError } from "../../lib/errors.ts";
import type { Admitted } from "../handle.ts";
import type { PublicApi } from "../http/public-api.ts";
import type { RecordStart, RequestRecord } from "../record.ts";
import { ResponsesSocket, type SocketDependencies } from "./responses-socket.ts";

/** Sockets are kept alive by pings; this bounds ones whose other end is gone. */
const IDLE_SECONDS = 120;
/** Beyond it a slow reader holds upstream back; one event alone may be larger. */
const BUFFER_BYTES = 1024 * 1024;

/** In place of a reply, when a WebSocket has taken the connection: Bun wants to be told nothing then. */
export const TAKEN = undefined as unknown as Response;

export function isUpgrade(request: Request): boolean {
  return request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** What sockets need of the relay around them. */
export interface SocketsOptions {
  readonly publicApi: PublicApi;
  /** What a socket that is opened now works with. */
  readonly deps: () => Omit<SocketDependencies, "open">;
  readonly record: (start: Omit<RecordStart, "keepsText">) => RequestRecord;
}

/** The WebSocket transport of Responses: how sockets begin, what Bun calls for them, and how they end. */
export class Sockets {
  readonly #options: SocketsOptions;
  readonly #open = new Set<ServerWebSocket<ResponsesSocket>>();

  constructor(options: SocketsOptions) {
    this.#options = options;
  }

  /** Makes the request's connection a socket. Clients fall back to HTTP on 426, silently. */
  async upgrade({ request, visitor, record, upgrade }: Admitted): Promise<Response> {
    const { publicApi, deps, record: open } = this.#options;
    if (!isUpgrade(request)) {
      throw new RelayError("method_not_allowed", "GET is not allowed on this path.", {
        headers: { allow: "POST, OPTIONS" },
      });
    }
    if (await publicApi.isLogin()) {
      throw new RelayError("upgrade_required", "API-key logins are passed on over HTTP only.");
    }
    const { start } = record;
    const data = new ResponsesSocket(
      { ...deps(), open: (id) => open({ ...start, id, method: "WS" }) },
      { headers: new Headers(request.headers), url: request.url, visitor },
    );
    if (!upgrade?.(data)) throw new RelayError("invalid_request", "The WebSocket handshake is incomplete.");
    record.isProbe = true;
    record.status = 101;
    return TAKEN;
  }

  /** What Bun calls for each socket. */
  handlers(maxPayloadLength: number): WebSocketHandler<ResponsesSocket> {
    return {
      maxPayloadLength,
      idleTimeout: IDLE_SECONDS,
      perMessageDeflate: true,
      backpressureLimit: BUFFER_BYTES,
      open: (socket) => void this.#open.add(socket),
      message: (socket, data) => socket.data.onMessage(socket, data),
      drain: (socket) => socket.data.onDrain(),
      close: (socket) => {
        this.#open.delete(socket);
        socket.data.onClose();
      },
    };
  }

  /** No new requests on open sockets; those under way are answered. */
  goAway(): void {
    for (const socket of this.#open) socket.data.goAway(socket);
  }
}
