import { isIntact, prepare } from "../client.ts";
import type { Program } from "../programs.ts";
import { atMost, atMostTimes, figure, inTurns, withBoth, type Goal, type Row } from "../row.ts";
import { cpuMs, memoryOf } from "../system.ts";

/** Streams at the pace of tokens. */
export interface Load {
  readonly streams: number;
  readonly deltas: number;
  readonly paceMs: number;
}

export const paced: Row = {
  name: "paced",
  about: "200 streams of 50 events a second for ten seconds",
  async run(bench) {
    const load = { streams: 200, deltas: bench.isQuick ? 100 : 500, paceMs: 20 };
    const measured = await withBoth(bench, (relay, raw) =>
      inTurns([raw, relay], { rounds: Math.min(bench.rounds, 3) }, (program) => underLoad(program, load)),
    );
    const label = (what: string) => `${load.streams} streams × 50/s, ${what}`;
    const wallMost = (load.deltas * load.paceMs) / 1000 + 0.2;
    return {
      figures: [
        figure(measured, "intact", { label: label("intact"), unit: "", digits: 0, goal: all(load.streams) }),
        figure(measured, "wallS", { label: label("wall time"), unit: "s", digits: 2, goal: atMost(wallMost, "s") }),
        figure(measured, "cpuUs", { label: label("CPU an event"), unit: "µs", digits: 1, goal: atMostTimes(2) }),
        figure(measured, "rss", { label: label("highest RSS"), unit: "MB", digits: 0, goal: atMost(100, "MB") }),
      ],
    };
  },
};

export const open: Row = {
  name: "open",
  about: "1,000 streams at once, each with two events a second",
  async run(bench) {
    const load = { streams: 1000, deltas: bench.isQuick ? 6 : 20, paceMs: 500 };
    const measured = await withBoth(bench, (relay, raw) =>
      inTurns([raw, relay], { rounds: 1 }, (program) => underLoad(program, load)),
    );
    return {
      figures: [
        figure(measured, "intact", { label: "1,000 open streams, intact", unit: "", digits: 0, goal: all(1000) }),
        figure(measured, "cpuUs", { label: "1,000 open streams, CPU an event", unit: "µs", digits: 1 }),
        figure(measured, "rss", {
          label: "1,000 open streams, highest RSS",
          unit: "MB",
          digits: 0,
          goal: atMost(150, "MB"),
        }),
      ],
    };
  },
};

/** All streams at once, each read and checked to its end. */
export async function underLoad(program: Program, { streams, deltas, paceMs }: Load) {
  const request = prepare(program, `bench:text:${deltas}@${paceMs}`);
  const cpuBefore = cpuMs(program.pid);
  const begun = performance.now();
  const results = await Promise.all(
    Array.from({ length: streams }, () => isIntact(request, deltas).catch(() => false)),
  );
  return {
    intact: results.filter(Boolean).length,
    wallS: (performance.now() - begun) / 1000,
    cpuUs: ((cpuMs(program.pid) - cpuBefore) * 1000) / (streams * deltas),
    rss: memoryOf(program.pid).peak,
  };
}

function all(count: number): Goal {
  return { text: `all ${count}`, isReached: (relay) => relay === count };
}
