import { codexClientHeaders } from "../../codex/wire/headers.ts";
import type { ModelNames } from "../../codex/model-names.ts";
import { modelList, oneModel } from "../../protocols/model-list.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import type { PublicApi } from "./public-api.ts";
import { jsonReply } from "./reply.ts";
import { decode, parametersOf, pathOf, dialectNamedIn, withAlias, type Handler, type Route } from "./routes.ts";

/** The list and its entries, in the form that the caller's dialect knows. */
export function modelRoutes(
  upstream: UpstreamClient,
  publicApi: PublicApi,
  modelAliases: () => ModelNames["modelAliases"],
): Route[] {
  const names = async (): Promise<ModelNames> => ({
    models: await upstream.catalogue.current(),
    modelAliases: modelAliases(),
  });
  const list: Handler = async (admitted) => {
    if (await publicApi.isLogin()) return publicApi.forward(admitted, "/v1/models");
    const { request, lifetime } = admitted;
    const version = parametersOf(request.url).get("client_version") ?? undefined;
    if (version !== undefined) return backendModels(upstream, version, request, lifetime.signal);
    const known = await names();
    const dialect = await dialectNamedIn(request);
    const asked = { query: parametersOf(request.url), userAgent: request.headers.get("user-agent") ?? "" };
    return jsonReply(dialect?.toModelList?.(known, asked) ?? modelList(known));
  };
  const one: Handler = async (admitted) => {
    const path = pathOf(admitted.request.url);
    if (await publicApi.isLogin()) return publicApi.forward(admitted, path);
    const id = decode(path.replace(/^(\/v1)?\/models\//, ""));
    const known = await names();
    const dialect = await dialectNamedIn(admitted.request);
    return jsonReply(dialect?.toModel?.(known, id) ?? oneModel(known, id));
  };
  return [
    ...withAlias("/v1/models").map((path) => ({ path, isOpen: false, methods: { GET: list } })),
    ...withAlias("/v1/models/*").map((path) => ({ path, isOpen: false, methods: { GET: one } })),
  ];
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
