import { isObject, type JsonObject } from "../../lib/json.ts";
import type { CodexRequest, InputItem } from "../wire/request.ts";

/** Request header that announces the Responses-Lite envelope. */
export const LITE_HEADER = "x-openai-internal-codex-responses-lite";

/** The two forms in which the backend takes a request: all fields at the top, or Responses-Lite. */
export type Envelope = "full" | "lite";

/** A body in the Responses-Lite envelope: no top-level tools or instructions. */
export type LiteRequest = Omit<CodexRequest, "tools" | "instructions">;

/** A body in the Lite envelope, and what that cost. */
export interface LitePacking {
  readonly body: LiteRequest;
  /** Input items put before the client's own. */
  readonly added: number;
  /** Fields that the client asked for and this envelope has no room for. */
  readonly changed: readonly string[];
}

/** Stands for instructions where there are none: a body without any is one that no client of the backend sends. */
const NO_INSTRUCTIONS = " ";

/**
 * Re-packs a full body: tools travel in the first input item, instructions in a developer message, reasoning covers all
 * turns and calls come one at a time. `id` names the conversation, so that the first item is the same in every turn and
 * the prompt cache holds.
 */
export function toLite(body: CodexRequest, id: string): LitePacking {
  const { tools, instructions, ...rest } = body;
  const head: InputItem[] = [];
  if (tools && tools.length > 0) head.push({ type: "additional_tools", id: `at_${id}`, role: "developer", tools });
  const text = instructions || (body.input.some(isDeveloper) ? undefined : NO_INSTRUCTIONS);
  if (text !== undefined) {
    head.push({ type: "message", role: "developer", content: [{ type: "input_text", text }] });
  }
  const changed = body.parallel_tool_calls === true ? ["parallel_tool_calls"] : [];
  const input = body.input.map((item) => withoutDetail(item, changed));
  return {
    body: {
      ...rest,
      input: [...head, ...input],
      tool_choice: body.tool_choice ?? "auto",
      parallel_tool_calls: false,
      reasoning: { ...body.reasoning, context: "all_turns" },
    },
    added: head.length,
    changed: [...new Set(changed)],
  };
}

function isDeveloper(item: InputItem): boolean {
  return item["role"] === "developer";
}

/** Lite bodies are refused for a `detail` on any of their images (openai/codex#27246). */
function withoutDetail(item: InputItem, changed: string[]): InputItem {
  const plain = (parts: unknown): unknown => {
    if (!Array.isArray(parts) || !parts.some(hasDetail)) return parts;
    return parts.map((part: unknown) => {
      if (!hasDetail(part)) return part;
      const { detail, ...rest } = part;
      // `auto` is what the backend does without being told.
      if (detail !== "auto") changed.push("detail");
      return rest;
    });
  };
  const [content, output] = [plain(item["content"]), plain(item["output"])];
  if (content === item["content"] && output === item["output"]) return item;
  return { ...item, ...(content === undefined ? {} : { content }), ...(output === undefined ? {} : { output }) };
}

function hasDetail(part: unknown): part is JsonObject {
  return isObject(part) && part["type"] === "input_image" && part["detail"] !== undefined;
}

/** Kinds of tools that clients run themselves, which both envelopes carry. */
const RUN_BY_CLIENT = new Set<unknown>(["function", "custom", "namespace"]);

/** True for a tool that the backend runs. Such tools do nothing inside the Lite envelope (can1357/oh-my-pi#7666). */
export function isHostedTool(tool: unknown): boolean {
  return isObject(tool) && !RUN_BY_CLIENT.has(tool["type"] ?? "function");
}

/** True for a request with a tool that only the full envelope can carry. */
export function needsFullEnvelope(body: CodexRequest): boolean {
  return (body.tools ?? []).some(isHostedTool);
}
