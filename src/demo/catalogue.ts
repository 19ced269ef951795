import bundled from "../codex/bundled-models.json" with { type: "json" };
import type { ModelCatalogue, ModelInfo } from "../codex/models.ts";

/** The stand-in's models: those of the CLI release whose protocol it plays. */
export const DEMO_CATALOGUE: ModelCatalogue = { origin: "live", models: bundled.models };

/** What `ETag` of /models and `x-models-etag` of replies carry. */
export const CATALOGUE_ETAG = 'W/"stand-in-1"';

/** Older clients are told to upgrade; Lite models came later than the rest. */
const MINIMUM_VERSION = "0.100.0";
const MINIMUM_LITE_VERSION = "0.144.0";

export function minimumVersion(model: ModelInfo): string {
  return model.use_responses_lite === true ? MINIMUM_LITE_VERSION : MINIMUM_VERSION;
}

export function isOlder(version: string, than: string): boolean {
  const parts = (text: string) => text.split(/[.-]/).slice(0, 3).map(Number);
  const [left, right] = [parts(version), parts(than)];
  for (let index = 0; index < 3; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** The body of /models. The Codex CLI decodes entries strictly, so they carry all keys that it insists on. */
export function modelsReply(clientVersion: string): { models: object[] } {
  const visible = DEMO_CATALOGUE.models.filter((model) => !isOlder(clientVersion, minimumVersion(model)));
  return {
    models: visible.map((model) => ({
      ...DEFAULTS,
      ...model,
      minimal_client_version: minimumVersion(model),
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
