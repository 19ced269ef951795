import type { Socket, TCPSocketListener } from "bun";

/** How a link is: what a second lets through upwards, and how long a byte takes there and back. */
export interface LinkShape {
  readonly upBytesPerSecond: number;
  readonly roundTripMs: number;
  /**
   * After a pause of so long a sender begins anew with ten segments, and with each that has arrived may send two more
   * (RFC 6928; RFC 5681, sections 3.1 and 4.1). Without it the whole bandwidth is there at once.
   */
  readonly restartMs?: number;
}

const SEGMENT_BYTES = 1460;
const INITIAL_SEGMENTS = 10;

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
  /** When each segment since the last pause has left, in order. */
  departures: number[];
  /** Sent on in order, each at its time. */
  readonly waiting: { readonly atMs: number; readonly bytes: Uint8Array }[];
  /** Bytes that the peer's socket did not take yet. */
  rest: Uint8Array | undefined;
  isUp: boolean;
  hasEnded: boolean;
}

/** When the last of so many bytes has left the sender, who is held back by the bandwidth and by his window. */
export function lastDeparture(
  end: Pick<End, "freeAtMs" | "departures">,
  bytes: number,
  nowMs: number,
  shape: LinkShape,
): number {
  const { upBytesPerSecond, roundTripMs, restartMs } = shape;
  let atMs = Math.max(nowMs, end.freeAtMs);
  if (restartMs !== undefined && nowMs - end.freeAtMs > restartMs) end.departures = [];
  for (let left = bytes; left > 0; left -= SEGMENT_BYTES) {
    // Two more for each that has arrived: this one waits for the one that made room for it.
    const waitsFor = Math.floor((end.departures.length - INITIAL_SEGMENTS) / 2);
    const freedAtMs = restartMs === undefined ? undefined : end.departures[waitsFor];
    if (freedAtMs !== undefined) atMs = Math.max(atMs, freedAtMs + roundTripMs);
    atMs += (Math.min(left, SEGMENT_BYTES) / upBytesPerSecond) * 1000;
    end.departures.push(atMs);
  }
  return atMs;
}

/** Opens the link to a port of this machine. Bandwidth and window hold for the way up, delay for both. */
export function openShapedLink(targetPort: number, shape: LinkShape): ShapedLink {
  let sentBytes = 0;
  const oneWayMs = shape.roundTripMs / 2;
  const newEnd = (isUp: boolean): End => ({
    peer: undefined,
    freeAtMs: 0,
    departures: [],
    waiting: [],
    rest: undefined,
    isUp,
    hasEnded: false,
  });
  const accept = (socket: Socket<End>, bytes: Uint8Array) => {
    const { data } = socket;
    const nowMs = performance.now();
    if (data.isUp) sentBytes += bytes.length;
    data.freeAtMs = data.isUp ? lastDeparture(data, bytes.length, nowMs, shape) : nowMs;
    data.waiting.push({ atMs: data.freeAtMs + oneWayMs, bytes: Uint8Array.from(bytes) });
    forwardAt(data, data.freeAtMs + oneWayMs);
  };
  const forwardAt = (data: End, atMs: number) =>
    setTimeout(() => forward(data), Math.max(0, Math.ceil(atMs - performance.now())));
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
