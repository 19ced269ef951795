import { prepare, readAll } from "../client.ts";
import type { Program } from "../programs.ts";
import { atMost, type Row } from "../row.ts";
import { memoryOf } from "../system.ts";

const CLIENTS = 16;

export const page: Row = {
  name: "page",
  about: "what the status page's live list adds to the relay's memory over 20,000 requests",
  async run(bench) {
    const count = bench.isQuick ? 4000 : 20_000;
    const [open, without] = [await bench.relay(), await bench.relay()];
    const left = new AbortController();
    try {
      const live = await fetch(`${open.url}/page/live`, { signal: left.signal });
      const reading = readOn(live);
      const memory = { open: await memoryAfter(open, count), without: await memoryAfter(without, count) };
      left.abort();
      if (!live.ok) throw new Error(`/page/live answered ${live.status}`);
      if ((await reading) === 0) throw new Error("the live list showed nothing");
      const label = `status page open, ${count.toLocaleString("en")} requests`;
      return {
        figures: [
          {
            label: `${label}, RSS (raw: none open)`,
            unit: "MB",
            digits: 0,
            relay: [memory.open],
            raw: [memory.without],
          },
          {
            label: `${label}, RSS more`,
            unit: "MB",
            digits: 0,
            relay: [memory.open - memory.without],
            raw: [],
            goal: atMost(15, "MB"),
          },
        ],
      };
    } finally {
      left.abort();
      await open.stop();
      await without.stop();
    }
  },
};

async function memoryAfter(relay: Program, count: number): Promise<number> {
  const request = prepare(relay, "bench:text:3", { stream: false });
  let left = count;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      await readAll(request);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return memoryOf(relay.pid).rss;
}

/** Reads as a page does, until it is left. Returns the number of bytes. */
async function readOn(live: Response): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of live.body ?? []) bytes += chunk.length;
  } catch {
    // Left.
  }
  return bytes;
}
