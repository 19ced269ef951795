import { prepare, readAll, type Dialect } from "../client.ts";
import type { Program } from "../programs.ts";
import { atMost, figure, inTurns, withBoth, type Figure, type Row } from "../row.ts";
import { cpuMs } from "../system.ts";

interface Kind {
  readonly label: string;
  readonly wish: string;
  readonly dialect: Dialect;
}

const KINDS: readonly Kind[] = [
  { label: "chat text", wish: "text", dialect: "chat" },
  { label: "chat tool arguments", wish: "arguments", dialect: "chat" },
  { label: "chat reasoning", wish: "reasoning", dialect: "chat" },
  { label: "responses text", wish: "text", dialect: "responses" },
  { label: "messages text", wish: "text", dialect: "messages" },
];

export const stream: Row = {
  name: "stream",
  about: "one stream of 20,000 deltas as fast as it goes: text, tool arguments, reasoning, Responses, Messages",
  async run(bench) {
    const deltas = bench.isQuick ? 5000 : 20_000;
    const figures: Figure[] = [];
    for (const kind of KINDS) {
      const measured = await withBoth(bench, (relay, raw) =>
        inTurns([raw, relay], { rounds: bench.rounds, warm: 1 }, (program) => deltasOf(program, kind, deltas)),
      );
      const isIdentity = kind.dialect === "responses";
      figures.push(
        figure(measured, "cpuUs", {
          label: `${kind.label}, CPU an event`,
          unit: "µs",
          digits: 2,
          goal: atMost(isIdentity ? 0.9 : 1.4, "µs"),
        }),
        figure(measured, "perSecond", {
          label: `${kind.label}, events/s`,
          unit: "",
          digits: 0,
        }),
      );
    }
    return { figures };
  },
};

/** Streams one after the other: enough of them for the clock that counts CPU. */
const STREAMS = 8;

async function deltasOf(program: Program, { wish, dialect }: Kind, deltas: number) {
  const request = prepare(program, `bench:${wish}:${deltas}`, { dialect });
  const cpuBefore = cpuMs(program.pid);
  const begun = performance.now();
  for (let sent = 0; sent < STREAMS; sent += 1) {
    const bytes = await readAll(request);
    if (bytes < deltas * 20) throw new Error(`${program.name} sent only ${bytes} bytes`);
  }
  const seconds = (performance.now() - begun) / 1000;
  const events = STREAMS * deltas;
  return { cpuUs: ((cpuMs(program.pid) - cpuBefore) * 1000) / events, perSecond: events / seconds };
}
