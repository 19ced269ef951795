import { isObject } from "../../lib/json.ts";
import type { Usage } from "../wire/schema.ts";

/** Usage with every number that SDKs read; the same object when it has them, undefined when there is none. */
export function wholeUsage(usage: Partial<Usage> | null | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const input = count(usage.input_tokens);
  const output = count(usage.output_tokens);
  const cached = count(usage.input_tokens_details?.cached_tokens);
  const written = count(usage.input_tokens_details?.cache_write_tokens);
  const reasoning = count(usage.output_tokens_details?.reasoning_tokens);
  const isWhole = (told: Partial<Usage>): told is Usage =>
    told.input_tokens === input &&
    told.output_tokens === output &&
    typeof told.total_tokens === "number" &&
    told.input_tokens_details?.cached_tokens === cached &&
    told.input_tokens_details.cache_write_tokens === written &&
    told.output_tokens_details?.reasoning_tokens === reasoning;
  if (isWhole(usage)) return usage;
  return {
    ...usage,
    input_tokens: input,
    input_tokens_details: { ...usage.input_tokens_details, cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { ...usage.output_tokens_details, reasoning_tokens: reasoning },
    total_tokens: typeof usage.total_tokens === "number" ? usage.total_tokens : input + output,
  };
}

/** Characters of a token, in English; what the relay has not counted it estimates. */
const CHARACTERS_PER_TOKEN = 4;

/** The tokens of a text, by its length in UTF-16 units. */
export function estimatedTokens(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN);
}

/** What an answer cost that the relay ended itself, as upstream was not heard to its end. */
export function estimatedUsage(inputTokens: number, outputTokens: number): Usage {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
