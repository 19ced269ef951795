import { isObject } from "../../lib/json.ts";
import type { Usage } from "../wire/schema.ts";

/** Usage with every number that SDKs read; the same object when it has them, undefined when there is none. */
export function wholeUsage(usage: Partial<Usage> | null | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const input = count(usage.input_tokens);
  const output = count(usage.output_tokens);
  const cached = count(usage.input_tokens_details?.cached_tokens);
  const reasoning = count(usage.output_tokens_details?.reasoning_tokens);
  const isWhole =
    usage.input_tokens === input &&
    usage.output_tokens === output &&
    typeof usage.total_tokens === "number" &&
    usage.input_tokens_details?.cached_tokens === cached &&
    usage.output_tokens_details?.reasoning_tokens === reasoning;
  if (isWhole) return usage as Usage;
  return {
    ...usage,
    input_tokens: input,
    input_tokens_details: { ...usage.input_tokens_details, cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { ...usage.output_tokens_details, reasoning_tokens: reasoning },
    total_tokens: typeof usage.total_tokens === "number" ? usage.total_tokens : input + output,
  };
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
