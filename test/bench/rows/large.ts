import { prepare, readAll, type Dialect } from "../client.ts";
import type { Program } from "../programs.ts";
import { figure, inTurns, withBoth, type Bench, type Figure, type Row } from "../row.ts";
import { cpuMs, memoryOf } from "../system.ts";

const MIB = 1024 * 1024;
const HISTORY = 2000;

export const bodies: Row = {
  name: "bodies",
  about: "requests of 1, 8 and 32 MiB",
  async run(bench) {
    const figures: Figure[] = [];
    for (const [mib, requests] of [
      [1, 20],
      [8, 6],
      [32, 3],
    ] as const) {
      const history = ["x".repeat(mib * MIB), "Thanks."];
      figures.push(...(await costOf(bench, `request of ${mib} MiB`, history, bench.isQuick ? 2 : requests, "chat")));
    }
    return { figures };
  },
};

export const history: Row = {
  name: "history",
  about: "requests with 2,000 earlier messages, in three dialects",
  async run(bench) {
    const figures: Figure[] = [];
    for (const dialect of ["chat", "responses", "messages"] as const) {
      const earlier = messages(HISTORY);
      const label = `${HISTORY} messages, ${dialect}`;
      figures.push(...(await costOf(bench, label, earlier, bench.isQuick ? 5 : 20, dialect)));
    }
    return { figures };
  },
};

/** Earlier messages, user and assistant in turn, of 400 characters each. */
export function messages(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `Message ${n}: ${"All work and no play. ".repeat(18)}`.slice(0, 400));
}

async function costOf(bench: Bench, label: string, history: string[], requests: number, dialect: Dialect) {
  const measured = await withBoth(bench, (relay, raw) =>
    inTurns([raw, relay], { rounds: Math.min(bench.rounds, 3), warm: 1 }, async (program) => ({
      ...(await requestCost(program, history, requests, dialect)),
      rss: memoryOf(program.pid).peak,
    })),
  );
  return [
    figure(measured, "cpuMs", { label: `${label}, CPU`, unit: "ms", digits: 2 }),
    figure(measured, "wallMs", { label: `${label}, wall time`, unit: "ms", digits: 1 }),
    figure(measured, "rss", { label: `${label}, highest RSS`, unit: "MB", digits: 0 }),
  ];
}

/** One request after the other, each with the same history. */
export async function requestCost(program: Program, history: readonly string[], requests: number, dialect: Dialect) {
  const request = prepare(program, "bench:text:3", { history, dialect });
  const cpuBefore = cpuMs(program.pid);
  const begun = performance.now();
  for (let sent = 0; sent < requests; sent += 1) await readAll(request);
  return {
    wallMs: (performance.now() - begun) / requests,
    cpuMs: (cpuMs(program.pid) - cpuBefore) / requests,
  };
}
