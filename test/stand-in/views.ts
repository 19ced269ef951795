/**
 * Where sources disagree about the real backend, each side is a view that a test can choose. The defaults are what most
 * of the newest clients rely on.
 */
export interface Views {
  /** Models that refuse the full Responses shape and want Responses-Lite: none, all Lite models, or these. */
  readonly classicRefusedBy: "none" | "lite-models" | readonly string[];
  /** Whether models that list Lite still take it. */
  readonly lite: "accepted" | "refused";
  /** `either` takes instructions or a developer message; `text` wants text in the place that the shape has for it. */
  readonly instructions: "either" | "text";
  /** For models of which nobody has said what they do with the effort `none`. */
  readonly noneEffort: "accepted" | "refused";
  /** The load balancer's cookies: sent and not looked at, wanted back, or refused when they come back. */
  readonly cookies: "ignored" | "wanted" | "refused";
  /** `current` models take `anyOf`, `oneOf`, `allOf` and `$ref` at the root of a tool's schema; `older` ones do not. */
  readonly schemas: "current" | "older";
  /** Whether reasoning that is sent back is taken. */
  readonly replayedReasoning: "accepted" | "refused";
  /** Fields that this account's backend refuses though others take them, as in `text.verbosity` (contract 0.17). */
  readonly refusedFields: readonly string[];
  /** Models that answer; all others have reached the plan's limit. */
  readonly openModels: "all" | readonly string[];
  /** Which of the wordings of a refusal is used; 0 is the one seen most. */
  readonly wording: number;
}

export const USUAL_VIEWS: Views = {
  classicRefusedBy: "none",
  lite: "accepted",
  instructions: "either",
  noneEffort: "refused",
  cookies: "ignored",
  schemas: "current",
  replayedReasoning: "accepted",
  refusedFields: [],
  openModels: "all",
  wording: 0,
};
