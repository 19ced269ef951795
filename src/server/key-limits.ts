import { allowedModels, narrowedTo } from "../codex/allowed-models.ts";
import type { ModelNames } from "../codex/model-names.ts";
import type { ModelCatalogue } from "../codex/models.ts";
import type { KeyBudgets } from "../keys/budgets.ts";
import { RelayError } from "../lib/errors.ts";
import type { UpstreamClient } from "../upstream/client.ts";
import type { CallerKey } from "./access.ts";
import type { RequestRecord } from "./record.ts";

/** A request with the key that it came with. */
export interface KeyedRequest {
  readonly caller: { readonly key: CallerKey | undefined };
  readonly record: RequestRecord;
}

/** What limits are held against. */
export interface LimitDependencies {
  readonly budgets: () => KeyBudgets | undefined;
  readonly upstream: Pick<UpstreamClient, "limits">;
}

/** The models that a key may use, out of those that there are. */
export function modelsFor(key: CallerKey | undefined, names: ModelNames): ModelCatalogue {
  const allowed = key?.limits?.models;
  return allowed ? narrowedTo(names.models, allowedModels(names, allowed)) : names.models;
}

/** Throws `model_not_allowed`, with those that the key may use. */
export function refuseModel(key: CallerKey | undefined, model: string, names: ModelNames): void {
  const allowed = key?.limits?.models;
  if (!allowed) return;
  const ids = allowedModels(names, allowed);
  if (ids.some((id) => id.toLowerCase() === model.toLowerCase())) return;
  throw new RelayError("model_not_allowed", `The key '${key.name}' may not use the model '${model.slice(0, 100)}'.`, {
    param: "model",
    shouldRetry: false,
    hint: `It may use ${ids.join(", ")}.`,
  });
}

/** Holds a request against the limits of its key until its record ends. Throws `key_limit_reached`. */
export async function holdBudget(
  { caller: { key }, record }: KeyedRequest,
  { budgets: current, upstream }: LimitDependencies,
  inputTokens: () => number,
): Promise<void> {
  const budgets = key && current();
  if (!budgets) return;
  const { limits = {}, id, name } = key;
  const isCounted = limits.tokensPerDay !== undefined || limits.shareOfWindowPercent !== undefined;
  record.inputEstimate = isCounted ? inputTokens() : 0;
  const estimate = { inputTokens: record.inputEstimate, plan: upstream.limits.current() };
  record.hold(await budgets.reserve({ id, name, limits }, estimate));
}

/** Characters that make a token, about: English prose has four, code and JSON three, other scripts fewer. */
const CHARACTERS_PER_TOKEN = 4;
/** Of a picture or a file, whose bytes say nothing about its tokens. */
const FILE_TOKENS = 1500;

/** About how many tokens a request has, without reading its texts. */
export function roughTokens(value: unknown): number {
  let tokens = 0;
  // A list of its own: requests may be nested deeper than calls may be.
  const rest: unknown[] = [value];
  while (rest.length > 0) {
    const part = rest.pop();
    if (typeof part === "string") {
      tokens += part.startsWith("data:") ? FILE_TOKENS : part.length / CHARACTERS_PER_TOKEN;
    } else {
      tokens += 1;
      if (typeof part === "object" && part !== null) for (const inner of Object.values(part)) rest.push(inner);
    }
  }
  return Math.ceil(tokens);
}
