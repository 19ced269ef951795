import { clampEffort, EFFORTS } from "../../codex/models.ts";
import { resolveModel } from "../../codex/model-names.ts";
import { codexRequest } from "../../codex/request/build.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import { unknownValue } from "../refuse.ts";
import { textFormatOf } from "./format.ts";
import { inputItems, toConversation, type Conversation } from "./messages.ts";
import { hasInput, type ChatRequest } from "./schema.ts";
import { toWireTools } from "./tools.ts";

/** Fields that only tune the answer and that the backend refuses. Named in a header; `--strict` refuses them. */
const DROPPED = [
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "max_completion_tokens",
  "max_tokens",
  "metadata",
  "moderation",
  "prediction",
  "presence_penalty",
  "prompt_cache_options",
  "prompt_cache_retention",
  "safety_identifier",
  "seed",
  "temperature",
  "top_logprobs",
  "top_p",
] as const;

/** Client request → backend body. */
export function toCodex(request: ChatRequest, context: Context): Translation {
  const changed: string[] = [];
  const model = resolveModel(context, request.model);
  const { tools, toolChoice, parallelToolCalls, ignoresSearchOptions } = toWireTools(request);
  const { instructions, input } = conversationOf(request, context);

  const wanted = effortOf(request) ?? model.effort ?? (wishesThinking(request) ? "medium" : undefined);
  const effort = wanted === undefined ? undefined : workableEffort(clampEffort(wanted, model.info), tools);
  if (effort !== wanted) changed.push("reasoning_effort");
  const body = codexRequest({
    model: model.slug,
    instructions: instructions === "" ? context.defaultInstructions : instructions,
    input,
    tools,
    toolChoice,
    parallelToolCalls,
    effort,
    wantsSummary: context.reasoning !== "none",
    text: textOptions(request),
    promptCacheKey: request.prompt_cache_key ?? undefined,
    serviceTier: tierOf(request.service_tier ?? undefined, model.serviceTier),
  });
  if (request.service_tier === "fast") changed.push("service_tier");
  if (stopSequences(request).length > 0) changed.push("stop");
  const dropped = droppedFields(request);
  if (ignoresSearchOptions) dropped.push("web_search_options");
  return { body, dropped: dropped.toSorted(), changed };
}

/** The client's stop sequences; the backend has none, so the relay cuts the text itself. */
export function stopSequences(request: ChatRequest): string[] {
  const { stop } = request;
  const list = typeof stop === "string" ? [stop] : (stop ?? []);
  return list.filter((sequence) => sequence !== "");
}

/** Some editors send Responses-shaped `input` to the chat route and expect a chat answer. */
function conversationOf(request: ChatRequest, context: Context): Conversation {
  const keepSystemInInput = textFormatOf(request)?.["type"] === "json_object";
  if (request.messages && (request.messages.length > 0 || !hasInput(request))) {
    return toConversation(request.messages, context.memory, { keepSystemInInput });
  }
  const { instructions } = request;
  return {
    instructions: typeof instructions === "string" ? instructions : "",
    input: inputItems(request["input"], context.memory),
  };
}

/** The effort that the request itself asks for. Throws `invalid_value`. */
function effortOf(request: ChatRequest): string | undefined {
  const [param, effort] = request.reasoning_effort
    ? ["reasoning_effort", request.reasoning_effort]
    : ["reasoning.effort", request.reasoning?.effort];
  if (!effort) return undefined;
  if ((EFFORTS as readonly string[]).includes(effort) || effort === "ultra") return effort;
  throw unknownValue(effort, EFFORTS.map((level) => `'${level}'`).join(", "), param);
}

/** How other vendors' clients switch thinking on. */
function wishesThinking(request: ChatRequest): boolean {
  const { thinking } = request;
  return request["enable_thinking"] === true || (isObject(thinking) && thinking["type"] === "enabled");
}

/** Models refuse to search the web with the least effort. */
function workableEffort(effort: string, tools: readonly JsonObject[]): string {
  return effort === "minimal" && tools.some((tool) => tool["type"] === "web_search") ? "low" : effort;
}

const VERBOSITIES = new Set<unknown>(["low", "medium", "high"]);

function textOptions(request: ChatRequest): Record<string, unknown> | undefined {
  const format = textFormatOf(request);
  const nested = isObject(request["text"]) ? request["text"]["verbosity"] : undefined;
  const [param, verbosity] = request.verbosity ? ["verbosity", request.verbosity] : ["text.verbosity", nested];
  if (verbosity !== undefined && verbosity !== null && !VERBOSITIES.has(verbosity)) {
    throw unknownValue(verbosity, "'low', 'medium', and 'high'", param);
  }
  if (!format && !verbosity) return undefined;
  return { ...(format ? { format } : {}), ...(verbosity ? { verbosity } : {}) };
}

/** `auto`, `default` and `scale` mean whatever is usual, which is what leaving it out means upstream. */
function tierOf(asked: string | undefined, fromModel: string | undefined): string | undefined {
  if (asked === undefined) return fromModel;
  if (asked === "fast") return "priority";
  return asked === "priority" || asked === "flex" ? asked : undefined;
}

function droppedFields(request: ChatRequest): string[] {
  const dropped: string[] = DROPPED.filter((name) => request[name] !== undefined && request[name] !== null);
  // `false` is what happens anyway.
  if (request["store"] === true) dropped.push("store");
  return dropped.filter((name) => name !== "logprobs" || request["logprobs"] !== false);
}
