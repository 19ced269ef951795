import type { CodexRequest } from "../../codex/schema.ts";
import type { Context, Translation } from "../protocol.ts";
import { toConversation } from "./conversation.ts";
import { effortOf } from "./effort.ts";
import { textFormatOf } from "./format.ts";
import { modelOf } from "./model.ts";
import { isObject } from "../../lib/json.ts";
import type { MessagesRequest } from "./schema.ts";
import { thinkingView } from "./thinking.ts";
import { toWireTools } from "./tools.ts";

/** Fields that the backend has nothing for. Named in a header; `--strict` refuses them. */
const DROPPED = [
  "container",
  "context_management",
  "inference_geo",
  "metadata",
  "temperature",
  "top_k",
  "top_p",
  "user_profile_id",
] as const;

/** Client request → backend body, built from nothing: what is not named here never reaches the backend. */
export function toCodex(request: MessagesRequest, context: Context): Translation {
  const { tools, toolChoice, parallelToolCalls, dropped } = toWireTools(request);
  const searchesWeb = tools.some((tool) => tool["type"] === "web_search");
  const model = modelOf(request.model, context, searchesWeb);
  const { instructions, input } = toConversation(request, context.memory);
  const { effort, changed } = effortOf(request, model);

  const body: CodexRequest = {
    model: model.slug,
    instructions: instructions === "" ? context.defaultInstructions : instructions,
    input,
    include: ["reasoning.encrypted_content"],
    store: false,
    stream: true,
  };
  if (tools.length > 0) {
    body.tools = tools;
    body.tool_choice = toolChoice;
    if (parallelToolCalls !== undefined) body.parallel_tool_calls = parallelToolCalls;
  }
  const reasoning = {
    ...(effort === undefined ? {} : { effort }),
    ...(thinkingView(request) === "summary" && context.reasoning !== "none" ? { summary: "auto" } : {}),
  };
  if (Object.keys(reasoning).length > 0) body.reasoning = reasoning;
  const format = textFormatOf(request);
  if (format) body.text = { format };
  const tier = request.speed === "fast" ? "priority" : model.serviceTier;
  if (tier !== undefined) body.service_tier = tier;
  return {
    body,
    dropped: [...droppedFields(request), ...dropped].toSorted(),
    changed: [...(changed === undefined ? [] : [changed]), ...emulated(request)],
    headers: { "x-codex-relay-model": model.slug },
  };
}

/** The client's stop sequences; the backend has none, so the relay cuts the text itself. */
export function stopSequences(request: MessagesRequest): string[] {
  return (request.stop_sequences ?? []).filter((sequence) => sequence !== "");
}

function emulated(request: MessagesRequest): string[] {
  return [
    // Mandatory in this API, so no client can leave it out to please `--strict`; the backend refuses any limit.
    ...(request.max_tokens === undefined || request.max_tokens === null ? [] : ["max_tokens"]),
    ...(stopSequences(request).length > 0 ? ["stop_sequences"] : []),
  ];
}

function droppedFields(request: MessagesRequest): string[] {
  const dropped: string[] = DROPPED.filter((name) => request[name] !== undefined && request[name] !== null);
  if (asksForCitations(request)) dropped.push("citations");
  return dropped;
}

/** The backend cites web pages, not the documents of the question. */
function asksForCitations(request: MessagesRequest): boolean {
  return request.messages.some(
    ({ content }) =>
      Array.isArray(content) &&
      content.some(
        (block: unknown) => isObject(block) && isObject(block["citations"]) && block["citations"]["enabled"] === true,
      ),
  );
}
