import { z } from "zod";

/** One entry of the backend's catalogue; only the keys that the relay reads are named. */
export const ModelInfo = z.looseObject({
  slug: z.string(),
  display_name: z.string().nullish(),
  description: z.string().nullish(),
  default_reasoning_level: z.string().nullish(),
  supported_reasoning_levels: z.array(z.looseObject({ effort: z.string() })).nullish(),
  visibility: z.string().nullish(),
  priority: z.number().nullish(),
  service_tiers: z.array(z.looseObject({ id: z.string() })).nullish(),
  context_window: z.number().nullish(),
  input_modalities: z.array(z.string()).nullish(),
  use_responses_lite: z.boolean().nullish(),
});
export type ModelInfo = z.infer<typeof ModelInfo>;

/** The models of the account, as far as they are known now. */
export interface ModelCatalogue {
  /** `live` came from the backend; otherwise the list may be stale, and unknown ids are let through. */
  readonly origin: "live" | "cache" | "bundled";
  /** Why the backend gave no list, as sentences for people; absent where it did, or was not asked. */
  readonly reason?: string;
  /** All entries, hidden ones too, in the backend's order. */
  readonly models: readonly ModelInfo[];
  /** Ids that the owner listed with `--models`; they replace the published list. */
  readonly published?: readonly string[];
}

/** Weakest first. `ultra` is a client-side mode whose wire value is `max`. */
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

export function findModel(catalogue: ModelCatalogue, slug: string): ModelInfo | undefined {
  return catalogue.models.find((model) => model.slug === slug);
}

/** Ids to show to clients, in the backend's order. */
export function publishedModels(catalogue: ModelCatalogue): string[] {
  if (catalogue.published) return [...catalogue.published];
  return catalogue.models.filter((model) => (model.visibility ?? "list") === "list").map((model) => model.slug);
}

/**
 * The nearest effort that the model takes; the effort itself when the model's list is not known. `none` goes as it is:
 * no model lists it and several take it, so the backend's own refusal decides (contract 0.7).
 */
export function clampEffort(effort: string, info: ModelInfo | undefined): string {
  const wanted = effort === "ultra" ? "max" : effort;
  if (wanted === "none") return wanted;
  const supported = (info?.supported_reasoning_levels ?? []).map((level) => level.effort);
  if (supported.length === 0 || supported.includes(wanted)) return wanted;
  const rank = (level: string) => EFFORTS.findIndex((effort) => effort === level);
  const ranked = supported.filter((level) => rank(level) >= 0);
  const nearest = ranked.toSorted(
    (a, b) => Math.abs(rank(a) - rank(wanted)) - Math.abs(rank(b) - rank(wanted)) || rank(a) - rank(b),
  )[0];
  return nearest ?? wanted;
}
