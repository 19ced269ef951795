import { LITE_HEADER } from "../../src/codex/request/lite.ts";
import { RESERVE_MODEL } from "../../src/codex/plan-limits.ts";
import { findModel, type ModelCatalogue, type ModelInfo } from "../../src/codex/models.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import { isOlder } from "../../src/lib/version-order.ts";
import { minimumVersion } from "./versions.ts";
import { refuseItems } from "./item-rules.ts";
import { asObjects, asText, shown } from "../../src/demo/json.ts";
import { firstRefusal, refuse, refuseParam, type Refusal, wrongType, wrongValue } from "./refusal.ts";
import { refuseTextOptions, refuseToolChoice, refuseTools } from "./tool-rules.ts";
import { USUAL_VIEWS, type Views } from "./views.ts";

/** What the backend takes at the top of a body. One other name and the whole request is refused. */
const FIELDS = new Set([
  "model",
  "input",
  "instructions",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning",
  "text",
  "include",
  "store",
  "stream",
  "prompt_cache_key",
  "service_tier",
  "client_metadata",
]);

const INCLUDES = [
  "reasoning.encrypted_content",
  "web_search_call.action.sources",
  "web_search_call.results",
  "message.output_text.logprobs",
  "message.input_image.image_url",
];

/**
 * Why the backend would not take this request; undefined when it would. As strict as the real one is reported to be, so
 * that whatever is let through here too much is a fault of the relay and not a matter of luck.
 */
export function findRefusal(
  headers: Headers,
  body: unknown,
  catalogue: ModelCatalogue,
  views: Views = USUAL_VIEWS,
): Refusal | undefined {
  if (!isObject(body)) return refuse("Request body must be a JSON object");
  const unsupported = Object.keys(body).find((name) => !FIELDS.has(name));
  const refused = unsupported ?? views.refusedFields.find((path) => isPresent(body, path));
  if (refused !== undefined) return refuse(`Unsupported parameter: ${refused}`);
  if (body["store"] !== false) return refuse("Store must be set to false");
  if (body["stream"] !== true) return refuse("Stream must be set to true");
  if (!Array.isArray(body["input"])) return refuse("Input must be a list");

  const slug = asText(body["model"]);
  const model = slug === RESERVE_MODEL ? reserveModel(headers, catalogue) : findModel(catalogue, slug);
  if (!model) return refuse(`The '${slug}' model is not supported when using Codex with a ChatGPT account.`);
  const isLite = headers.get(LITE_HEADER) === "true";
  return (
    refuseVersion(headers, model) ??
    (isLite ? refuseLite(body, model, views) : refuseClassic(body, model, views)) ??
    refuseInstructions(body, isLite, views) ??
    refuseItems(body["input"] as unknown[], isLite) ??
    refuseReplay(body, views) ??
    refuseTools(body["tools"], "tools", views) ??
    firstRefusal(body["input"] as unknown[], (item, index) =>
      isObject(item) && item["type"] === "additional_tools"
        ? refuseTools(item["tools"], `input[${index}].tools`, views)
        : undefined,
    ) ??
    refuseToolChoice(body, isLite) ??
    refuseTextOptions(body) ??
    refuseReasoning(body["reasoning"], model, views) ??
    refuseTier(body["service_tier"], model) ??
    refuseSmallFields(body)
  );
}

/** A model that no list has. It answers requests that say by a header that they mean it. */
function reserveModel(headers: Headers, { models }: ModelCatalogue): ModelInfo | undefined {
  const luna = models.find(({ slug }) => slug.endsWith("-luna"));
  return headers.get("x-openai-codex-luna-reserve") === "1" && luna ? { ...luna, slug: RESERVE_MODEL } : undefined;
}

function isPresent(body: JsonObject, path: string): boolean {
  const [head = "", ...rest] = path.split(".");
  const value = body[head];
  return rest.length === 0 ? value !== undefined : isObject(value) && isPresent(value, rest.join("."));
}

function refuseVersion(headers: Headers, model: ModelInfo): Refusal | undefined {
  const agent = /^codex[\w-]*\/(\d+\.\d+\.\d+)/i.exec(headers.get("user-agent") ?? "");
  const version = headers.get("version") ?? agent?.[1];
  if (version === undefined || !isOlder(version, minimumVersion(model))) return undefined;
  return refuse(`The '${model.slug}' model requires a newer version of Codex. Please upgrade to the latest version.`);
}

const LITE = "X-OpenAI-Internal-Codex-Responses-Lite";

function refuseLite(body: JsonObject, model: ModelInfo, views: Views): Refusal | undefined {
  if (model.use_responses_lite !== true || views.lite === "refused") {
    return refuseParam(`This model is not supported when using ${LITE}.`, "model", "unsupported_value");
  }
  const reasoning = body["reasoning"];
  if (!isObject(reasoning) || reasoning["context"] !== "all_turns") {
    const message = `${LITE} requires reasoning.context to be all_turns`;
    return refuseParam(message, "reasoning.context", "unsupported_value");
  }
  for (const name of ["tools", "instructions"]) {
    if (body[name] !== undefined) {
      return refuseParam(`${LITE} does not support top-level ${name}`, name, "unsupported_value");
    }
  }
  if (body["parallel_tool_calls"] === true) {
    return refuseParam(`${LITE} does not support parallel_tool_calls`, "parallel_tool_calls", "unsupported_value");
  }
  const late = asObjects(body["input"]).findIndex((item, index) => item["type"] === "additional_tools" && index > 0);
  if (late < 0) return undefined;
  return refuseParam("additional_tools must be the first input item", `input[${late}]`, "invalid_value");
}

/** The full shape also takes `additional_tools`, which one client sends without the Lite header (contract 0.2). */
function refuseClassic(body: JsonObject, model: ModelInfo, views: Views): Refusal | undefined {
  if (isClassicRefused(model, views.classicRefusedBy)) return refuse(`Model not found ${model.slug}`, 404);
  const { instructions } = body;
  return instructions === undefined || typeof instructions === "string"
    ? undefined
    : refuse("Instructions are not valid");
}

function isClassicRefused(model: ModelInfo, view: Views["classicRefusedBy"]): boolean {
  if (typeof view !== "string") return view.includes(model.slug);
  return view === "lite-models" && model.use_responses_lite === true;
}

/** No client sends a body with neither instructions nor a developer message, in either shape (contract 0.3). */
function refuseInstructions(body: JsonObject, isLite: boolean, views: Views): Refusal | undefined {
  const hasDeveloper = asObjects(body["input"]).some((item) => item["role"] === "developer");
  const hasField = typeof body["instructions"] === "string";
  const isGiven =
    views.instructions === "either" || isLite ? hasDeveloper || hasField : asText(body["instructions"]) !== "";
  return isGiven ? undefined : refuse("Instructions are required");
}

/** Reasoning of earlier turns may have become unreadable for the backend, after a change of model or account. */
function refuseReplay(body: JsonObject, views: Views): Refusal | undefined {
  if (views.replayedReasoning === "accepted") return undefined;
  const item = asObjects(body["input"]).find(({ type }) => type === "reasoning");
  if (!item) return undefined;
  const message = `The encrypted content ${asText(item["id"]) || "rs_0"} could not be verified.`;
  return refuseParam(message, null, "invalid_encrypted_content");
}

function refuseReasoning(reasoning: unknown, model: ModelInfo, views: Views): Refusal | undefined {
  if (reasoning === undefined || reasoning === null) return undefined;
  if (!isObject(reasoning)) return wrongType("reasoning", "an object");
  const stranger = Object.keys(reasoning).find((key) => !["effort", "summary", "context"].includes(key));
  if (stranger !== undefined) return refuse(`Unsupported parameter: reasoning.${stranger}`);
  const summaries = ["auto", "concise", "detailed"];
  const { effort, summary } = reasoning;
  if (summary !== undefined && summary !== null && !summaries.includes(asText(summary))) {
    return wrongValue("reasoning.summary", summary, summaries);
  }
  if (effort === undefined || effort === null) return undefined;
  // `ultra` is a mode of clients; on the wire it is `max`.
  const listed = (model.supported_reasoning_levels ?? []).map((level) => level.effort);
  const supported = listed.filter((name) => name !== "ultra" && name !== "none");
  if (supported.includes(asText(effort))) return undefined;
  if (effort === "none" && takesNone(model, views)) return undefined;
  const list = supported.map((name) => `'${name}'`).join(", ");
  const message =
    `Unsupported value: '${shown(effort)}' is not supported with the '${model.slug}' model. ` +
    `Supported values are: ${list}.`;
  return refuseParam(message, "reasoning.effort", "unsupported_value");
}

/** What live requests have shown of the effort `none`, whatever the catalogue lists (contract 0.7). */
function takesNone({ slug }: ModelInfo, views: Views): boolean {
  if (slug.startsWith("gpt-5.6-") || ["gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra"].includes(slug)) return true;
  return slug !== "gpt-6-astra" && slug !== "gpt-6.1-sol" && views.noneEffort === "accepted";
}

/** A model takes the tiers that its catalogue entry lists, and no other (contract 0.16). */
function refuseTier(tier: unknown, model: ModelInfo): Refusal | undefined {
  if (tier === undefined || (model.service_tiers ?? []).some(({ id }) => id === tier)) return undefined;
  return refuse(`Unsupported service_tier: ${shown(tier)}`);
}

function refuseSmallFields(body: JsonObject): Refusal | undefined {
  if (body["parallel_tool_calls"] !== undefined && typeof body["parallel_tool_calls"] !== "boolean") {
    return wrongType("parallel_tool_calls", "a boolean");
  }
  if (body["prompt_cache_key"] !== undefined && typeof body["prompt_cache_key"] !== "string") {
    return wrongType("prompt_cache_key", "a string");
  }
  const include = body["include"];
  if (include !== undefined && !Array.isArray(include)) return wrongType("include", "an array of strings");
  const unknown = ((include ?? []) as unknown[]).find((name) => !INCLUDES.includes(asText(name)));
  if (unknown !== undefined) return wrongValue("include", unknown, INCLUDES);
  const metadata = body["client_metadata"];
  if (metadata === undefined) return undefined;
  const isStringMap = isObject(metadata) && Object.values(metadata).every((value) => typeof value === "string");
  return isStringMap ? undefined : wrongType("client_metadata", "an object of strings");
}
