import bundled from "../codex/bundled-models.json" with { type: "json" };
import type { ModelCatalogue, ModelInfo } from "../codex/models.ts";
import type { JsonObject } from "../lib/json.ts";

/** The models of the newest known release of the Codex CLI. */
export const DEMO_CATALOGUE: ModelCatalogue = { origin: "live", models: bundled.models };

/** What `ETag` of /models and `x-models-etag` of replies carry. */
export const CATALOGUE_ETAG = 'W/"stand-in-1"';

/** The body of /models. The Codex CLI decodes entries strictly, so they carry all keys that it insists on. */
export function modelsReply(models: readonly ModelInfo[] = DEMO_CATALOGUE.models): { models: JsonObject[] } {
  return {
    models: models.map((model) => ({
      ...DEFAULTS,
      ...model,
      supported_reasoning_levels: (model.supported_reasoning_levels ?? []).map((level) => ({
        description: `${level.effort} effort`,
        ...level,
      })),
      service_tiers: (model.service_tiers ?? []).map((tier) => ({ name: "Fast", description: "Faster", ...tier })),
      tool_mode: model.use_responses_lite === true ? "code_mode_only" : null,
    })),
  };
}

const DEFAULTS = {
  minimal_client_version: "0.100.0",
  shell_type: "unified_exec",
  additional_speed_tiers: [],
  availability_nux: null,
  upgrade: null,
  base_instructions: "You are a coding agent that talks to a stand-in backend.",
  model_messages: null,
  default_reasoning_summary: "none",
  apply_patch_tool_type: "freeform",
  web_search_tool_type: "text_and_image",
  truncation_policy: { mode: "tokens", limit: 10_000 },
  supports_image_detail_original: true,
  effective_context_window_percent: 95,
  experimental_supported_tools: [],
  supports_search_tool: true,
  supports_parallel_tool_calls: true,
  supports_reasoning_summaries: true,
  supports_reasoning_effort_updates: false,
};
