import { codexClientHeaders } from "../../codex/wire/request-headers.ts";
import type { CodexEndpoint } from "../../codex/wire/codex-endpoint.ts";
import { RelayError } from "../../lib/errors.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import { holdBudget, type LimitDependencies } from "../key-limits.ts";
import { readBody } from "./body.ts";
import { untilEnd, type PublicApi } from "./public-api.ts";
import { passedHeaders } from "./reply.ts";
import { pathOf, type Handler, type Route } from "./routes.ts";

/** Where the Codex CLI finds its provider: `openai_base_url`, with and without `/v1`, and `chatgpt_base_url`. */
const PROVIDER_ROOTS = ["/v1", "", "/backend-api/codex"];

/** Where it asks about its account: below `chatgpt_base_url`, which may end in `/backend-api` or not. */
const ACCOUNT_ROOTS = ["/backend-api/wham", "/api/codex"];

/** Below the Codex API: search, and the notes and history of a conversation (contract 0.15). */
const PROVIDER_PATHS = [
  "/alpha/search",
  ...["append_to_file", "list_files_by_prefix", "read_file", "thread_hint", "write_file"].map(
    (tool) => `/alpha/notes/v2/${tool}`,
  ),
  ...["list_items", "list_windows", "read_item", "search_contents"].map((tool) => `/alpha/history/v2/${tool}`),
];

/**
 * What the CLI of 0.171.0 reads at its start, for `/status` and for its account view; without `/accounts/check` it knows
 * no account. Spending banked resets is not among it.
 */
const ACCOUNT_PATHS = ["/usage", "/accounts/check", "/profiles/me", "/settings/user", "/rate-limit-reset-credits"];

/** Its telemetry is taken and goes nowhere: sent on, it would tell the vendor about one account under another's login. */
const TELEMETRY_PATHS = ["/backend-api/codex/analytics-events/events", "/codex/analytics-events/events"];

export interface CodexRoutesOptions {
  readonly limits: LimitDependencies;
  readonly upstream: UpstreamClient;
  readonly publicApi: PublicApi;
  readonly maxBodyBytes: () => number;
}

/**
 * What the Codex CLI and its app ask of their own provider besides responses, models and images: an explicit list,
 * passed on with the relay's credentials and never the caller's.
 */
export function codexRoutes(options: CodexRoutesOptions): Route[] {
  const provider = PROVIDER_ROOTS.flatMap((root) =>
    PROVIDER_PATHS.map((path) => routeOf(root + path, "POST", passed(options, { kind: "provider", path }))),
  );
  const account = ACCOUNT_ROOTS.flatMap((root) =>
    ACCOUNT_PATHS.map((path) => routeOf(root + path, "GET", passed(options, { kind: "account", path }))),
  );
  const telemetry = TELEMETRY_PATHS.map((path) => routeOf(path, "POST", () => new Response(null, { status: 204 })));
  return [...provider, ...account, ...telemetry];
}

function routeOf(path: string, method: string, handler: Handler): Route {
  return { path, isOpen: false, methods: { [method]: handler } };
}

/** Passes requests on to one endpoint: the body as it is, the reply with whatever status it has. */
function passed(options: CodexRoutesOptions, endpoint: CodexEndpoint): Handler {
  const { upstream, publicApi, maxBodyBytes } = options;
  return async (admitted) => {
    const { request, lifetime, record } = admitted;
    if (await publicApi.isLogin()) throw needsChatgptLogin(pathOf(request.url));
    record.dialect = "codex";
    const body = request.method === "GET" ? undefined : await readBody(admitted, maxBodyBytes());
    admitted.waitForever();
    await holdBudget(admitted, options.limits, () => 0);
    const { url, headers } = request;
    const reply = await upstream.pass(
      {
        endpoint,
        method: request.method,
        query: url.includes("?") ? url.slice(url.indexOf("?")) : "",
        headers: codexClientHeaders(headers),
        contentType: headers.get("content-type") ?? "application/json",
        body,
      },
      lifetime.signal,
    );
    lifetime.isStreaming = reply.body !== null;
    const passedOn = passedHeaders(reply.headers);
    record.requestId = passedOn.get("x-request-id") ?? record.requestId;
    return new Response(reply.body && untilEnd(reply.body, lifetime), { status: reply.status, headers: passedOn });
  };
}

function needsChatgptLogin(path: string): RelayError {
  return new RelayError("not_implemented", `${path} needs a ChatGPT login; the login in use is an API key.`, {
    shouldRetry: false,
    hint: "Run `plansocket login`.",
  });
}
