import { hash32 } from "../lib/hash.ts";
import type { Envelope } from "./request/lite.ts";
import type { CodexRequest } from "./wire/request.ts";

/**
 * Stands for what the backend's prompt cache goes by, in the order in which it reads it: enough to tell where the next
 * request of the conversation departs from this one. Hashes, so that nothing of a conversation is kept.
 */
export interface PrefixMarks {
  readonly settings: Readonly<Record<"model" | "envelope" | "tools" | "instructions", number>>;
  readonly items: Uint32Array;
}

/** Of a request before it was packed into its envelope. Costs about a millisecond a megabyte. */
export function prefixMarks(body: CodexRequest, envelope: Envelope | "verbatim"): PrefixMarks {
  return {
    settings: {
      model: hash32(body.model),
      envelope: hash32(envelope),
      tools: hashOf(body.tools ?? []),
      instructions: hash32(body.instructions ?? ""),
    },
    items: Uint32Array.from(body.input, hashOf),
  };
}

/**
 * The first part that differs, as `tools` or `input[12]`; undefined where the later request begins with the earlier one,
 * or is its beginning.
 */
export function prefixDeparture(earlier: PrefixMarks, later: PrefixMarks): string | undefined {
  for (const name of ["model", "envelope", "tools", "instructions"] as const) {
    if (earlier.settings[name] !== later.settings[name]) return name;
  }
  const common = Math.min(earlier.items.length, later.items.length);
  for (let index = 0; index < common; index += 1) {
    if (earlier.items[index] !== later.items[index]) return `input[${index}]`;
  }
  return undefined;
}

function hashOf(value: unknown): number {
  return hash32(JSON.stringify(value));
}
