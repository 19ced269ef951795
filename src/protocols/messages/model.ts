import {
  publishedModels,
  findModel,
  resolveModel,
  type ModelCatalogue,
  type ResolvedModel,
} from "../../codex/models.ts";
import type { Context } from "../protocol.ts";

/** Tiers of Claude models, as they stand in their names. */
const FAMILY = /opus|sonnet|haiku|fable|mythos/;

/**
 * The model that a client's name stands for. The owner's own choice comes first, by name and then by family; other
 * Claude names get the model of the account that comes closest in what it is for. Every other name means itself.
 * Throws `model_not_found`.
 */
export function modelOf(
  requested: string,
  context: Pick<Context, "models" | "modelAliases">,
  searchesWeb = false,
): ResolvedModel {
  // Claude Code marks a long context in the name; an `anthropic/` comes from gateways.
  const name = requested.replace(/^anthropic\//, "").replace(/\[[^[\]]*\]$/, "");
  const lower = name.toLowerCase();
  const chosen = aliasOf(lower, context);
  if (chosen !== undefined) return resolveModel(context.models, chosen);
  const family = FAMILY.exec(lower)?.[0];
  if (!lower.startsWith("claude") && family !== lower) return resolveModel(context.models, name);
  // The backend's smallest models are not offered hosted tools everywhere.
  const wanted = searchesWeb && family === "haiku" ? "sonnet" : family;
  const model = aliasOf(family ?? "sonnet", context) ?? nearestModel(wanted, context.models);
  return resolveModel(context.models, model ?? name);
}

function aliasOf(name: string, { modelAliases }: Pick<Context, "modelAliases">): string | undefined {
  return Object.hasOwn(modelAliases, name) ? modelAliases[name] : undefined;
}

/** How the catalogue's descriptions and names tell of the two ends of its range. */
const LARGE = /\b(frontier|most (capable|intelligent|demanding|powerful))\b/i;
const SMALL = /\b(fast|faster|fastest|small|smaller|smallest|efficient|affordable)\b|\b(mini|nano|luna|spark)\b/i;

/** The account's list runs from the model that the backend proposes first to the oldest. */
function nearestModel(family: string | undefined, models: ModelCatalogue): string | undefined {
  const published = publishedModels(models);
  const like = (what: RegExp) =>
    published.find((slug) => what.test(`${slug} ${findModel(models, slug)?.description ?? ""}`));
  const [usual] = published;
  if (family === "haiku") return like(SMALL) ?? usual;
  return family === undefined || family === "sonnet" ? usual : (like(LARGE) ?? usual);
}
