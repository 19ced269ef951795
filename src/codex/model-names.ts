import { RelayError } from "../lib/errors.ts";
import { nearest } from "../lib/nearest.ts";
import { RESERVE_MODEL } from "./plan-limits.ts";
import { findModel, publishedModels, type ModelCatalogue, type ModelInfo } from "./models.ts";

/** What names are resolved against. */
export interface ModelNames {
  readonly models: ModelCatalogue;
  /** Names, or families of Claude names, and the models that the owner gave them. Keys in lower case. */
  readonly modelAliases: Readonly<Record<string, string>>;
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

export interface ResolveOptions {
  /** The smallest models are not offered hosted tools everywhere: `haiku` stands for another one then. */
  readonly searchesWeb?: boolean;
  /** Refuse what the catalogue does not have even while it may be old. */
  readonly mustExist?: boolean;
}

/** Put before a name by gateways and by clients that keep only names of their own vendor. */
const PROVIDER =
  /^(?:openrouter|litellm|ollama|bedrock|vertex|vertex_ai|azure|openai|chatgpt|codex|plansocket|anthropic|claude|models)\//i;

/** Tiers of Claude models, as they stand in their names. */
const FAMILY = /opus|sonnet|haiku|fable|mythos/;

/**
 * The model that a name means, on every route and in every dialect: the owner's alias; an id of the catalogue; the same
 * behind a provider's prefix, with `:latest`, with `-fast` and an effort as suffixes; a Claude name, as Anthropic,
 * Bedrock, Vertex or a gateway writes it. An id that nobody knows passes while the catalogue is not live, unless it must
 * exist. Throws `model_not_found` with the ids that exist and the nearest of them.
 */
export function resolveModel(names: ModelNames, requested: string, options: ResolveOptions = {}): ResolvedModel {
  const name = bareName(requested);
  const alias = aliasOf(requested.toLowerCase(), names) ?? aliasOf(name.toLowerCase(), names);
  const found = alias === undefined ? known(names, requested, name, options) : aliased(names, name, alias);
  if (found) return found;
  // No list has it, and accounts that may use it do so by this name.
  if (name.toLowerCase() === RESERVE_MODEL) return guessed(RESERVE_MODEL);
  if (names.models.origin !== "live" && options.mustExist !== true) return guessed(name);
  throw notFound(names.models, requested);
}

function known(names: ModelNames, requested: string, name: string, options: ResolveOptions): ResolvedModel | undefined {
  const own = VENDOR.exec(name)?.[1];
  return (
    bySuffix(names.models, requested) ??
    bySuffix(names.models, name) ??
    (own === undefined ? undefined : ownModel(names, own)) ??
    claudeModel(names, name, options)
  );
}

/** One of the account's own names, or of the owner's, joined to a vendor's as if it were that vendor's model. */
const VENDOR = /^(?:claude|anthropic)[-.:](.+)$/i;

function ownModel(names: ModelNames, name: string): ResolvedModel | undefined {
  const alias = aliasOf(name.toLowerCase(), names);
  // `claude-sonnet` is no alias `sonnet`, which stands for the family and all dates of it.
  if (alias === undefined || FAMILY.test(name.toLowerCase())) return bySuffix(names.models, name);
  return aliased(names, name, alias);
}

/** Without tag, providers and the mark of a long context. */
function bareName(requested: string): string {
  let name = requested
    .trim()
    .replace(/\[[^[\]]*\]$/, "")
    .replace(/:latest$/i, "");
  while (PROVIDER.test(name)) name = name.replace(PROVIDER, "");
  return name;
}

function aliasOf(name: string, { modelAliases }: ModelNames): string | undefined {
  return Object.hasOwn(modelAliases, name) ? modelAliases[name] : undefined;
}

function aliased({ models }: ModelNames, name: string, target: string): ResolvedModel {
  const found = bySuffix(models, target) ?? bySuffix(models, bareName(target));
  if (found) return found;
  if (models.origin !== "live") return guessed(bareName(target));
  throw new RelayError(
    "model_not_found",
    `The alias '${shown(name)}' stands for '${shown(target)}', which is no model of this account.`,
    {
      param: "model",
      hint: `Change --model-alias. ${listOf(models, target)}`,
    },
  );
}

const EFFORT_SUFFIX = /-(none|minimal|low|medium|high|xhigh|max)$/i;
const FAST_SUFFIX = /-fast$/i;

/** Exact ids first (`gpt-5.1-codex-max` is a model, not an effort), then without a `-fast` and one effort suffix. */
function bySuffix(models: ModelCatalogue, name: string): ResolvedModel | undefined {
  let rest = name;
  let serviceTier: string | undefined;
  let effort: string | undefined;
  // The two come in either order: gpt-x-high-fast, gpt-x-fast-high.
  for (let round = 0; round < 3; round += 1) {
    const slug = slugOf(models, rest);
    if (slug !== undefined) return { slug, effort, serviceTier, info: findModel(models, slug) };
    if (serviceTier === undefined && FAST_SUFFIX.test(rest)) {
      rest = rest.replace(FAST_SUFFIX, "");
      serviceTier = "priority";
    } else if (effort === undefined && EFFORT_SUFFIX.test(rest)) {
      effort = EFFORT_SUFFIX.exec(rest)?.[1]?.toLowerCase();
      rest = rest.replace(EFFORT_SUFFIX, "");
    } else return undefined;
  }
  return undefined;
}

/** The catalogue's own spelling. */
function slugOf(models: ModelCatalogue, name: string): string | undefined {
  const lower = name.toLowerCase();
  const ids = [...models.models.map(({ slug }) => slug), ...(models.published ?? [])];
  return ids.find((id) => id === name) ?? ids.find((id) => id.toLowerCase() === lower);
}

/**
 * `us.anthropic.claude-sonnet-4-5-20250929-v1:0` (Bedrock, also behind an ARN), `claude-sonnet-4-5@20250929` (Vertex):
 * the plain name.
 */
const BEDROCK = /^(?:arn:[^/]*\/)?(?:[a-z-]+\.)?anthropic\.(claude-.+?)(?:-v\d+(?::\d+)?)?$/;
const DATE = /-\d{8}$/;
const VERTEX = /^(claude-[^@]+)@[\w.-]+$/;

/**
 * The owner's choice for the name or its family comes first; else the model of the account that comes closest in what
 * the family is for.
 */
function claudeModel(names: ModelNames, name: string, options: ResolveOptions): ResolvedModel | undefined {
  const lower = name.toLowerCase();
  const plain = BEDROCK.exec(lower)?.[1] ?? VERTEX.exec(lower)?.[1] ?? lower;
  const family = FAMILY.exec(plain)?.[0];
  if (!/^claude(-|$)/.test(plain) && family !== plain) return undefined;
  const chosen = aliasOf(plain, names) ?? aliasOf(plain.replace(DATE, ""), names) ?? aliasOf(family ?? "sonnet", names);
  if (chosen !== undefined) return aliased(names, plain, chosen);
  const wanted = options.searchesWeb === true && family === "haiku" ? "sonnet" : family;
  const slug = nearestOfFamily(wanted, names.models);
  return slug === undefined ? undefined : bySuffix(names.models, slug);
}

/** How the catalogue's descriptions and names tell of the two ends of its range. */
const LARGE = /\b(frontier|most (capable|intelligent|demanding|powerful))\b/i;
const SMALL = /\b(mini|nano|luna|spark)\b/i;
/** Plain `fast` is no sign of a small model: the catalogue says it of the one it proposes first, too. */
const CALLED_SMALL = /\b(fastest|small|smaller|smallest|efficient|affordable)\b/i;

/** The account's list runs from the model that the backend proposes first to the oldest. */
function nearestOfFamily(family: string | undefined, models: ModelCatalogue): string | undefined {
  const published = publishedModels(models);
  const like = (what: RegExp) =>
    published.find((slug) => what.test(`${slug} ${findModel(models, slug)?.description ?? ""}`));
  const [usual] = published;
  if (family === "haiku") return like(SMALL) ?? like(CALLED_SMALL) ?? usual;
  return family === undefined || family === "sonnet" ? usual : (like(LARGE) ?? usual);
}

/** Effort suffixes that no model's own id ends in, unlike `-max`. */
const SURE_SUFFIX = /-(none|minimal|low|medium|high|xhigh)$/;

/** An id of a model that the list does not know, while the list may be old: only what is surely a suffix comes off. */
function guessed(name: string): ResolvedModel {
  const isFast = /-fast(-|$)/.test(name);
  const plain = name.replace(/-fast(?=-|$)/, "");
  const effort = SURE_SUFFIX.exec(plain)?.[1];
  const serviceTier = isFast ? "priority" : undefined;
  return { slug: plain.replace(SURE_SUFFIX, ""), effort, serviceTier, info: undefined };
}

/** Refusal of a name that no model has, with those that exist. */
function notFound(models: ModelCatalogue, requested: string): RelayError {
  const message = `The model '${shown(requested)}' does not exist or you do not have access to it.`;
  return new RelayError("model_not_found", message, { param: "model", hint: listOf(models, requested) });
}

function listOf(models: ModelCatalogue, requested: string): string {
  const ids = publishedModels(models);
  if (ids.length === 0) return "The account lists no models.";
  const like = nearest(shown(bareName(requested)).toLowerCase(), ids);
  return `Did you mean '${like}'? Models of this account: ${ids.join(", ")}.`;
}

/** In characters. */
const MAX_SHOWN = 100;

function shown(name: string): string {
  return name.slice(0, MAX_SHOWN);
}
