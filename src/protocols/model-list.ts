import { modelDetails, type ModelDetails } from "../codex/model-details.ts";
import { resolveModel, type ModelNames } from "../codex/model-names.ts";
import { publishedModels } from "../codex/models.ts";
import type { JsonObject } from "../lib/json.ts";

/** Required by the public shape; the backend gives no dates. */
const CREATED = 0;

/** GET /v1/models in OpenAI's form, each entry with what its readers look for. */
export function modelList(names: ModelNames): JsonObject {
  return {
    object: "list",
    data: publishedModels(names.models).map((id) => modelObject(id, modelDetails(names.models, id))),
  };
}

/** GET /v1/models/{id}, by any name that POST takes. Throws `model_not_found`. */
export function oneModel(names: ModelNames, id: string): JsonObject {
  const { slug } = resolveModel(names, id, { mustExist: true });
  return modelObject(id, modelDetails(names.models, slug));
}

/**
 * OpenAI's four fields, and beside them those of other lists that clients read: OpenRouter's (`context_length`,
 * `architecture`, `supported_parameters` …), LiteLLM's (`max_input_tokens`, `supports_…`), and VS Code's
 * (`capabilities.supports`, `capabilities.limits`). What the backend does not tell, such as the longest answer, is left
 * out rather than guessed.
 */
function modelObject(id: string, details: ModelDetails): JsonObject {
  const { name, description, contextTokens, inputModalities, efforts, defaultEffort, serviceTiers } = details;
  const limits =
    contextTokens === undefined
      ? {}
      : { context_length: contextTokens, context_window: contextTokens, max_input_tokens: contextTokens };
  return {
    id,
    object: "model",
    created: CREATED,
    owned_by: "openai",
    name,
    ...(description === undefined ? {} : { description }),
    ...limits,
    input_modalities: inputModalities,
    output_modalities: ["text"],
    architecture: {
      modality: `${inputModalities.join("+")}->text`,
      input_modalities: inputModalities,
      output_modalities: ["text"],
      tokenizer: "GPT",
      instruct_type: null,
    },
    // The plan is paid as a whole: no token has a price of its own.
    pricing: { prompt: "0", completion: "0" },
    top_provider: { context_length: contextTokens ?? null, max_completion_tokens: null, is_moderated: false },
    supported_parameters: supportedParameters(details),
    supported_reasoning_efforts: efforts,
    ...(defaultEffort === undefined ? {} : { default_reasoning_effort: defaultEffort }),
    service_tiers: serviceTiers,
    ...liteLlmFlags(details),
    capabilities: capabilities(details),
  };
}

/** Request fields of Chat Completions that change the answer here. Others are left out and named in a header. */
function supportedParameters({ efforts, searchesWeb }: ModelDetails): string[] {
  return [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "structured_outputs",
    "stop",
    "max_tokens",
    ...(efforts.length > 0 ? ["reasoning", "reasoning_effort", "include_reasoning"] : []),
    ...(searchesWeb ? ["web_search_options"] : []),
    "verbosity",
  ];
}

function liteLlmFlags({ inputModalities, efforts, searchesWeb }: ModelDetails): JsonObject {
  const sees = inputModalities.includes("image");
  return {
    mode: "chat",
    supports_function_calling: true,
    supports_parallel_function_calling: true,
    supports_tool_choice: true,
    supports_response_schema: true,
    supports_system_messages: true,
    supports_prompt_caching: true,
    supports_native_streaming: true,
    supports_vision: sees,
    supports_pdf_input: sees,
    supports_reasoning: efforts.length > 0,
    supports_web_search: searchesWeb,
  };
}

function capabilities({ inputModalities, contextTokens, efforts }: ModelDetails): JsonObject {
  const sees = inputModalities.includes("image");
  return {
    type: "chat",
    tokenizer: "o200k_base",
    supports: {
      streaming: true,
      tool_calls: true,
      parallel_tool_calls: true,
      structured_outputs: true,
      vision: sees,
      reasoning_effort: efforts,
    },
    limits:
      contextTokens === undefined ? {} : { max_context_window_tokens: contextTokens, max_prompt_tokens: contextTokens },
  };
}
