import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificate, type Certificate } from "../../support/certificate.ts";
import { startDetour } from "../../support/detour.ts";
import { atMostTimes, type Bench, type Figure, type Row } from "../row.ts";
import { AGENTS } from "../session-agents.ts";
import { startSessionBackend } from "../session-backend.ts";
import { openShapedLink, type LinkShape } from "../shaped-link.ts";

/** 20 Mbit/s up and 60 ms there and back, all of it there at once. */
const EVEN_LINE = { upBytesPerSecond: 20_000_000 / 8, roundTripMs: 60 };
/** The same as TCP uses it. In an agent's session a model takes seconds, for which `MODEL_MS` and the way back stand. */
const LINE = { ...EVEN_LINE, restartMs: 60 };
const MODEL_MS = 50;
const DIALECTS = ["chat", "responses", "messages", "ollama"] as const;
type Dialect = (typeof DIALECTS)[number];

/** ChatGPT's own backend gets long HTTP requests packed with zstd, any other one as they are. */
const PACKED_HOST = "chatgpt.com";
const PLAIN_HOST = "gateway.test";

/** How a session's requests travel. */
const WAYS = {
  socket: { host: PACKED_HOST, transport: "auto" },
  packed: { host: PACKED_HOST, transport: "http" },
  plain: { host: PLAIN_HOST, transport: "http" },
} as const;
type Way = keyof typeof WAYS;

export const session: Row = {
  name: "session",
  about: "an agent's session of 40 turns with tools over a slow line: WebSocket beside --transport http",
  async run(bench) {
    if (!Bun.which("openssl")) {
      process.stderr.write("session is skipped: it needs openssl, to be chatgpt.com for its relays.\n");
      return { figures: [] };
    }
    const folder = mkdtempSync(join(tmpdir(), "plansocket-session-"));
    try {
      const tls = certificate(folder, [PACKED_HOST, PLAIN_HOST]);
      const figures: Figure[] = [];
      for (const dialect of DIALECTS) figures.push(...(await sessionsIn(dialect, bench, tls)));
      figures.push(await overEvenLine(bench, tls));
      return { figures };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function sessionsIn(dialect: Dialect, bench: Bench, tls: Certificate): Promise<Figure[]> {
  const turns = bench.isQuick ? 10 : 40;
  const rounds: Record<Way, Measured[]> = { socket: [], packed: [], plain: [] };
  // Most of it is the line's own time, which differs little from round to round.
  for (let round = 0; round < Math.min(bench.rounds, 2); round += 1) {
    // Another backend than ChatGPT's own: once, as it takes longest.
    for (const way of round === 0 ? (["plain", "packed", "socket"] as const) : (["packed", "socket"] as const))
      rounds[way].push(await measure(bench, { dialect, way, turns, tls, line: LINE }));
  }
  const line = (name: keyof Measured, what: string, than: "packed" | "plain", most: number): Figure => ({
    label: `session in ${dialect}, ${what} (raw: HTTP, ${than})`,
    unit: name === "kilobytes" ? "KB" : "s",
    digits: name === "kilobytes" ? 0 : 2,
    relay: rounds.socket.map((measured) => measured[name]),
    raw: rounds[than].map((measured) => measured[name]),
    goal: atMostTimes(most),
  });
  return (["packed", "plain"] as const).flatMap((than) => [
    line("kilobytes", "sent", than, 0.1),
    line("seconds", "time beside the model", than, 0.4),
  ]);
}

/** Where every packet may leave at once, what is left of the difference is the bytes themselves. */
async function overEvenLine(bench: Bench, tls: Certificate): Promise<Figure> {
  const seconds = async (way: Way) => {
    const turns = bench.isQuick ? 10 : 40;
    return [(await measure(bench, { dialect: "chat", way, turns, tls, line: EVEN_LINE })).seconds];
  };
  return {
    label: "session in chat without slow start, time beside the model (raw: HTTP, packed)",
    unit: "s",
    digits: 2,
    relay: await seconds("socket"),
    raw: await seconds("packed"),
  };
}

interface Measured {
  readonly kilobytes: number;
  readonly seconds: number;
}

interface Session {
  readonly dialect: Dialect;
  readonly way: Way;
  readonly turns: number;
  readonly tls: Certificate;
  readonly line: LinkShape;
}

/** One session of a new relay, which goes through an outbound proxy that leads to the line's near end. */
async function measure(bench: Bench, { dialect, way, turns, tls, line }: Session): Promise<Measured> {
  const { host, transport } = WAYS[way];
  const backend = startSessionBackend(MODEL_MS, { tls: { cert: tls.cert, key: tls.key } });
  const link = openShapedLink(backend.port, line);
  const detour = startDetour(link.port);
  const flags = ["--transport", transport, "--proxy", detour.url];
  const trust = { NODE_EXTRA_CA_CERTS: tls.authority };
  const relay = await bench.relayAt(`https://${host}/backend-api/codex`, flags, trust);
  try {
    const agent = AGENTS[dialect](relay.url);
    // Connections, the list of models and compiled code are there in any session that is worth measuring.
    await agent.turn(0);
    const before = { bytes: link.sentBytes(), modelMs: backend.modelMs(), nowMs: performance.now() };
    for (let turn = 1; turn <= turns; turn += 1) await agent.turn(turn);
    const tookMs = performance.now() - before.nowMs - (backend.modelMs() - before.modelMs);
    if (backend.ways[way] < turns) throw new Error(`${way} was not taken: ${JSON.stringify(backend.ways)}`);
    return { kilobytes: (link.sentBytes() - before.bytes) / 1000, seconds: tookMs / 1000 };
  } finally {
    await relay.stop();
    detour.stop();
    link.stop();
    backend.stop();
  }
}
