import { codexClientHeaders } from "../../codex/wire/headers.ts";
import { findModel, publishedModels, type ModelCatalogue } from "../../codex/models.ts";
import { RelayError } from "../../lib/errors.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import type { PublicApi } from "./public-api.ts";
import { jsonReply } from "./reply.ts";
import { decode, parametersOf, pathOf, dialectNamedIn, withAlias, type Handler, type Route } from "./routes.ts";

/** `created` is required by the public shape; the backend gives no dates. */
const CREATED = 0;

/** The list and its entries, in the form that the caller's dialect knows. */
export function modelRoutes(upstream: UpstreamClient, publicApi: PublicApi): Route[] {
  const list: Handler = async (admitted) => {
    if (await publicApi.isLogin()) return publicApi.forward(admitted, "/v1/models");
    const { request, life } = admitted;
    const version = parametersOf(request.url).get("client_version") ?? undefined;
    if (version !== undefined) return backendModels(upstream, version, request, life.signal);
    const models = await upstream.catalogue.current();
    const spoken = await dialectNamedIn(request);
    return spoken?.toModelList ? jsonReply(spoken.toModelList(models, parametersOf(request.url))) : modelList(models);
  };
  const one: Handler = async (admitted) => {
    const path = pathOf(admitted.request.url);
    if (await publicApi.isLogin()) return publicApi.forward(admitted, path);
    const id = decode(path.replace(/^(\/v1)?\/models\//, ""));
    const models = await upstream.catalogue.current();
    const spoken = await dialectNamedIn(admitted.request);
    return spoken?.toModel ? jsonReply(spoken.toModel(models, id)) : oneModel(models, id);
  };
  return [
    ...withAlias("/v1/models").map((path) => ({ path, isOpen: false, methods: { GET: list } })),
    ...withAlias("/v1/models/*").map((path) => ({ path, isOpen: false, methods: { GET: one } })),
  ];
}

/** GET /v1/models in the public form. */
function modelList(catalogue: ModelCatalogue): Response {
  return jsonReply({ object: "list", data: publishedModels(catalogue).map(modelObject) });
}

/** GET /v1/models/{id}. Throws `model_not_found`. */
function oneModel(catalogue: ModelCatalogue, id: string): Response {
  if (findModel(catalogue, id) || publishedModels(catalogue).includes(id)) return jsonReply(modelObject(id));
  throw new RelayError("model_not_found", `The model '${id.slice(0, 100)}' does not exist.`, {
    param: "model",
    hint: `Models of this account: ${publishedModels(catalogue).join(", ")}.`,
  });
}

/** GET /v1/models?client_version=…: the backend's own list, as Codex clients want it, with its ETag. */
async function backendModels(
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
