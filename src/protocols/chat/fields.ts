/** Fields that are honoured, refused by name, or ask for what happens anyway. All others are named. */
export const READ_FIELDS: ReadonlySet<string> = new Set([
  "enable_thinking",
  "function_call",
  "functions",
  "include",
  "input",
  "instructions",
  "max_completion_tokens",
  "max_tokens",
  "messages",
  "modalities",
  "model",
  "n",
  "parallel_tool_calls",
  "prompt_cache_key",
  "reasoning",
  "reasoning_effort",
  "response_format",
  "service_tier",
  "stop",
  "stream",
  "stream_options",
  "text",
  "thinking",
  "tool_choice",
  "tools",
  "verbosity",
  "web_search_options",
]);

/** Fields that say nothing when they are false: that is what happens anyway. */
export const USUALLY_FALSE: ReadonlySet<string> = new Set(["logprobs", "store"]);

/** Fields of this API by their names in the backend's body. */
export const BACKEND_FIELDS = {
  input: "messages",
  instructions: "messages",
  "reasoning.effort": "reasoning_effort",
  "text.verbosity": "verbosity",
  "text.format.schema": "response_format.json_schema.schema",
  "text.format": "response_format",
};
