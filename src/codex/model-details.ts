import { EFFORTS, findModel, type ModelCatalogue } from "./models.ts";

/** What clients ask about a model before they use it, the same truth in every dialect. */
export interface ModelDetails {
  readonly name: string;
  readonly description: string | undefined;
  /** In tokens, of prompt and answer together; undefined where the catalogue does not say. */
  readonly contextTokens: number | undefined;
  /** `text`, `image`. */
  readonly inputModalities: readonly string[];
  /** As they can be asked for, weakest first; empty for a model that does not think. */
  readonly efforts: readonly string[];
  readonly defaultEffort: string | undefined;
  /** Ids of service tiers beside the usual one. */
  readonly serviceTiers: readonly string[];
  readonly searchesWeb: boolean;
}

const MODALITIES_WHERE_UNKNOWN = ["text", "image"];

/** What the catalogue tells of a model; of one that it does not have, what all have in common. */
export function modelDetails(catalogue: ModelCatalogue, slug: string): ModelDetails {
  const info = findModel(catalogue, slug);
  const levels = (info?.supported_reasoning_levels ?? []).map(({ effort }) => effort);
  return {
    name: info?.display_name ?? slug,
    description: info?.description ?? undefined,
    contextTokens: info?.context_window ?? undefined,
    inputModalities: info?.input_modalities ?? MODALITIES_WHERE_UNKNOWN,
    // What the catalogue lists beyond these are modes of its own client.
    efforts: EFFORTS.filter((effort) => levels.includes(effort)),
    defaultEffort: info?.default_reasoning_level ?? undefined,
    serviceTiers: (info?.service_tiers ?? []).map(({ id }) => id),
    searchesWeb: info?.["supports_search_tool"] !== false,
  };
}
