import { publishedModels, type ModelCatalogue } from "../../codex/models.ts";
import { RelayError } from "../../lib/errors.ts";

/** What the backend draws with unless it is told otherwise. */
const USUAL = "gpt-image-2";

/** Models that are no more; programs which still ask for them are given today's. */
const RETIRED = /^(dall-e-[23]|gpt-image-1)$/;

/** The picture model for a client's name. Throws `model_not_found` for names of other kinds of models. */
export function imageModel(asked: string | undefined): { readonly model: string; readonly isChanged: boolean } {
  if (asked === undefined || asked === "") return { model: USUAL, isChanged: false };
  const name = asked.replace(/^openai\//, "");
  if (RETIRED.test(name)) return { model: USUAL, isChanged: true };
  if (/^(gpt|chatgpt)-image-/.test(name)) return { model: name, isChanged: false };
  throw new RelayError("model_not_found", `The model '${asked.slice(0, 100)}' does not make images.`, {
    param: "model",
    hint: `Leave it out, or ask for ${USUAL}.`,
  });
}

/** Who calls the drawing tool. Models of the Responses-Lite kind do not always have it. */
export function drawingModel(models: ModelCatalogue): string {
  const published = publishedModels(models);
  const isLite = (slug: string) => models.models.find((model) => model.slug === slug)?.use_responses_lite === true;
  return published.find((slug) => !isLite(slug)) ?? published[0] ?? "gpt-5.5";
}
