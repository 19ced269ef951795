import { findModel, publishedModels, type ModelCatalogue } from "../../codex/models.ts";
import { RelayError } from "../../lib/errors.ts";
import { fault } from "./refuse.ts";

/** This API's own page size and its limit. */
const USUAL_PAGE = 20;
const LARGEST_PAGE = 1000;

/** The account's models as one page: `limit`, `after_id` and `before_id` work as in the public API. */
export function toModelList(models: ModelCatalogue, query: URLSearchParams) {
  const ids = publishedModels(models);
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
    data: page.map((id) => modelInfo(models, id)),
    has_more: before === null ? start + limit < ids.length : start > 0,
    first_id: page[0] ?? null,
    last_id: page.at(-1) ?? null,
  };
}

/** One of the account's models. Throws `model_not_found`. */
export function toModel(models: ModelCatalogue, id: string) {
  if (findModel(models, id) || publishedModels(models).includes(id)) return modelInfo(models, id);
  throw new RelayError("model_not_found", `model: ${id.slice(0, 100)} does not exist.`, {
    param: "model",
    hint: `Models of this account: ${publishedModels(models).join(", ")}.`,
  });
}

function modelInfo(models: ModelCatalogue, id: string) {
  const info = findModel(models, id);
  return {
    type: "model",
    id,
    display_name: info?.display_name ?? id,
    // Required by the public shape; the backend gives no dates.
    created_at: "1970-01-01T00:00:00Z",
    max_input_tokens: info?.context_window ?? null,
    max_tokens: null,
    lifecycle: "active",
    deprecated_at: null,
    retires_at: null,
    line: null,
    capabilities: null,
  };
}
