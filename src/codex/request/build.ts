import { isObject } from "../../lib/json.ts";
import { type CodexRequest, type InputItem, type Reasoning, isItemList } from "../wire/request.ts";

/** What dialects have to say in a request; whatever is undefined or empty is left out. */
export interface RequestParts {
  readonly model: string;
  readonly instructions: string;
  readonly input: InputItem[];
  readonly tools?: readonly unknown[];
  /** Only said where there are tools, like the next one. */
  readonly toolChoice?: unknown;
  readonly parallelToolCalls?: boolean | undefined;
  readonly effort?: string | undefined;
  /** More to be told than encrypted reasoning, which is always asked for. */
  readonly include?: readonly string[];
  /** Without a wish for summaries the backend sends none, and long thinking looks like silence. */
  readonly wantsSummary: boolean;
  readonly text?: Record<string, unknown> | undefined;
  readonly promptCacheKey?: string | undefined;
  readonly serviceTier?: string | undefined;
}

/** A backend body, built from nothing: what no dialect names here never reaches the backend. */
export function codexRequest(parts: RequestParts): CodexRequest {
  const { model, instructions, input, tools = [], toolChoice, parallelToolCalls, effort, text } = parts;
  const body: CodexRequest = {
    model,
    instructions,
    input,
    include: ["reasoning.encrypted_content", ...(parts.include ?? [])],
    store: false,
    stream: true,
  };
  if (tools.length > 0) {
    body.tools = [...tools];
    body.tool_choice = toolChoice;
    if (parallelToolCalls !== undefined) body.parallel_tool_calls = parallelToolCalls;
  }
  const reasoning: Reasoning = {
    ...(effort === undefined ? {} : { effort }),
    ...(parts.wantsSummary ? { summary: "auto" } : {}),
  };
  if (Object.keys(reasoning).length > 0) body.reasoning = reasoning;
  if (text) body.text = text;
  if (parts.promptCacheKey) body.prompt_cache_key = parts.promptCacheKey;
  if (parts.serviceTier !== undefined) body.service_tier = parts.serviceTier;
  return body;
}

/** The items of Responses' `input`: one text, one item or several. Whatever else it is makes none. */
export function inputItems(input: unknown): InputItem[] {
  if (typeof input === "string") {
    return [{ type: "message", role: "user", content: [{ type: "input_text", text: input }] }];
  }
  if (isItemList(input)) return input;
  return isObject(input) ? [input] : [];
}
