import { RelayError } from "../../lib/errors.ts";
import { DIALECTS, EXCHANGES } from "../../protocols/index.ts";
import type { ProtocolEntry } from "../../protocols/protocol.ts";
import { handleExchange } from "../exchange.ts";
import { handle, handleExtraRoute, type HandleDependencies } from "../handle.ts";
import type { PublicApi } from "./public-api.ts";
import { withAlias, type Handler, type Route } from "./routes.ts";

export interface DialectRoutesOptions {
  readonly publicApi: PublicApi;
  /** As it is at the time of a request: settings may be read again. */
  readonly handling: () => HandleDependencies;
  /** Answers GET where a POST may also come over a socket. */
  readonly upgrade: Handler;
}

/** Where clients ask for answers, in every dialect. */
export function dialectRoutes(options: DialectRoutesOptions): Route[] {
  return [...conversations(options), ...exchanges(options)];
}

function conversations({ publicApi, handling, upgrade }: DialectRoutesOptions): Route[] {
  return DIALECTS.flatMap((dialect) => {
    const answer: Handler = async (admitted) => handle(await dialect.load(), admitted, handling());
    const routes = dialect.paths.flatMap(withAlias).map((path) => ({
      path,
      isOpen: false,
      dialect,
      methods: {
        POST: orPublicApi(publicApi, dialect, path, answer),
        ...(dialect.name === "responses" ? { GET: upgrade } : {}),
      },
    }));
    const extraRoutes = (dialect.extraRoutes ?? []).flatMap((extraRoute) => {
      const [method = "", extraPath = ""] = extraRoute.split(" ");
      const own: Handler = async (admitted) => handleExtraRoute(await dialect.load(), extraRoute, admitted, handling());
      // What the public API answers too is its to answer.
      const methods = { [method]: dialect.isOpenai ? orPublicApi(publicApi, dialect, extraPath, own) : own };
      return withAlias(extraPath).map((path) => ({ path, isOpen: false, dialect, methods }));
    });
    return [...routes, ...extraRoutes];
  });
}

function exchanges({ publicApi, handling }: DialectRoutesOptions): Route[] {
  return EXCHANGES.flatMap((dialect) => {
    const answer: Handler = async (admitted) => handleExchange(await dialect.load(), admitted, handling());
    return dialect.paths.flatMap(withAlias).map((path) => ({
      path,
      isOpen: false,
      dialect,
      methods: { POST: orPublicApi(publicApi, dialect, path, answer) },
    }));
  });
}

/** With an API-key login the public API answers for its own dialects, and nobody for the others. */
function orPublicApi(publicApi: PublicApi, dialect: ProtocolEntry, path: string, answer: Handler): Handler {
  return async (admitted) => {
    if (!(await publicApi.isLogin())) return answer(admitted);
    if (dialect.isOpenai) return publicApi.forward(admitted, path);
    throw new RelayError("not_implemented", `${path} needs a ChatGPT login; the login in use is an API key.`, {
      shouldRetry: false,
      hint: "Run `plansocket login`.",
    });
  };
}
