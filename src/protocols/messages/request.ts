import { codexRequest } from "../../codex/request/build.ts";
import { isObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import { clientPathOf } from "../client-path.ts";
import { unreadFields } from "../unread-fields.ts";
import { toConversation } from "./conversation.ts";
import { effortOf } from "./effort.ts";
import { textFormatOf } from "./format.ts";
import { offeredTools, type OfferedTool } from "./offered-tools.ts";
import { resolveModel } from "../../codex/model-names.ts";
import type { MessagesRequest } from "./schema.ts";
import { thinkingView } from "./thinking.ts";
import { toWireTools } from "./tools.ts";
import { unreadInside } from "./unread.ts";

/** Fields that are honoured, or ask for what happens anyway. All others are named; `--strict` refuses them. */
const READ = new Set([
  "anthropic_beta",
  "anthropic_version",
  "betas",
  "cache_control",
  "max_tokens",
  "mcp_servers",
  "messages",
  "model",
  "output_config",
  "output_format",
  "service_tier",
  "speed",
  "stop_sequences",
  "stream",
  "system",
  "thinking",
  "tool_choice",
  "tools",
]);

/** Fields of this API by their names in the backend's body. */
const FIELDS = {
  input: "messages",
  instructions: "system",
  "reasoning.effort": "output_config.effort",
  "text.format": "output_config.format",
};

/** Client request → backend body. `offered` are the tools that the model is to know. */
export function toCodex(
  request: MessagesRequest,
  context: Context,
  offered: readonly OfferedTool[] = offeredTools(request),
): Translation {
  const { tools, toolPaths, toolChoice, parallelToolCalls, dropped } = toWireTools(request, offered);
  const searchesWeb = tools.some((tool) => tool["type"] === "web_search");
  const model = resolveModel(context, request.model, { searchesWeb });
  const { instructions, input, origins } = toConversation(request, context.memory);
  const { effort, changed } = effortOf(request, model);
  const inside = unreadInside(request);

  const format = textFormatOf(request);
  const body = codexRequest({
    model: model.slug,
    instructions: instructions === "" ? context.defaultInstructions : instructions,
    input,
    tools,
    toolChoice,
    parallelToolCalls,
    // Clients of this API show the pages that were found.
    include: searchesWeb ? ["web_search_call.action.sources"] : [],
    effort,
    wantsSummary: thinkingView(request) === "summary" && context.reasoning !== "none",
    text: format && { format },
    serviceTier: request.speed === "fast" ? "priority" : model.serviceTier,
  });
  return {
    body,
    dropped: [...droppedFields(request), ...inside.dropped, ...dropped].toSorted(),
    changed: [...(changed === undefined ? [] : [changed]), ...emulated(request), ...inside.changed],
    headers: { "x-plansocket-model": model.slug },
    clientPath: clientPathOf({
      input: (item) => messagePath(origins[item]),
      tools: toolPaths,
      schema: "input_schema",
      fields: FIELDS,
      position: (index) => `.${index}`,
    }),
  };
}

function messagePath(index: number | undefined): string | undefined {
  return index === undefined ? undefined : `messages.${index}`;
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
  const dropped = unreadFields(request, READ);
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
