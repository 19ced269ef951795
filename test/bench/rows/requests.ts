import { prepare, readAll } from "../client.ts";
import type { Program } from "../programs.ts";
import { atLeastTimes, atMost, figure, inTurns, withBoth, type Figure, type Row } from "../row.ts";
import { cpuMs } from "../system.ts";

const CLIENTS = [1, 16, 64] as const;

export const requests: Row = {
  name: "requests",
  about: "whole replies a second and their CPU with 1, 16 and 64 clients",
  async run(bench) {
    const count = bench.isQuick ? 400 : 2000;
    return withBoth(bench, async (relay, raw) => {
      const figures: Figure[] = [];
      for (const clients of CLIENTS) {
        const measured = await inTurns([raw, relay], { rounds: bench.rounds, warm: 1 }, (program) =>
          repliesOf(program, clients, count),
        );
        const those = `${clients} client${clients === 1 ? "" : "s"}`;
        const goals = clients === 16 ? { perSecond: atLeastTimes(0.5), cpuMs: atMost(0.18, "ms") } : undefined;
        figures.push(
          figure(measured, "perSecond", {
            label: `whole replies/s, ${those}`,
            unit: "",
            digits: 0,
            ...(goals ? { goal: goals.perSecond } : {}),
          }),
          figure(measured, "cpuMs", {
            label: `CPU a whole reply, ${those}`,
            unit: "ms",
            digits: 3,
            ...(goals ? { goal: goals.cpuMs } : {}),
          }),
        );
      }
      return { figures };
    });
  },
};

/** The pass-through streams, having no other form. */
async function repliesOf(program: Program, clients: number, count: number) {
  const request = prepare(program, "bench:text:3", { stream: false });
  const cpuBefore = cpuMs(program.pid);
  const begun = performance.now();
  let left = count;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      await readAll(request);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - begun) / 1000;
  return { perSecond: count / seconds, cpuMs: (cpuMs(program.pid) - cpuBefore) / count };
}
