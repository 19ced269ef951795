import { resolveModel, type ModelNames } from "./model-names.ts";
import { findModel, publishedModels, type ModelCatalogue } from "./models.ts";

/** The ids that names of a key's list stand for; a name that stands for nothing is its own. */
export function allowedModels(names: ModelNames, allowed: readonly string[]): string[] {
  const ids = allowed.map((name) => {
    try {
      return resolveModel(names, name).slug;
    } catch {
      return name;
    }
  });
  return [...new Set(ids)];
}

/** The catalogue as a client sees it that may use only these: the list has no others, and names of families mean one of them. */
export function narrowedTo(catalogue: ModelCatalogue, allowed: readonly string[]): ModelCatalogue {
  const listed = publishedModels(catalogue).filter((id) => allowed.includes(id));
  const hidden = allowed.filter((id) => !listed.includes(id) && findModel(catalogue, id));
  return { ...catalogue, published: [...listed, ...hidden] };
}
