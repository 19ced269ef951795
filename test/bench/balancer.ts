/**
 * A load balancer for TCP in a process of its own: each connection goes to the next of the ports that are given. Prints
 * where it listens, as one line of JSON.
 */
import type { Socket } from "bun";

interface Side {
  other: Socket<Side> | undefined;
  /** What the other side could not take yet. */
  waiting: Uint8Array[];
}

const ports = process.argv.slice(2).map(Number);
let next = 0;

const handlers = {
  data(socket: Socket<Side>, bytes: Uint8Array) {
    const { other } = socket.data;
    // Of the client's side: until the connection to the other is there.
    if (!other) socket.data.waiting.push(Uint8Array.from(bytes));
    else if (other.data.waiting.length > 0) other.data.waiting.push(Uint8Array.from(bytes));
    else send(other, bytes);
  },
  drain(socket: Socket<Side>) {
    const { waiting } = socket.data;
    socket.data.waiting = [];
    for (const bytes of waiting) {
      if (socket.data.waiting.length > 0) socket.data.waiting.push(bytes);
      else send(socket, bytes);
    }
  },
  close(socket: Socket<Side>) {
    socket.data.other?.end();
  },
  error(socket: Socket<Side>) {
    socket.data.other?.end();
  },
};

function send(socket: Socket<Side>, bytes: Uint8Array): void {
  const written = Math.max(0, socket.write(bytes));
  if (written < bytes.length) socket.data.waiting.push(Uint8Array.from(bytes.subarray(written)));
}

const listener = Bun.listen<Side>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    ...handlers,
    async open(client) {
      client.data = { other: undefined, waiting: [] };
      const port = ports[next++ % ports.length] ?? 0;
      try {
        const data: Side = { other: client, waiting: [] };
        const target = await Bun.connect<Side>({ hostname: "127.0.0.1", port, data, socket: handlers });
        const early = client.data.waiting;
        client.data = { other: target, waiting: [] };
        for (const bytes of early) send(target, bytes);
      } catch {
        client.end();
      }
    },
  },
});
process.stdout.write(`${JSON.stringify({ port: listener.port })}\n`);
