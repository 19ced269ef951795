import { prepare, timeToDelta, type Target } from "../client.ts";
import { withBoth, type Row } from "../row.ts";
import { median, quantile } from "../statistics.ts";

const WARM = 100;

export const firstToken: Row = {
  name: "first-token",
  about: "what is added to the time to the first piece of an answer, one request after the other",
  async run(bench) {
    const count = bench.isQuick ? 60 : 200;
    return withBoth(bench, async (relay, raw) => {
      const direct: Target = { name: "direct", url: bench.backend.baseUrl };
      const rounds = { direct: [] as number[][], raw: [] as number[][], relay: [] as number[][] };
      await timesOf([direct, raw, relay], WARM);
      for (let round = 0; round < bench.rounds; round += 1) {
        const times = await timesOf([direct, raw, relay], count);
        for (const name of ["direct", "raw", "relay"] as const) rounds[name].push(times[name]);
      }
      const each = (name: "raw" | "relay", part: number) => rounds[name].map((times) => quantile(times, part));
      const added = (name: "raw" | "relay") =>
        rounds[name].map((times, round) => median(times) - median(rounds.direct[round] ?? []));
      return {
        figures: [
          { label: "first token p50", unit: "ms", digits: 2, relay: each("relay", 0.5), raw: each("raw", 0.5) },
          { label: "first token p99", unit: "ms", digits: 2, relay: each("relay", 0.99), raw: each("raw", 0.99) },
          {
            label: "added to the first token, p50",
            unit: "ms",
            digits: 2,
            relay: added("relay"),
            raw: added("raw"),
            goal: { text: "≤ 0.3 ms, ≤ 2 ×", isReached: (ms, ratio) => ms <= 0.3 && ratio <= 2 },
          },
        ],
      };
    });
  },
};

async function timesOf(targets: readonly Target[], count: number): Promise<Record<Target["name"], number[]>> {
  const times: Record<Target["name"], number[]> = { direct: [], raw: [], relay: [] };
  const prepared = targets.map((target) => ({ target, request: prepare(target, "bench:text:3") }));
  for (let request = 0; request < count; request += 1) {
    for (const { target, request } of prepared) times[target.name].push(await timeToDelta(request));
  }
  return times;
}
