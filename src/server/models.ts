import { codexClientHeaders } from "../codex/headers.ts";
import { findModel, publishedModels, type ModelCatalogue } from "../codex/models.ts";
import { RelayError } from "../lib/errors.ts";
import type { UpstreamClient } from "../upstream/client.ts";
import { jsonReply } from "./reply.ts";

/** `created` is required by the public shape; the backend gives no dates. */
const CREATED = 0;

/** GET /v1/models in the public form. */
export function modelList(catalogue: ModelCatalogue): Response {
  return jsonReply({ object: "list", data: publishedModels(catalogue).map(modelObject) });
}

/** GET /v1/models/{id}. Throws `model_not_found`. */
export function oneModel(catalogue: ModelCatalogue, id: string): Response {
  if (findModel(catalogue, id) || publishedModels(catalogue).includes(id)) return jsonReply(modelObject(id));
  throw new RelayError("model_not_found", `The model '${id.slice(0, 100)}' does not exist.`, {
    param: "model",
    hint: `Models of this account: ${publishedModels(catalogue).join(", ")}.`,
  });
}

/** GET /v1/models?client_version=…: the backend's own list, as Codex clients want it, with its ETag. */
export async function backendModels(
  upstream: UpstreamClient,
  clientVersion: string,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const reply = await upstream.rawModels(clientVersion, codexClientHeaders(request.headers), signal);
  const etag = reply.headers.get("etag");
  return new Response(await reply.text(), {
    headers: { "content-type": "application/json", ...(etag === null ? {} : { etag }) },
  });
}

function modelObject(id: string) {
  return { id, object: "model", created: CREATED, owned_by: "openai" };
}
