import { codexClientHeaders } from "../../codex/wire/request-headers.ts";
import { resolveModel, type ModelNames } from "../../codex/model-names.ts";
import { publishedModels } from "../../codex/models.ts";
import { isObject, parseJson } from "../../lib/json.ts";
import { modelList, oneModel } from "../../protocols/model-list.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import type { Admitted } from "../handle.ts";
import { modelsFor, refuseModel } from "../key-limits.ts";
import type { PublicApi } from "./public-api.ts";
import { jsonReply } from "./reply.ts";
import { decode, parametersOf, pathOf, dialectNamedIn, withAlias, type Handler, type Route } from "./routes.ts";

/** The list and its entries, in the form that the caller's dialect knows. */
export function modelRoutes(
  upstream: UpstreamClient,
  publicApi: PublicApi,
  modelAliases: () => ModelNames["modelAliases"],
): Route[] {
  const names = async ({ caller }: Admitted): Promise<ModelNames> => {
    const all = { models: await upstream.catalogue.current(), modelAliases: modelAliases() };
    return { ...all, models: modelsFor(caller.key, all) };
  };
  const list: Handler = async (admitted) => {
    const allowed = admitted.caller.key?.limits?.models;
    if (await publicApi.isLogin()) {
      const reply = await publicApi.forward(admitted, "/v1/models");
      return allowed && reply.ok ? jsonReply(onlyAllowed(parseJson(await reply.text()), "data", "id", allowed)) : reply;
    }
    const { request, lifetime } = admitted;
    const version = parametersOf(request.url).get("client_version") ?? undefined;
    if (version !== undefined) {
      const { models } = allowed ? await names(admitted) : {};
      return backendModels(upstream, version, request, lifetime.signal, models && publishedModels(models));
    }
    const known = await names(admitted);
    const dialect = await dialectNamedIn(request);
    const asked = { query: parametersOf(request.url), userAgent: request.headers.get("user-agent") ?? "" };
    return jsonReply(dialect?.toModelList?.(known, asked) ?? modelList(known));
  };
  const one: Handler = async (admitted) => {
    const path = pathOf(admitted.request.url);
    if (await publicApi.isLogin()) return publicApi.forward(admitted, path);
    const id = decode(path.replace(/^(\/v1)?\/models\//, ""));
    const known = await names(admitted);
    refuseModel(admitted.caller.key, resolveModel(known, id, { mustExist: true }).slug, known);
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
  /** Ids of those that the client may use; undefined for all. */
  allowed: readonly string[] | undefined,
): Promise<Response> {
  const reply = await upstream.rawModels(clientVersion, codexClientHeaders(request.headers), signal);
  const etag = allowed ? null : reply.headers.get("etag");
  if (allowed) return jsonReply(onlyAllowed(parseJson(await reply.text()), "models", "slug", allowed));
  return new Response(await reply.text(), {
    headers: { "content-type": "application/json", ...(etag === null ? {} : { etag }) },
  });
}

/** A list without what a key may not use; nothing of one that has another form. */
function onlyAllowed(list: unknown, field: string, idField: string, allowed: readonly string[]): object {
  if (!isObject(list) || !Array.isArray(list[field])) return { [field]: [] };
  const models = list[field].filter((model) => isObject(model) && allowed.includes(String(model[idField])));
  return { ...list, [field]: models };
}
