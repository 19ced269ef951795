import { RelayError } from "../../lib/errors.ts";
import { DIALECTS, EXCHANGES } from "../../protocols/index.ts";
import { preflightHeaders } from "../access.ts";
import type { Admitted } from "../handle.ts";
import { isPublicApiPath, type PublicApi } from "./public-api.ts";
import { isNotOffered, type Route } from "./routes.ts";

/**
 * The answer to a request that Bun's router gave to no handler: a preflight, HEAD, a method or a path that does not
 * exist. `route` is the one whose path fits, if any. Throws RelayError.
 */
export async function answerUnrouted(
  admitted: Admitted,
  path: string,
  route: Route | undefined,
  publicApi: PublicApi,
): Promise<Response> {
  const { request, caller } = admitted;
  const allow = allowedMethods(route);
  if (request.method === "OPTIONS" && (route || caller.origin !== undefined)) {
    const headers = { allow, ...preflightHeaders(caller, request.headers, allow) };
    return new Response(null, { status: 204, headers });
  }
  // Bun's router takes paths as they came, `/v1/../health` too; `request.url` has them resolved.
  const handler = route?.methods[request.method === "HEAD" ? "GET" : request.method];
  if (handler) return handler(admitted);
  const isPublic = route ? !route.isOpen && isOpenai(route) : isPublicApiPath(path);
  // OPTIONS comes in without a key, so nothing may be spent on it.
  if (request.method !== "OPTIONS" && isPublic && (await publicApi.isLogin())) {
    return publicApi.forward(admitted, path);
  }
  if (route) {
    throw new RelayError("method_not_allowed", `${request.method} is not allowed on ${path}.`, { headers: { allow } });
  }
  throw notFound(request.method, path);
}

function allowedMethods(route: Route | undefined): string {
  const methods = route ? Object.keys(route.methods) : [];
  return [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
}

function notFound(method: string, path: string): RelayError {
  if (isNotOffered(path)) {
    return new RelayError("not_implemented", `${path} is not offered by this relay.`, { shouldRetry: false });
  }
  const paths = [...[...DIALECTS, ...EXCHANGES].flatMap((entry) => entry.paths), "/v1/models"];
  return new RelayError("not_found", `Unknown request URL: ${method} ${path.slice(0, 200)}.`, {
    hint: `The relay answers on ${paths.join(", ")}.`,
  });
}

/** Routes of other dialects exist only here. */
function isOpenai({ dialect }: Route): boolean {
  return dialect === undefined || dialect.isOpenai;
}
