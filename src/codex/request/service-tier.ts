import type { ModelInfo } from "../models.ts";

/** The tier that a request is sent with, and whether that is another one than was asked for. */
export interface TierChoice {
  readonly serviceTier: string | undefined;
  /** `changed` means the same under another name; `dropped` has no effect. */
  readonly fate: "kept" | "changed" | "dropped";
}

/** They ask for what happens without a tier. */
const USUAL = new Set(["auto", "default", "standard", "standard_only", "scale"]);

/**
 * What becomes of the tier that a client asks for: `fast` is `priority`, names of the usual one are left out, and others
 * pass where the model lists them or, but for `flex`, lists nothing (contract 0.16). `fromModel` is the tier in the model's name.
 */
export function tierFor(
  asked: string | undefined,
  fromModel: string | undefined,
  info: ModelInfo | undefined,
): TierChoice {
  if (asked === undefined) return { serviceTier: fromModel, fate: "kept" };
  if (USUAL.has(asked)) return { serviceTier: undefined, fate: "kept" };
  const tier = asked === "fast" ? "priority" : asked;
  const listed = info?.service_tiers?.map(({ id }) => id);
  const isTaken = listed ? listed.includes(tier) : tier !== "flex";
  if (!isTaken) return { serviceTier: undefined, fate: "dropped" };
  return { serviceTier: tier, fate: asked === tier ? "kept" : "changed" };
}
