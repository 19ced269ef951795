import { memoryOf } from "../system.ts";
import { atMost, figure, type Measured, type Row } from "../row.ts";

/** Until what only the start needed is given back. */
const SETTLE_MS = 1500;

export const start: Row = {
  name: "start",
  about: "from spawning to /health, and the memory of a relay that nobody uses",
  async run(bench) {
    const measured: Measured = { relay: {}, raw: {} };
    const note = (name: "relay" | "raw", what: string, value: number) => (measured[name][what] ??= []).push(value);
    for (let round = 0; round < bench.rounds * 3; round += 1) {
      for (const begin of [() => bench.raw(), () => bench.relay()]) {
        const program = await begin();
        note(program.name, "start", program.startMs);
        // Memory differs little from start to start; times differ much.
        if (round < bench.rounds) {
          await Bun.sleep(SETTLE_MS);
          const { rss, pss, private: own } = memoryOf(program.pid);
          note(program.name, "rss", rss);
          note(program.name, "pss", pss);
          note(program.name, "private", own);
        }
        await program.stop();
      }
    }
    const memory = (name: string, label: string, most?: number) =>
      figure(measured, name, {
        label,
        unit: "MB",
        digits: 0,
        ...(most === undefined ? {} : { goal: atMost(most, "MB") }),
      });
    return {
      figures: [
        figure(measured, "start", { label: "start to /health", unit: "ms", digits: 0, goal: atMost(40, "ms") }),
        memory("rss", "idle RSS", 50),
        memory("private", "idle private memory", 12),
        memory("pss", "idle PSS"),
      ],
    };
  },
};
