import { modelDetails, type ModelDetails } from "../../codex/model-details.ts";
import { resolveModel } from "../../codex/model-names.ts";
import { publishedModels } from "../../codex/models.ts";
import { sha256Hex } from "../../lib/hash.ts";
import { JsonLines, type Context } from "../protocol.ts";

/** Of the API that is spoken here; clients look whether it is new enough for what they want (the Codex CLI: 0.13.4). */
const API_VERSION = "0.32.0";

const FALLBACK_CONTEXT = 272_000;

/** GET /api/version. */
export function version() {
  return { version: API_VERSION };
}

/** GET /api/tags: the account's models as if they were installed. */
export function tags({ models, now }: Context) {
  return { models: publishedModels(models).map((id) => entry(id, modelDetails(models, id), now)) };
}

/** GET /api/ps: nothing is loaded on this machine. */
export function running() {
  return { models: [] };
}

/** POST /api/show. Throws `model_not_found`. */
export function show(context: Context, name: string) {
  const { slug } = resolveModel(context, name, { mustExist: true });
  const model = modelDetails(context.models, slug);
  return {
    license: "",
    modelfile: "",
    parameters: "",
    template: "{{ .Prompt }}",
    details: details(model),
    model_info: {
      "general.architecture": "gpt",
      "general.basename": slug,
      "gpt.context_length": model.contextTokens ?? FALLBACK_CONTEXT,
    },
    capabilities: capabilities(model),
    modified_at: new Date(context.now).toISOString(),
  };
}

/** POST /api/pull: what is listed is there already; nothing is asked of the backend. Throws `model_not_found`. */
export function pull(context: Context, name: string, isStreaming: boolean): object {
  const { slug } = resolveModel(context, name, { mustExist: true });
  const done = { status: "success" };
  if (!isStreaming) return done;
  return new JsonLines([{ status: "pulling manifest" }, { status: `verifying ${slug}` }, done]);
}

function capabilities({ inputModalities, efforts }: ModelDetails): string[] {
  const sees = inputModalities.includes("image");
  return ["completion", "tools", ...(sees ? ["vision"] : []), ...(efforts.length > 0 ? ["thinking"] : [])];
}

/** Names have tags at Ollama, and some clients take them apart. */
function entry(id: string, model: ModelDetails, now: number) {
  return {
    name: `${id}:latest`,
    model: `${id}:latest`,
    modified_at: new Date(now).toISOString(),
    size: 0,
    digest: sha256Hex(id),
    details: details(model),
    capabilities: capabilities(model),
  };
}

function details({ contextTokens }: ModelDetails) {
  return {
    parent_model: "",
    format: "gguf",
    family: "gpt",
    families: ["gpt"],
    parameter_size: "",
    quantization_level: "",
    context_length: contextTokens ?? FALLBACK_CONTEXT,
  };
}
