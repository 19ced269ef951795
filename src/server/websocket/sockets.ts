import type { ServerWebSocket, WebSocketHandler } from "bun";
import { ResponseStore } from "../../codex/response-store.ts";
import { RelayError } from "../../lib/errors.ts";
import type { CallerKey } from "../access.ts";
import type { Admitted } from "../handle.ts";
import type { WatchedSocket } from "../key-watch.ts";
import type { MemoryBudget } from "../budget.ts";
import type { RequestLimit } from "../limits.ts";
import type { PublicApi } from "../http/public-api.ts";
import type { RecordStart, RequestRecord } from "../record.ts";
import { FrameGuard } from "./frame-guard.ts";
import { ResponsesSocket, type SocketDependencies } from "./responses-socket.ts";

/** Sockets are kept alive by pings; this bounds ones whose other end is gone. */
const IDLE_SECONDS = 120;
/** Beyond it a slow reader holds upstream back; one event alone may be larger. */
const BUFFER_BYTES = 1024 * 1024;

/** Larger conversations go over HTTP. Bun closes the socket when a frame announces more. */
const LARGEST_FRAME_BYTES = 32 * 1024 * 1024;
/** Of the memory budget, what requests on sockets may take: one frame of the largest size at a time. */
const FRAMES_PART = 1 / 4;
/** What frames on their way in may take before sockets are closed with 1013 (try again later). */
const SLACK_BYTES = 32 * 1024 * 1024;

/** In place of a reply, when a WebSocket has taken the connection: Bun expects undefined then. */
// eslint-disable-next-line typescript/no-unsafe-type-assertion -- handlers of everything else do return a Response
export const TAKEN = undefined as unknown as Response;

export function isUpgrade(request: Request): boolean {
  return request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** What sockets need of the relay around them. */
export interface SocketsOptions {
  readonly publicApi: PublicApi;
  /** What a socket that is opened now works with. */
  readonly deps: () => Omit<SocketDependencies, "open" | "turns" | "budget">;
  readonly limit: RequestLimit;
  readonly budget: MemoryBudget;
  readonly record: (start: Omit<RecordStart, "keepsText">) => RequestRecord;
  /** Called with the key that a socket came with. */
  readonly onOpen: (key: CallerKey | undefined) => void;
}

/** The WebSocket transport of Responses: how sockets begin, what Bun calls for them, and how they end. */
export class Sockets {
  readonly #options: SocketsOptions;
  readonly #open = new Set<ServerWebSocket<ResponsesSocket>>();
  readonly #turns = new ResponseStore();
  readonly #guard: FrameGuard;
  readonly #frames: MemoryBudget;

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#frames = options.budget.part(FRAMES_PART);
    this.#guard = new FrameGuard({
      count: () => this.#open.size,
      turnAway: (spared) => this.#turnAway(spared),
      heldBytes: () => options.budget.heldBytes,
      slackBytes: SLACK_BYTES,
    });
  }

  /** Makes the request's connection a socket. Clients fall back to HTTP on 426, silently. */
  async upgrade({ request, caller, record, upgrade }: Admitted): Promise<Response> {
    const { publicApi, deps, limit, record: open } = this.#options;
    if (!isUpgrade(request)) {
      throw new RelayError("method_not_allowed", "GET is not allowed on this path.", {
        headers: { allow: "POST, OPTIONS" },
      });
    }
    if (await publicApi.isLogin()) {
      throw new RelayError("upgrade_required", "API-key logins are passed on over HTTP only.");
    }
    limit.check();
    const { start } = record;
    const data = new ResponsesSocket(
      {
        ...deps(),
        turns: this.#turns,
        budget: this.#frames,
        open: (id, headers) => open({ ...start, id, headers, method: "WS" }),
      },
      { headers: new Headers(request.headers), url: request.url, caller },
    );
    if (!upgrade?.(data)) throw new RelayError("invalid_request", "The WebSocket handshake is incomplete.");
    record.isProbe = true;
    record.status = 101;
    return TAKEN;
  }

  /** What Bun calls for each socket. */
  handlers(maxBodyBytes: number): WebSocketHandler<ResponsesSocket> {
    return {
      maxPayloadLength: Math.min(maxBodyBytes, LARGEST_FRAME_BYTES),
      idleTimeout: IDLE_SECONDS,
      // A deflated frame of 61 KB may unpack to 64 MiB, and Bun unpacks it before anybody can count it.
      perMessageDeflate: false,
      backpressureLimit: BUFFER_BYTES,
      open: (socket) => {
        this.#open.add(socket);
        this.#options.limit.sockets.add(socket);
        this.#guard.update();
        this.#options.onOpen(socket.data.key);
      },
      message: (socket, data) => socket.data.onMessage(socket, data),
      drain: (socket) => socket.data.onDrain(),
      close: (socket) => {
        this.#open.delete(socket);
        this.#options.limit.sockets.delete(socket);
        this.#guard.update();
        socket.data.onClose();
      },
    };
  }

  /** Open sockets, for whoever ends those of a key. */
  *watched(): Generator<WatchedSocket> {
    for (const socket of this.#open) {
      yield { key: socket.data.key, shutOut: (error) => socket.data.shutOut(socket, error) };
    }
  }

  #turnAway(spared: number): void {
    const silent = [...this.#open].filter((socket) => !socket.data.isBusy);
    for (const socket of silent.slice(spared)) socket.data.turnAway(socket);
  }

  /** No new requests on open sockets; those under way are answered. */
  goAway(): void {
    for (const socket of this.#open) socket.data.goAway(socket);
  }
}
