import { findModel, publishedModels, type ModelInfo } from "../../codex/models.ts";
import { RelayError } from "../../lib/errors.ts";
import { sha256Hex } from "../../lib/hash.ts";
import type { Context } from "../protocol.ts";
import { withoutTag } from "./request.ts";

/** Of the API that is spoken here; clients look whether it is new enough for what they want. */
const API_VERSION = "0.13.0";

const FALLBACK_CONTEXT = 272_000;

/** GET /api/version. */
export function version() {
  return { version: API_VERSION };
}

/** GET /api/tags: the account's models as if they were installed. */
export function tags(context: Context) {
  return { models: publishedModels(context.models).map((id) => entry(id, context.now)) };
}

/** GET /api/ps: nothing is loaded on this machine. */
export function running() {
  return { models: [] };
}

/** POST /api/show. Throws `model_not_found`. */
export function show(context: Context, name: string) {
  const id = withoutTag(name);
  const info = findModel(context.models, id);
  if (!info && !publishedModels(context.models).includes(id)) {
    throw new RelayError("model_not_found", `model '${name.slice(0, 100)}' not found`, { param: "model" });
  }
  return {
    license: "",
    modelfile: "",
    parameters: "",
    template: "{{ .Prompt }}",
    details: details(),
    model_info: {
      "general.architecture": "gpt",
      "general.basename": id,
      "gpt.context_length": info?.context_window ?? FALLBACK_CONTEXT,
    },
    capabilities: capabilities(info),
    modified_at: new Date(context.now).toISOString(),
  };
}

function capabilities(info: ModelInfo | undefined): string[] {
  const sees = info?.input_modalities?.includes("image") ?? true;
  const thinks = (info?.supported_reasoning_levels?.length ?? 1) > 0;
  return ["completion", "tools", ...(sees ? ["vision"] : []), ...(thinks ? ["thinking"] : [])];
}

/** Names have tags at Ollama, and some clients take them apart. */
function entry(id: string, now: number) {
  return {
    name: `${id}:latest`,
    model: `${id}:latest`,
    modified_at: new Date(now).toISOString(),
    size: 0,
    digest: sha256Hex(id),
    details: details(),
  };
}

function details() {
  return {
    parent_model: "",
    format: "gguf",
    family: "gpt",
    families: ["gpt"],
    parameter_size: "",
    quantization_level: "",
  };
}
