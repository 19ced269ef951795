import { grouped } from "../../lib/grouped.ts";
import type { KeyLimits } from "../../keys/key.ts";

/** A key's limits in one line, as in `gpt-5.5 only, 200,000 tokens a day`. */
export function limitsText({ models, tokensPerDay, shareOfWindowPercent, requestsAtOnce }: KeyLimits): string {
  const parts = [
    ...(models ? [`${models.join(", ")} only`] : []),
    ...(tokensPerDay === undefined ? [] : [`${grouped(tokensPerDay)} tokens a day`]),
    ...(shareOfWindowPercent === undefined ? [] : [`${shareOfWindowPercent} % of each window`]),
    ...(requestsAtOnce === undefined ? [] : [`${requestsAtOnce} at once`]),
  ];
  return parts.join("; ") || "no limits";
}
