import { clampEffort, EFFORTS } from "../../codex/models.ts";
import { resolveModel } from "../../codex/model-names.ts";
import { codexRequest } from "../../codex/request/build.ts";
import { tierFor } from "../../codex/request/service-tier.ts";
import { isObject, nonEmptyString, type JsonObject } from "../../lib/json.ts";
import { clientPathOf } from "../client-path.ts";
import type { Context, Translation } from "../protocol.ts";
import { unknownValue } from "../refuse.ts";
import { isGiven, unreadFields } from "../unread-fields.ts";
import { BACKEND_FIELDS, READ_FIELDS, USUALLY_FALSE } from "./fields.ts";
import { textFormatOf } from "./format.ts";
import { inputConversation, toConversation, type Conversation } from "./messages.ts";
import { hasInput, type ChatRequest } from "./schema.ts";
import { toWireTools } from "./tools.ts";
import { unreadInside } from "./unread.ts";

/** Client request → backend body. */
export function toCodex(request: ChatRequest, context: Context): Translation {
  const changed: string[] = [];
  const model = resolveModel(context, request.model);
  const { tools, toolPaths, toolChoice, parallelToolCalls, ignored } = toWireTools(request);
  const { instructions, input, origin, unnamed } = conversationOf(request, context);
  const { serviceTier, fate } = tierFor(request.service_tier ?? undefined, model.serviceTier, model.info);

  const wanted = effortOf(request) ?? model.effort ?? thinkingEffort(request);
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
    serviceTier,
  });
  if (fate === "changed") changed.push("service_tier");
  if (stopSequences(request).length > 0) changed.push("stop");
  // The backend refuses any limit: the relay cuts the answer itself.
  changed.push(...["max_completion_tokens", "max_tokens"].filter((name) => isGiven(request[name])));
  const inside = unreadInside(request);
  changed.push(...inside.changed);
  const dropped = [...droppedFields(request), ...inside.dropped, ...unnamed, ...ignored];
  if (fate === "dropped") dropped.push("service_tier");
  const clientPath = clientPathOf({ input: origin, tools: toolPaths, fields: BACKEND_FIELDS });
  return { body, dropped: dropped.toSorted(), changed, clientPath };
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
  return { ...inputConversation(request["input"], context.memory), instructions: nonEmptyString(instructions) ?? "" };
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

/** How other vendors' clients switch thinking on and off. */
function thinkingEffort(request: ChatRequest): string | undefined {
  const { thinking, enable_thinking: isEnabled, reasoning } = request;
  const type = isObject(thinking) ? thinking["type"] : undefined;
  if (isEnabled === true || type === "enabled" || reasoning?.["enabled"] === true) return "medium";
  return isEnabled === false || type === "disabled" || reasoning?.["enabled"] === false ? "none" : undefined;
}

/** Models refuse to search the web with the least effort. */
function workableEffort(effort: string, tools: readonly JsonObject[]): string {
  return effort === "minimal" && tools.some((tool) => tool["type"] === "web_search") ? "low" : effort;
}

/** Of the form in which other servers take the effort; whether thoughts are shown is the owner's setting. */
const READ_REASONING = new Set(["effort", "enabled", "exclude", "summary"]);

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

function droppedFields(request: ChatRequest): string[] {
  const isSaid = (name: string) => request[name] !== false || !USUALLY_FALSE.has(name);
  const options = unreadFields(request.stream_options ?? {}, new Set(["include_usage"]));
  return [
    ...unreadFields(request, READ_FIELDS).filter(isSaid),
    ...unreadFields(request.reasoning ?? {}, READ_REASONING).map((name) => `reasoning.${name}`),
    ...options.map((name) => `stream_options.${name}`),
  ];
}
