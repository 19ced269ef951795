import { clampEffort, EFFORTS, findModel } from "../../codex/models.ts";
import { resolveModel, type ResolvedModel } from "../../codex/model-names.ts";
import { inputItems } from "../../codex/request/build.ts";
import { tierFor } from "../../codex/request/service-tier.ts";
import { type CodexRequest, type InputItem, type Reasoning, isCodexRequest } from "../../codex/wire/request.ts";
import { RelayError } from "../../lib/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Context, Translation } from "../protocol.ts";
import { isGiven, unreadFields } from "../unread-fields.ts";
import { historyOf } from "./history.ts";
import { isUnnamed, portableItem, unsaidIn } from "./items.ts";
import type { ResponsesRequest } from "./schema.ts";
import { wireChoice, wireTool } from "./tools.ts";

/** Fields that are honoured, refused by name, or ask for what happens anyway. All others are named. */
const READ = new Set([
  "background",
  "chatFields",
  "client_metadata",
  "conversation",
  "include",
  "input",
  "instructions",
  "max_output_tokens",
  "modalities",
  "model",
  "n",
  "parallel_tool_calls",
  "previous_response_id",
  "prompt",
  "prompt_cache_key",
  "reasoning",
  "service_tier",
  "store",
  "stream",
  "text",
  "tool_choice",
  "tools",
]);

/** What the backend reads of two fields that hold several others. */
const READ_INSIDE = {
  reasoning: new Set(["effort", "summary", "context", "generate_summary"]),
  text: new Set(["format", "verbosity"]),
};

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
  const model = resolveModel(context, request.model);
  const wantedEffort = request.reasoning?.effort ?? model.effort;
  const effort = wantedEffort ? clampEffort(knownEffort(wantedEffort), model.info) : undefined;
  const { serviceTier, fate } = tierFor(request.service_tier ?? undefined, model.serviceTier, model.info);
  const reasoning = reasoningOf(request, effort);
  const text = kept(request.text ?? {}, READ_INSIDE.text);

  const { input, origins } = portableInput(earlier, added);
  const body: CodexRequest = {
    model: model.slug,
    instructions: request.instructions ?? context.defaultInstructions,
    input,
    include: [...new Set([...(request.include ?? []), REASONING_INCLUDE])],
    store: false,
    stream: true,
  };
  if (request.tools) body.tools = request.tools.map(wireTool);
  if (isGiven(request["tool_choice"])) body.tool_choice = wireChoice(request["tool_choice"]);
  if (typeof request.parallel_tool_calls === "boolean") body.parallel_tool_calls = request.parallel_tool_calls;
  if (Object.keys(reasoning).length > 0) body.reasoning = reasoning;
  if (Object.keys(text).length > 0) body.text = text;
  if (request.prompt_cache_key) body.prompt_cache_key = request.prompt_cache_key;
  if (serviceTier !== undefined) body.service_tier = serviceTier;
  if (isGiven(request["client_metadata"])) body.client_metadata = request["client_metadata"];
  return {
    body,
    dropped: [
      ...droppedFields(request),
      ...unnamedIn(added),
      ...(fate === "dropped" ? ["service_tier"] : []),
    ].toSorted(),
    changed: [...changedFields(request, { effort, isTierChanged: fate === "changed" }), ...unsaidIn(added)],
    clientPath: clientPathOf(origins),
  };
}

interface PortableInput {
  readonly input: InputItem[];
  /** For each item, its place among those that the client added; undefined for one of an earlier turn. */
  readonly origins: readonly (number | undefined)[];
}

function portableInput(earlier: readonly InputItem[], added: readonly InputItem[]): PortableInput {
  const input: InputItem[] = [];
  const origins: (number | undefined)[] = [];
  const take = (item: InputItem | undefined, origin?: number) => {
    if (item === undefined) return;
    input.push(item);
    origins.push(origin);
  };
  for (const item of earlier) take(portableItem(item, () => "input"));
  added.forEach((item, index) =>
    take(
      portableItem(item, () => `input[${index}]`),
      index,
    ),
  );
  return { input, origins };
}

/** Items of earlier turns come before the client's own, and some of its own are not sent. */
function clientPathOf(origins: readonly (number | undefined)[]): (path: string) => string {
  return (path) => {
    const [, index, rest = ""] = /^input\[(\d+)\](.*)$/.exec(path) ?? [];
    if (index === undefined) return path;
    const place = origins[Number(index)];
    return place === undefined ? "previous_response_id" : `input[${place}]${rest}`;
  };
}

function changedFields(
  request: ResponsesRequest,
  { effort, isTierChanged }: { readonly effort: string | undefined; readonly isTierChanged: boolean },
): string[] {
  const { reasoning } = request;
  return [
    ...request.chatFields,
    // The backend refuses any limit: the relay cuts the answer itself. Chat's names for it are named already.
    ...(isGiven(request["max_output_tokens"]) && !request.chatFields.some(isLimit) ? ["max_output_tokens"] : []),
    ...(request.previous_response_id ? ["previous_response_id"] : []),
    // Kept by the relay, for a while, instead of by the backend.
    ...(request["store"] === true ? ["store"] : []),
    ...(reasoning?.effort && effort !== reasoning.effort ? ["reasoning.effort"] : []),
    ...(isGiven(reasoning?.["generate_summary"]) ? ["reasoning.generate_summary"] : []),
    ...(isTierChanged ? ["service_tier"] : []),
  ];
}

function isLimit(name: string): boolean {
  return name === "max_tokens" || name === "max_completion_tokens";
}

/** `generate_summary` is what `summary` was called before. */
function reasoningOf({ reasoning }: ResponsesRequest, effort: string | undefined): Reasoning {
  const { generate_summary: former, ...rest } = kept(reasoning ?? {}, READ_INSIDE.reasoning);
  return {
    ...rest,
    ...(isGiven(former) && !isGiven(rest["summary"]) ? { summary: String(former) } : {}),
    ...(effort === undefined ? {} : { effort }),
  };
}

/** The fields that the backend reads, where they say something. */
function kept(fields: JsonObject, read: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => read.has(name) && isGiven(value)));
}

/** The CLI's own traffic: only what the backend cannot do without. */
function codexClientBody(request: ResponsesRequest, context: Context): Translation {
  const { chatFields: _notSent, ...sent } = request;
  const body = {
    ...sent,
    ...namedModel(request, context),
    input: inputItems(request.input),
    include: [...new Set([...(request.include ?? []), REASONING_INCLUDE])],
    store: false,
    stream: true,
  };
  if (!isCodexRequest(body)) throw new RelayError("invalid_request", "The request names no model.", { param: "model" });
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
    if (!isGiven(request[name]) || request[name] === false) continue;
    throw new RelayError("unsupported_parameter", `'${name}' is not supported by the Codex backend.`, { param: name });
  }
}

function unnamedIn(items: readonly InputItem[]): string[] {
  const unnamed: string[] = [];
  items.forEach((item, index) => {
    if (isUnnamed(item)) unnamed.push(`input[${index}].name`);
  });
  return unnamed;
}

function droppedFields(request: ResponsesRequest): string[] {
  const inside = (["reasoning", "text"] as const).flatMap((group) =>
    unreadFields(request[group] ?? {}, READ_INSIDE[group]).map((name) => `${group}.${name}`),
  );
  return [...unreadFields(request, READ), ...inside];
}

function knownEffort(effort: string): string {
  if ((EFFORTS as readonly string[]).includes(effort) || effort === "ultra") return effort;
  throw new RelayError(
    "invalid_value",
    `Invalid value: '${effort.slice(0, 40)}'. Supported values are: ${EFFORTS.map((level) => `'${level}'`).join(", ")}.`,
    { param: "reasoning.effort" },
  );
}
