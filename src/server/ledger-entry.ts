import type { ModelCatalogue } from "../codex/models.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { LedgerEntry } from "../ledger/entry.ts";
import { knownModel } from "./metrics.ts";
import type { RequestRecord } from "./record.ts";

/** In hex characters: enough to tell conversations apart, too few to be anything else. */
const CONVERSATION_LENGTH = 16;

/** What the ledger counts of a request; undefined for requests that ask no model. */
export function ledgerEntry(
  record: RequestRecord,
  catalogue: ModelCatalogue | undefined,
  endedAtMs: number,
): LedgerEntry | undefined {
  if (record.model === undefined) return undefined;
  const { tokens } = record;
  return {
    endedAtMs,
    model: knownModel(record.model, catalogue),
    client: record.start.client,
    key: record.key ?? "",
    status: record.errorStatus ?? record.status,
    fallback: record.fallback ?? "",
    conversation: conversationDigest(record),
    input: tokens?.input ?? 0,
    cached: tokens?.cached ?? 0,
    output: tokens?.output ?? 0,
    reasoning: tokens?.reasoning ?? 0,
    firstTokenMs: record.firstTokenMs,
    totalMs: record.totalMs,
  };
}

/** Stays the same for all requests of one conversation, and says nothing else of it. Undefined where no backend was asked. */
export function conversationDigest({ ownConversation }: RequestRecord): string | undefined {
  return ownConversation && sha256Hex(ownConversation).slice(0, CONVERSATION_LENGTH);
}
