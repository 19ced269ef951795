import type { ResolvedModel } from "../../codex/model-names.ts";
import { clampEffort } from "../../codex/models.ts";
import { isObject, nonEmptyString } from "../../lib/json.ts";
import { fault } from "./refuse.ts";
import type { MessagesRequest } from "./schema.ts";

const NAMED = ["low", "medium", "high", "xhigh", "max"];
const THINKING_TYPES = ["enabled", "disabled", "adaptive", "between_tools"];

/** Thinking budgets in tokens, up to which each effort is meant. Clients use a few steps of 1,024 to 32,000. */
const BUDGETS = [
  [4096, "low"],
  [16_384, "medium"],
  [28_672, "high"],
] as const;

/** The effort to ask for, undefined for the model's own, and the field that could not be honoured to the letter. */
export interface EffortChoice {
  readonly effort: string | undefined;
  readonly changed: string | undefined;
}

/** The last effort that a system message of the conversation asks for. */
function effortInMessages(request: MessagesRequest): string | undefined {
  const systems = request.messages.filter(({ role }) => role === "system");
  const configs = systems.flatMap(({ content, output_config: own }) => {
    const blocks: unknown[] = Array.isArray(content) ? content : [];
    const inBlocks = blocks.filter((block) => isObject(block) && block["type"] === "output_config");
    return [own, ...inBlocks, ...inBlocks.map((block) => (isObject(block) ? block["output_config"] : undefined))];
  });
  return configs.map((config) => (isObject(config) ? nonEmptyString(config["effort"]) : undefined)).findLast(Boolean);
}

/** A named effort first, then a budget, then what the model's name says. Throws RelayError on unknown words. */
export function effortOf(request: MessagesRequest, model: ResolvedModel): EffortChoice {
  const { thinking } = request;
  if (thinking && !THINKING_TYPES.includes(thinking.type)) {
    throw fault("thinking.type", `must be one of ${THINKING_TYPES.join(", ")}`);
  }
  const named = effortInMessages(request) ?? request.output_config?.effort ?? undefined;
  if (named !== undefined) {
    if (!NAMED.includes(named)) throw fault("output_config.effort", `must be one of ${NAMED.join(", ")}`);
    const effort = clampEffort(named, model.info);
    return { effort, changed: effort === named ? undefined : "output_config.effort" };
  }
  if (model.effort !== undefined) return { effort: clampEffort(model.effort, model.info), changed: undefined };
  if (thinking?.type === "disabled") return { effort: clampEffort("none", model.info), changed: undefined };
  const budget = thinking?.type === "enabled" ? (thinking.budget_tokens ?? undefined) : undefined;
  if (budget === undefined) return { effort: undefined, changed: undefined };
  const level = BUDGETS.find(([tokens]) => budget <= tokens)?.[1] ?? "xhigh";
  return { effort: clampEffort(level, model.info), changed: "thinking.budget_tokens" };
}
