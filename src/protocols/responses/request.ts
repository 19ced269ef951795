import { clampEffort, EFFORTS, findModel } from "../../codex/models.ts";
import { resolveModel, type ResolvedModel } from "../../codex/model-names.ts";
import { inputItems } from "../../codex/request/build.ts";
import type { CodexRequest, InputItem } from "../../codex/wire/schema.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import { historyOf } from "./history.ts";
import type { ResponsesRequest } from "./schema.ts";

/** The backend refuses these; the answer is the same kind without them, so they go and are named in a header. */
const DROPPED = [
  "max_output_tokens",
  "temperature",
  "top_p",
  "metadata",
  "user",
  "truncation",
  "max_tool_calls",
  "safety_identifier",
  "context_management",
  "top_logprobs",
  "prompt_cache_retention",
  "prompt_cache_options",
  "moderation",
  "access_programs",
  "image",
] as const;

/** Without these the answer would be another one. */
const UNSUPPORTED = ["background", "conversation", "prompt"] as const;

const REASONING_INCLUDE = "reasoning.encrypted_content";

/** Client request → backend body. Codex clients keep theirs but for what the backend insists on. */
export function toCodex(request: ResponsesRequest, context: Context): Translation {
  return context.isCodexClient ? codexClientBody(request, context) : translate(request, context);
}

function translate(request: ResponsesRequest, context: Context): Translation {
  refuseUnsupported(request);
  const { earlier, added } = historyOf(request, context);
  const changed: string[] = [];
  if (request.previous_response_id) changed.push("previous_response_id");
  // Kept by the relay, for a while, instead of by the backend.
  if (request["store"] === true) changed.push("store");
  const model = resolveModel(context, request.model);
  const wantedEffort = request.reasoning?.effort ?? model.effort;
  const effort = wantedEffort ? clampEffort(knownEffort(wantedEffort), model.info) : undefined;
  if (effort !== undefined && request.reasoning?.effort && effort !== wantedEffort) changed.push("reasoning.effort");
  const { serviceTier, isChanged } = tierOf(request.service_tier ?? undefined, model.serviceTier);
  if (isChanged) changed.push("service_tier");

  const body: CodexRequest = {
    model: model.slug,
    instructions: request.instructions ?? context.defaultInstructions,
    input: [...earlier, ...added].flatMap(portable),
    include: [...new Set([...(request.include ?? []), REASONING_INCLUDE])],
    store: false,
    stream: true,
  };
  if (request.tools) body.tools = request.tools.map(currentTool);
  if (given(request["tool_choice"])) body.tool_choice = currentChoice(request["tool_choice"]);
  if (typeof request.parallel_tool_calls === "boolean") body.parallel_tool_calls = request.parallel_tool_calls;
  const reasoning = { ...request.reasoning, ...(effort === undefined ? {} : { effort }) };
  const sentReasoning = Object.fromEntries(Object.entries(reasoning).filter(([, value]) => given(value)));
  if (Object.keys(sentReasoning).length > 0) body.reasoning = sentReasoning;
  if (request.text) body.text = request.text;
  if (request.prompt_cache_key) body.prompt_cache_key = request.prompt_cache_key;
  if (serviceTier !== undefined) body.service_tier = serviceTier;
  if (given(request["client_metadata"])) body.client_metadata = request["client_metadata"];
  return { body, dropped: droppedFields(request), changed };
}

/** The CLI's own traffic: only what the backend cannot do without. */
function codexClientBody(request: ResponsesRequest, context: Context): Translation {
  const body = {
    ...request,
    ...namedModel(request, context),
    input: inputItems(request.input),
    include: [...new Set([...(request.include ?? []), REASONING_INCLUDE])],
    store: false,
    stream: true,
  } as unknown as CodexRequest;
  return { body, dropped: [], changed: [], verbatim: true };
}

/**
 * What a name with a suffix, a prefix or a tag means, said in the fields that the backend reads; nothing for a name that
 * it knows. What this relay does not know is for the backend to judge: the client may be newer.
 */
export function namedModel(request: ResponsesRequest, context: Context): Partial<ResponsesRequest> {
  if (findModel(context.models, request.model)) return {};
  let named: ResolvedModel;
  try {
    named = resolveModel(context, request.model);
  } catch {
    return {};
  }
  const { slug, effort, serviceTier } = named;
  return {
    model: slug,
    ...(effort === undefined || request.reasoning?.effort ? {} : { reasoning: { ...request.reasoning, effort } }),
    ...(serviceTier === undefined || request.service_tier ? {} : { service_tier: serviceTier }),
  };
}

function refuseUnsupported(request: ResponsesRequest): void {
  for (const name of UNSUPPORTED) {
    if (!given(request[name]) || request[name] === false) continue;
    throw new RelayError("unsupported_parameter", `'${name}' is not supported by the Codex backend.`, { param: name });
  }
}

function droppedFields(request: ResponsesRequest): string[] {
  return DROPPED.filter((name) => given(request[name])).toSorted();
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function knownEffort(effort: string): string {
  if ((EFFORTS as readonly string[]).includes(effort) || effort === "ultra") return effort;
  throw new RelayError(
    "invalid_value",
    `Invalid value: '${effort.slice(0, 40)}'. Supported values are: ${EFFORTS.map((level) => `'${level}'`).join(", ")}.`,
    { param: "reasoning.effort" },
  );
}

/** The backend knows `priority` and `flex`; the rest of OpenAI's names mean "whatever is usual". */
function tierOf(asked: string | undefined, fromModel: string | undefined) {
  if (asked === undefined) return { serviceTier: fromModel, isChanged: false };
  if (asked === "priority" || asked === "flex") return { serviceTier: asked, isChanged: false };
  if (asked === "fast") return { serviceTier: "priority", isChanged: true };
  return { serviceTier: undefined, isChanged: false };
}

/** Their ciphertext is bound to their id: without it the backend refuses them. */
const BOUND_TO_ID = new Set<unknown>(["compaction", "context_compaction", "compaction_summary"]);

/**
 * An input item as the backend takes it from somebody who is not its own client: nothing is stored there, so ids of
 * earlier items cannot be looked up, and `system` is called `developer`.
 */
function portable(item: InputItem): InputItem[] {
  if (BOUND_TO_ID.has(item.type)) return [item];
  const { id: _id, ...rest } = item;
  if (item.type === "reasoning") {
    if (!given(item["encrypted_content"])) return [];
    return [{ ...rest, summary: item["summary"] ?? [] }];
  }
  // A tool's result may come in parts, like a message.
  const { output } = item;
  if (Array.isArray(output)) return [{ ...rest, output: output.map(portablePart) }];
  if (item["role"] === undefined) return [rest];
  const role = item["role"] === "system" ? "developer" : item["role"];
  return [{ ...rest, type: item.type ?? "message", role, content: contentParts(item["content"], role) }];
}

/** String content in the form that says whose it is; the SDKs' short form leaves it out. */
function contentParts(content: unknown, role: unknown): unknown {
  const textType = role === "assistant" ? "output_text" : "input_text";
  if (typeof content === "string") return [{ type: textType, text: content }];
  if (!Array.isArray(content)) return content;
  return content.map(portablePart);
}

function portablePart(part: unknown): unknown {
  if (!isObject(part)) return part;
  const { prompt_cache_breakpoint: _breakpoint, ...rest } = part;
  if (part["type"] === "input_image" && part["detail"] === undefined) return { ...rest, detail: "auto" };
  if (part["type"] !== "output_text") return rest;
  // Citations and log probabilities are the answer's, not the question's.
  return { type: "output_text", text: part["text"] };
}

/** The choice speaks of tools by the names that they go upstream under. */
function currentChoice(choice: unknown): unknown {
  if (!isObject(choice)) return choice;
  const { tools } = choice;
  const allowed = Array.isArray(tools)
    ? { tools: tools.map((tool: unknown) => (isObject(tool) ? currentTool(tool) : tool)) }
    : {};
  return { ...currentTool(choice), ...allowed };
}

function currentTool(tool: JsonObject): JsonObject {
  const type = tool["type"];
  return typeof type === "string" && type.startsWith("web_search_preview") ? { ...tool, type: "web_search" } : tool;
}
