import type { ModelCatalogue } from "../codex/models.ts";

/** That a list of models is not what the backend says now, and why; undefined where it is. Sentences for people. */
export function oldModelsNote({ origin, reason }: Pick<ModelCatalogue, "origin" | "reason">): string | undefined {
  if (origin === "live") return undefined;
  const place = origin === "cache" ? "in the Codex CLI's cache" : "that came with plansocket";
  const why = reason === undefined ? "." : `: ${reason}`;
  return `The backend could not be asked for the account's models${why} Shown are those ${place}.`;
}
