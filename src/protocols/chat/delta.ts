import type { ChatUsage } from "../usage.ts";

/** What changes in the answer: the `delta` of a chat.completion.chunk. */
export interface ChatDelta {
  role?: "assistant";
  content?: string | null;
  refusal?: string;
  reasoning_content?: string;
  reasoning?: string;
  tool_calls?: ToolCallDelta[];
  function_call?: { name?: string; arguments: string };
  annotations?: UrlCitation[];
  images?: ImageDelta[];
}

/** `id`, `type` and `name` come with the first delta of a call only: some clients append whatever they get. */
export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "function" | "custom";
  function?: { name?: string; arguments: string };
  custom?: { name?: string; input: string };
}

export interface UrlCitation {
  type: "url_citation";
  url_citation: { start_index: number; end_index: number; url: string; title: string };
}

export interface ImageDelta {
  index: number;
  type: "image_url";
  image_url: { url: string };
}

export type FinishReason = "stop" | "length" | "tool_calls" | "function_call" | "content_filter";

/** How a reply ended. */
export interface ChatEnd {
  readonly finishReason: FinishReason;
  readonly usage: ChatUsage;
  readonly serviceTier: string | undefined;
}
