import { prepare, readAll } from "../client.ts";
import type { Program } from "../programs.ts";
import { atMost, withBoth, type Row } from "../row.ts";
import { slope } from "../statistics.ts";
import { memoryOf } from "../system.ts";

const CLIENTS = 16;
const STEP = 500;
/** Until then caches fill and code is compiled. */
const WARM = 2000;

export const growth: Row = {
  name: "growth",
  about: "memory over 10,000 requests, half of them streamed",
  async run(bench) {
    const total = bench.isQuick ? 4000 : 10_000;
    return withBoth(bench, async (relay, raw) => {
      const line = (program: Program) => memoryOver(program, total);
      const [theirs, ours] = [await line(raw), await line(relay)];
      const per1000 = (points: Points) => [slope(points.filter(({ x }) => x >= WARM)) * 1000];
      const last = (points: Points) => points.slice(-1).map(({ y }) => y);
      return {
        figures: [
          {
            label: "growth over 1,000 requests",
            unit: "MB",
            digits: 2,
            relay: per1000(ours),
            raw: per1000(theirs),
            goal: atMost(0.5, "MB"),
          },
          { label: `RSS after ${total} requests`, unit: "MB", digits: 0, relay: last(ours), raw: last(theirs) },
        ],
        curves: [
          {
            name: "growth",
            x: "requests",
            y: "RSS, MB",
            points: ours.map(({ x, y }, index) => ({ x, relay: y, raw: theirs[index]?.y ?? Number.NaN })),
          },
        ],
      };
    });
  },
};

type Points = readonly { readonly x: number; readonly y: number }[];

async function memoryOver(program: Program, total: number): Promise<Points> {
  const points: { x: number; y: number }[] = [];
  const forms = [true, false].map((stream) => prepare(program, "bench:text:20", { stream }));
  for (let sent = 0; sent < total;) {
    let left = STEP;
    const client = async () => {
      while (left > 0) {
        left -= 1;
        for (const form of forms.slice(left % 2, (left % 2) + 1)) await readAll(form);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    sent += STEP;
    points.push({ x: sent, y: memoryOf(program.pid).rss });
  }
  return points;
}
