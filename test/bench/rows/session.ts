import { atMostTimes, type Bench, type Figure, type Row } from "../row.ts";
import { AGENTS } from "../session-agents.ts";
import { startSessionBackend } from "../session-backend.ts";
import { openShapedLink } from "../shaped-link.ts";

/** A line of 20 Mbit/s up and 60 ms there and back. */
const LINK = { upBytesPerSecond: 20_000_000 / 8, roundTripMs: 60 };
const MODEL_MS = 50;
const DIALECTS = ["chat", "responses", "messages"] as const;

export const session: Row = {
  name: "session",
  about: "an agent's session of 40 turns with tools over a slow line: WebSocket beside --transport http",
  async run(bench) {
    const turns = bench.isQuick ? 10 : 40;
    const figures: Figure[] = [];
    for (const dialect of DIALECTS) {
      const rounds = { auto: [] as Measured[], http: [] as Measured[] };
      for (let round = 0; round < bench.rounds; round += 1) {
        for (const transport of ["http", "auto"] as const)
          rounds[transport].push(await measure(bench, dialect, transport, turns));
      }
      const each = (name: keyof Measured, transport: "auto" | "http") =>
        rounds[transport].map((measured) => measured[name]);
      figures.push(
        {
          label: `session in ${dialect}, sent (raw: over HTTP)`,
          unit: "KB",
          digits: 0,
          relay: each("kilobytes", "auto"),
          raw: each("kilobytes", "http"),
          goal: atMostTimes(0.1),
        },
        {
          label: `session in ${dialect}, time beside the model (raw: over HTTP)`,
          unit: "s",
          digits: 2,
          relay: each("seconds", "auto"),
          raw: each("seconds", "http"),
          goal: atMostTimes(0.4),
        },
      );
    }
    return { figures };
  },
};

interface Measured {
  readonly kilobytes: number;
  readonly seconds: number;
}

async function measure(
  bench: Bench,
  dialect: (typeof DIALECTS)[number],
  transport: "auto" | "http",
  turns: number,
): Promise<Measured> {
  const backend = startSessionBackend(MODEL_MS);
  const link = openShapedLink(backend.port, LINK);
  const relay = await bench.relayAt(`http://127.0.0.1:${link.port}/backend-api/codex`, ["--transport", transport]);
  try {
    const agent = AGENTS[dialect](relay.url);
    // Connections, the list of models and compiled code are there in any session that is worth measuring.
    await agent.turn(0);
    const before = { bytes: link.sentBytes(), modelMs: backend.modelMs(), nowMs: performance.now() };
    for (let turn = 1; turn <= turns; turn += 1) await agent.turn(turn);
    const tookMs = performance.now() - before.nowMs - (backend.modelMs() - before.modelMs);
    return { kilobytes: (link.sentBytes() - before.bytes) / 1000, seconds: tookMs / 1000 };
  } finally {
    await relay.stop();
    link.stop();
    backend.stop();
  }
}
