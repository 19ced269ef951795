import { Pending } from "../../src/ledger/pending.ts";
import { ledgerPath, openToWrite } from "../../src/ledger/file.ts";
import { LedgerWriter } from "../../src/ledger/writer.ts";
import { statSync } from "node:fs";

const HOUR_MS = 3_600_000;
const DAYS = 400;
const REQUESTS_AN_HOUR = 60;
const CONVERSATIONS_AN_HOUR = 2;
const MODELS = ["gpt-5.5", "gpt-5.5-codex", "gpt-5.4-mini"];
const CLIENTS = ["claude-cli", "opencode", "Cline", "OpenAI"];

/**
 * A ledger of 400 busy days, without a quiet hour: 576,000 requests of four clients to three models, a twentieth of
 * them refused, in 19,200 conversations. The same each time. Returns its size in bytes.
 */
export async function writeBusyYear(stateFolder: string, nowMs: number): Promise<number> {
  const path = ledgerPath(stateFolder);
  const database = await openToWrite(path);
  const writer = new LedgerWriter(database);
  const random = fixedRandom();
  const last = Math.floor(nowMs / HOUR_MS);
  for (let day = 0; day < DAYS; day += 1) {
    const pending = new Pending();
    for (let hour = last - day * 24 - 23; hour <= last - day * 24; hour += 1) {
      for (let count = 0; count < REQUESTS_AN_HOUR; count += 1) {
        const isRefused = random() < 0.05;
        const firstTokenMs = 300 * Math.exp(random() * 3);
        pending.add({
          endedAtMs: hour * HOUR_MS + (count * HOUR_MS) / REQUESTS_AN_HOUR,
          model: oneOf(MODELS, random()),
          client: oneOf(CLIENTS, random()),
          key: "",
          status: isRefused ? 429 : 200,
          fallback: "",
          conversation: (hour * CONVERSATIONS_AN_HOUR + (count % CONVERSATIONS_AN_HOUR)).toString(16).padStart(16, "0"),
          input: isRefused ? 0 : Math.round(60_000 * random()),
          cached: isRefused ? 0 : 12_000,
          output: isRefused ? 0 : Math.round(2000 * random()),
          reasoning: isRefused ? 0 : 100,
          firstTokenMs: isRefused ? undefined : firstTokenMs,
          totalMs: isRefused ? 200 : firstTokenMs * 5,
        });
      }
    }
    writer.write(pending);
  }
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  return statSync(path).size;
}

function oneOf(names: readonly string[], part: number): string {
  return names[Math.floor(part * names.length)] ?? "";
}

/** From 0 to 1, in the same order each time. */
function fixedRandom(): () => number {
  let state = 7;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}
