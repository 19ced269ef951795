import type { Usage } from "../../codex/wire/schema.ts";

/** Token counts under this API's names. */
export interface MessagesUsage {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
  output_tokens_details: { thinking_tokens: number } | null;
  server_tool_use: { web_search_requests: number; web_fetch_requests: number } | null;
}

/** Upstream's usage; zeros where it gave none. Here cached tokens are counted apart, not within the input. */
export function toMessagesUsage(usage: Usage | null | undefined, searches = 0): MessagesUsage {
  const read = usage?.input_tokens_details?.cached_tokens ?? 0;
  const written = usage?.input_tokens_details?.cache_write_tokens ?? 0;
  return {
    input_tokens: Math.max(0, (usage?.input_tokens ?? 0) - read - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    output_tokens: usage?.output_tokens ?? 0,
    output_tokens_details: { thinking_tokens: usage?.output_tokens_details?.reasoning_tokens ?? 0 },
    server_tool_use: searches > 0 ? { web_search_requests: searches, web_fetch_requests: 0 } : null,
  };
}

/** The fuller form that a message carries. `tier` is the backend's own name for it. */
export function messageUsage(usage: MessagesUsage, tier: string | undefined) {
  return {
    ...usage,
    cache_creation: { ephemeral_5m_input_tokens: usage.cache_creation_input_tokens, ephemeral_1h_input_tokens: 0 },
    inference_geo: null,
    service_tier: tier === "priority" ? "priority" : "standard",
    speed: null,
  };
}
