import { prepare, readAll } from "../client.ts";
import type { Program } from "../programs.ts";
import { atMost, type Bench, type Row } from "../row.ts";
import { median } from "../statistics.ts";
import { memoryOf } from "../system.ts";

const CLIENTS = 16;

export const page: Row = {
  name: "page",
  about: "what the status page's live list adds to the relay's memory over 10,000 requests",
  async run(bench) {
    const count = bench.isQuick ? 4000 : 10_000;
    const memory = { open: [] as number[], without: [] as number[] };
    for (let round = 0; round < bench.rounds; round += 1) {
      memory.without.push(await memoryOfRelay(bench, count, false));
      memory.open.push(await memoryOfRelay(bench, count, true));
    }
    const label = `status page open, ${count.toLocaleString("en")} requests`;
    // Of medians: when garbage is collected makes more of a difference than the page.
    const more = median(memory.open) - median(memory.without);
    return {
      figures: [
        { label: `${label}, RSS (raw: none open)`, unit: "MB", digits: 0, relay: memory.open, raw: memory.without },
        { label: `${label}, RSS more`, unit: "MB", digits: 0, relay: [more], raw: [], goal: atMost(15, "MB") },
      ],
    };
  },
};

async function memoryOfRelay(bench: Bench, count: number, hasPage: boolean): Promise<number> {
  const relay = await bench.relay();
  const left = new AbortController();
  try {
    const live = hasPage ? await fetch(`${relay.url}/page/live`, { signal: left.signal }) : undefined;
    const reading = live && readOn(live);
    const memory = await memoryAfter(relay, count);
    left.abort();
    if (live && (!live.ok || (await reading) === 0))
      throw new Error(`the live list answered ${live.status}, or nothing`);
    return memory;
  } finally {
    left.abort();
    await relay.stop();
  }
}

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
