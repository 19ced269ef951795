import { isObject } from "../../lib/json.ts";
import type { CodexRequest, InputItem } from "../wire/schema.ts";

/** Request header that announces the Responses-Lite envelope. */
export const LITE_HEADER = "x-openai-internal-codex-responses-lite";

/** A body in the Responses-Lite envelope: no top-level tools or instructions. */
export type LiteRequest = Omit<CodexRequest, "tools" | "instructions">;

/**
 * Re-packs a classic body for a Responses-Lite model: tools travel in the first input item, instructions in a developer
 * message, reasoning covers all turns and calls come one at a time. Everything else is untouched.
 */
export function toLite(body: CodexRequest, requestId: string): LiteRequest {
  const { tools, instructions, ...rest } = body;
  const head: InputItem[] = [];
  if (tools && tools.length > 0) {
    head.push({ type: "additional_tools", id: `at_${requestId}`, role: "developer", tools });
  }
  if (instructions) {
    head.push({ type: "message", role: "developer", content: [{ type: "input_text", text: instructions }] });
  }
  return {
    ...rest,
    input: [...head, ...body.input],
    tool_choice: body.tool_choice ?? "auto",
    parallel_tool_calls: false,
    reasoning: { ...body.reasoning, context: "all_turns" },
  };
}

const HOSTED = new Set(["web_search", "image_generation"]);

/** Hosted tools do nothing inside `additional_tools`, so a request that needs one goes out in the classic shape. */
export function needsClassicShape(body: CodexRequest): boolean {
  return (body.tools ?? []).some((tool) => isObject(tool) && HOSTED.has(String(tool["type"])));
}
