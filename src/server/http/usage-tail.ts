import type { Tokens } from "../record.ts";

/** The counts come behind the answer, whole or streamed; what may follow them is short. */
const TAIL_BYTES = 16 * 1024;

/** Reads the counts of tokens from the end of a reply that is passed on unread, in every dialect of the public API. */
export class UsageTail {
  #text = "";

  add(chunk: Uint8Array): void {
    this.#text = (this.#text + Buffer.from(chunk.slice(-TAIL_BYTES)).toString("latin1")).slice(-TAIL_BYTES);
  }

  /** Undefined where the reply has none. */
  tokens(): Tokens | undefined {
    const input = this.#last("input_tokens|prompt_tokens");
    const output = this.#last("output_tokens|completion_tokens");
    if (input === undefined || output === undefined) return undefined;
    return { input, output, cached: this.#last("cached_tokens") ?? 0, reasoning: this.#last("reasoning_tokens") ?? 0 };
  }

  #last(names: string): number | undefined {
    const all = [...this.#text.matchAll(new RegExp(`"(?:${names})"\\s*:\\s*(\\d{1,15})\\b`, "g"))];
    return all.length === 0 ? undefined : Number(all.at(-1)?.[1]);
  }
}
