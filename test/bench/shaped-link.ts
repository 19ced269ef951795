import type { Socket, TCPSocketListener } from "bun";

/** How a link is: what a second lets through upwards, and how long a byte takes there and back. */
export interface LinkShape {
  readonly upBytesPerSecond: number;
  readonly roundTripMs: number;
}

/** A TCP relay in this process that makes loopback as slow as a line, and counts what goes up. */
export interface ShapedLink {
  readonly port: number;
  /** Bytes from the client since the start. */
  sentBytes(): number;
  stop(): void;
}

/** Closer than this a piece's own timer may be the one that just came. */
const EARLY_MS = 2;

interface End {
  peer: Socket<End> | undefined;
  /** When the last byte accepted so far is through. */
  freeAtMs: number;
  /** Sent on in order, each at its time. */
  readonly waiting: { readonly atMs: number; readonly bytes: Uint8Array }[];
  /** Bytes that the peer's socket did not take yet. */
  rest: Uint8Array | undefined;
  isUp: boolean;
  hasEnded: boolean;
}

/** Opens the link to a port of this machine. Bandwidth holds for the way up, delay for both. */
export function openShapedLink(targetPort: number, shape: LinkShape): ShapedLink {
  let sentBytes = 0;
  const oneWayMs = shape.roundTripMs / 2;
  const newEnd = (isUp: boolean): End => ({
    peer: undefined,
    freeAtMs: 0,
    waiting: [],
    rest: undefined,
    isUp,
    hasEnded: false,
  });
  const accept = (socket: Socket<End>, bytes: Uint8Array) => {
    const { data } = socket;
    const nowMs = performance.now();
    if (data.isUp) sentBytes += bytes.length;
    const takesMs = data.isUp ? (bytes.length / shape.upBytesPerSecond) * 1000 : 0;
    data.freeAtMs = Math.max(nowMs, data.freeAtMs) + takesMs;
    data.waiting.push({ atMs: data.freeAtMs + oneWayMs, bytes: Uint8Array.from(bytes) });
    forwardAt(data, data.freeAtMs + oneWayMs);
  };
  const forwardAt = (data: End, atMs: number) => setTimeout(() => forward(data), Math.ceil(atMs - performance.now()));
  const forward = (data: End) => {
    const { peer } = data;
    if (!peer) return;
    const nowMs = performance.now() + 0.5;
    while (!data.rest && data.waiting[0] && data.waiting[0].atMs <= nowMs) {
      const bytes = data.waiting.shift()?.bytes ?? new Uint8Array();
      const written = peer.write(bytes);
      if (written < bytes.length) data.rest = bytes.subarray(Math.max(0, written));
    }
    // Timers count from the loop's own idea of now, and come up to a millisecond too early; nobody else comes for the last piece.
    const [next] = data.waiting;
    if (next && !data.rest && next.atMs - nowMs < EARLY_MS) forwardAt(data, next.atMs);
    if (data.hasEnded && !data.rest && data.waiting.length === 0) peer.end();
  };
  const drain = (socket: Socket<End>) => {
    const from = socket.data.peer?.data;
    if (!from?.rest) return;
    const written = socket.write(from.rest);
    from.rest = written < from.rest.length ? from.rest.subarray(Math.max(0, written)) : undefined;
    forward(from);
  };
  const end = ({ data }: Socket<End>) => {
    data.hasEnded = true;
    setTimeout(() => forward(data), oneWayMs);
  };
  const listener: TCPSocketListener<End> = Bun.listen<End>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(client) {
        client.data = newEnd(true);
        void Bun.connect<End>({
          hostname: "127.0.0.1",
          port: targetPort,
          data: newEnd(false),
          socket: {
            open(target) {
              target.data.peer = client;
              client.data.peer = target;
              forward(client.data);
            },
            data: accept,
            drain,
            close: end,
            error: end,
          },
        });
      },
      data: accept,
      drain,
      close: end,
      error: end,
    },
  });
  return { port: listener.port, sentBytes: () => sentBytes, stop: () => listener.stop(true) };
}
