import { sharedPrefixes } from "../../support/prefix.ts";
import { atLeast, type Bench, type Figure, type Row } from "../row.ts";
import { AGENTS } from "../session-agents.ts";
import { startSessionBackend } from "../session-backend.ts";

const TURNS = 10;
const DIALECTS = ["chat", "responses", "messages", "ollama"] as const;

/** The backend's prompt cache takes a request as far as it begins like one before. */
export const prefix: Row = {
  name: "prefix",
  about: `the prompt that a request shares with the last one, over ${TURNS} turns with tools: the turn that keeps least`,
  async run(bench) {
    const figures: Figure[] = [];
    for (const dialect of DIALECTS) {
      const percent = await leastKept(bench, dialect);
      const label = `prompt kept in ${dialect}, of the shorter`;
      figures.push({ label, unit: "%", digits: 2, relay: [percent], raw: [], goal: atLeast(99, "%") });
    }
    return { figures };
  },
};

async function leastKept(bench: Bench, dialect: (typeof DIALECTS)[number]): Promise<number> {
  const backend = startSessionBackend(0, { keepsBodies: true });
  const relay = await bench.relayAt(`http://127.0.0.1:${backend.port}/backend-api/codex`, ["--transport", "http"]);
  try {
    const agent = AGENTS[dialect](relay.url);
    for (let turn = 0; turn <= TURNS; turn += 1) await agent.turn(turn);
    return Math.min(...sharedPrefixes(backend.bodies).map(({ percent }) => percent));
  } finally {
    await relay.stop();
    backend.stop();
  }
}
