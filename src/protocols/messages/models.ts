import { modelDetails, type ModelDetails } from "../../codex/model-details.ts";
import { resolveModel, type ModelNames } from "../../codex/model-names.ts";
import { publishedModels } from "../../codex/models.ts";
import type { ModelListRequest } from "../protocol.ts";
import { fault } from "./refuse.ts";

/** This API's own page size and its limit. */
const USUAL_PAGE = 20;
const LARGEST_PAGE = 1000;

/** Claude Code lists only models whose ids begin like those of its vendor: others never show up in its picker. */
const KEEPS_CLAUDE_NAMES = /^claude-(cli|code)\//i;

/** The account's models as one page: `limit`, `after_id` and `before_id` work as in the public API. */
export function toModelList({ models }: ModelNames, { query, userAgent }: ModelListRequest) {
  const prefix = KEEPS_CLAUDE_NAMES.test(userAgent) ? "claude/" : "";
  const slugs = new Map(publishedModels(models).map((slug) => [prefix + slug, slug]));
  const ids = [...slugs.keys()];
  const limit = Number(query.get("limit") ?? USUAL_PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) {
    throw fault("limit", `must be a number from 1 to ${LARGEST_PAGE}`);
  }
  const after = query.get("after_id");
  const before = query.get("before_id");
  const end = before === null ? ids.length : Math.max(0, ids.indexOf(before));
  const start = before === null ? (after === null ? 0 : ids.indexOf(after) + 1) : Math.max(0, end - limit);
  const page = ids.slice(start, Math.min(end, start + limit));
  return {
    data: page.map((id) => modelInfo(id, modelDetails(models, slugs.get(id) ?? id))),
    has_more: before === null ? start + limit < ids.length : start > 0,
    first_id: page[0] ?? null,
    last_id: page.at(-1) ?? null,
  };
}

/** One of the account's models, by any name that a message may be asked of. Throws `model_not_found`. */
export function toModel(names: ModelNames, id: string) {
  const { slug } = resolveModel(names, id, { mustExist: true });
  return modelInfo(id, modelDetails(names.models, slug));
}

function modelInfo(id: string, details: ModelDetails) {
  return {
    type: "model",
    id,
    display_name: details.name,
    // Required by the public shape; the backend gives no dates.
    created_at: "1970-01-01T00:00:00Z",
    max_input_tokens: details.contextTokens ?? null,
    max_tokens: null,
    lifecycle: "active",
    deprecated_at: null,
    retires_at: null,
    line: null,
    capabilities: capabilities(details),
  };
}

function capabilities({ inputModalities, efforts, searchesWeb }: ModelDetails) {
  const has = (supported: boolean) => ({ supported });
  const sees = has(inputModalities.includes("image"));
  const thinks = has(efforts.length > 0);
  const effort = (name: string) => has(efforts.includes(name));
  return {
    batch: has(false),
    citations: has(searchesWeb),
    code_execution: has(false),
    context_management: {
      supported: false,
      clear_thinking_20251015: null,
      clear_tool_uses_20250919: null,
      compact_20260112: null,
    },
    effort: {
      ...thinks,
      low: effort("low"),
      medium: effort("medium"),
      high: effort("high"),
      xhigh: effort("xhigh"),
      max: effort("max"),
    },
    image_input: sees,
    pdf_input: sees,
    server_tools: { ...has(searchesWeb), code_execution: has(false), web_search: has(searchesWeb) },
    structured_outputs: has(true),
    thinking: {
      ...thinks,
      types: { adaptive: thinks, between_tools: thinks, disabled: has(true), enabled: thinks },
    },
  };
}
