import { connect } from "node:net";
import { prepare, readAll } from "../client.ts";
import type { Program } from "../programs.ts";
import { atMost, figure, inTurns, withBoth, type Row } from "../row.ts";
import { memoryOf } from "../system.ts";

const WATCH_MS = 4000;
const LOOK_MS = 50;

export const stalled: Row = {
  name: "stalled",
  about: "a client that stops reading while the backend could send for ever",
  async run(bench) {
    const measured = await withBoth(bench, (relay, raw) =>
      inTurns([raw, relay], { rounds: Math.min(bench.rounds, 3) }, async (program) => {
        // What a first long stream costs is not the stopped reader's.
        await readAll(prepare(program, "bench:text:20000"));
        const before = await bench.backend.stats();
        const growth = await growthBehindStalledReader(program);
        const { sentBytes } = await bench.backend.stats();
        return { growth, drawn: (sentBytes - before.sentBytes) / 1024 / 1024 };
      }),
    );
    return {
      figures: [
        figure(measured, "growth", {
          label: "a reader that stops, RSS grows by",
          unit: "MB",
          digits: 0,
          goal: atMost(30, "MB"),
        }),
        figure(measured, "drawn", { label: "a reader that stops, taken from upstream", unit: "MB", digits: 0 }),
      ],
    };
  },
};

/** A socket of its own: fetch would go on reading for a caller that does not. */
async function growthBehindStalledReader(program: Program): Promise<number> {
  const { url, headers, body } = prepare(program, "bench:endless:2000");
  const { hostname, port, pathname } = new URL(url);
  const lines = Object.entries({ host: hostname, ...headers, "content-length": String(Buffer.byteLength(body)) });
  const before = memoryOf(program.pid).rss;
  const socket = connect(Number(port), hostname);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("data", () => (socket.pause(), resolve()));
      const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      socket.write(`POST ${pathname} HTTP/1.1\r\n${head}\r\n${body}`);
    });
    let highest = before;
    for (let waitedMs = 0; waitedMs < WATCH_MS; waitedMs += LOOK_MS) {
      await Bun.sleep(LOOK_MS);
      highest = Math.max(highest, memoryOf(program.pid).rss);
    }
    return highest - before;
  } finally {
    socket.destroy();
  }
}
