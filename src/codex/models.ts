import { z } from "zod";
import { RelayError } from "../lib/errors.ts";

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
  /** All entries, hidden ones too, in the backend's order. */
  readonly models: readonly ModelInfo[];
  /** Ids that the owner listed with `--models`; they replace the published list. */
  readonly published?: readonly string[];
}

/** What a client's model string stands for. */
export interface ResolvedModel {
  readonly slug: string;
  /** From a suffix such as `-high`; the request's own field wins. */
  readonly effort: string | undefined;
  /** `priority` from `-fast`. */
  readonly serviceTier: string | undefined;
  readonly info: ModelInfo | undefined;
}

/** Weakest first. `ultra` is a client-side mode whose wire value is `max`. */
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

const EFFORT_SUFFIX = /-(none|minimal|low|medium|high|xhigh|max)$/;

export function findModel(catalogue: ModelCatalogue, slug: string): ModelInfo | undefined {
  return catalogue.models.find((model) => model.slug === slug);
}

/** Ids to show to clients, in the backend's order. */
export function publishedModels(catalogue: ModelCatalogue): string[] {
  if (catalogue.published) return [...catalogue.published];
  return catalogue.models.filter((model) => (model.visibility ?? "list") === "list").map((model) => model.slug);
}

/**
 * Exact ids first (`gpt-5.1-codex-max` is a model, not an effort), then without an `openai/` prefix, a `-fast` and one
 * effort suffix. An id that nobody knows passes unchanged while the catalogue is not live.
 * Throws `model_not_found` with the ids that exist.
 */
export function resolveModel(catalogue: ModelCatalogue, requested: string): ResolvedModel {
  const isKnown = (slug: string) =>
    findModel(catalogue, slug) !== undefined || catalogue.published?.includes(slug) === true;
  const exact = [requested, requested.replace(/^openai\//, "")].find(isKnown);
  if (exact !== undefined) return resolved(exact, undefined, undefined);

  let slug = requested.replace(/^openai\//, "");
  let serviceTier: string | undefined;
  let effort: string | undefined;
  // `-fast` and an effort come in either order: gpt-x-high-fast, gpt-x-fast-high.
  for (let round = 0; round < 2; round += 1) {
    if (serviceTier === undefined && slug.endsWith("-fast")) {
      slug = slug.slice(0, -"-fast".length);
      serviceTier = "priority";
    } else if (effort === undefined && EFFORT_SUFFIX.test(slug)) {
      effort = EFFORT_SUFFIX.exec(slug)?.[1];
      slug = slug.replace(EFFORT_SUFFIX, "");
    }
    if (isKnown(slug)) return resolved(slug, effort, serviceTier);
  }
  if (catalogue.origin !== "live") return guessed(requested);
  throw new RelayError(
    "model_not_found",
    `The model '${requested.slice(0, 100)}' does not exist or you do not have access to it.`,
    { param: "model", hint: `Models of this account: ${publishedModels(catalogue).join(", ")}.` },
  );

  function resolved(id: string, level: string | undefined, tier: string | undefined): ResolvedModel {
    return { slug: id, effort: level, serviceTier: tier, info: findModel(catalogue, id) };
  }
}

/** Effort suffixes that no model's own id ends in, unlike `-max`. */
const SURE_SUFFIX = /-(none|minimal|low|medium|high|xhigh)$/;

/** An id of a model that the list does not know, while the list may be old: only what is surely a suffix comes off. */
function guessed(requested: string): ResolvedModel {
  const isFast = /-fast(-|$)/.test(requested);
  const plain = requested.replace(/-fast(?=-|$)/, "");
  const effort = SURE_SUFFIX.exec(plain)?.[1];
  return {
    slug: plain.replace(SURE_SUFFIX, ""),
    effort,
    serviceTier: isFast ? "priority" : undefined,
    info: undefined,
  };
}

/** The nearest effort that the model takes; the effort itself when the model's list is not known. */
export function clampEffort(effort: string, info: ModelInfo | undefined): string {
  const wanted = effort === "ultra" ? "max" : effort;
  const supported = (info?.supported_reasoning_levels ?? []).map((level) => level.effort);
  if (supported.length === 0 || supported.includes(wanted)) return wanted;
  const rank = (level: string) => EFFORTS.indexOf(level as (typeof EFFORTS)[number]);
  const ranked = supported.filter((level) => rank(level) >= 0);
  const nearest = ranked.toSorted(
    (a, b) => Math.abs(rank(a) - rank(wanted)) - Math.abs(rank(b) - rank(wanted)) || rank(a) - rank(b),
  )[0];
  return nearest ?? wanted;
}
