import { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { toBodyStream } from "../../lib/body-stream.ts";
import type { Counts } from "../../ledger/ledger.ts";
import type { Prices } from "../../ledger/prices.ts";
import type { Admitted } from "../handle.ts";
import { readJson } from "../http/body.ts";
import { jsonReply, streamHeaders } from "../http/reply.ts";
import { parametersOf, type Handler, type Route } from "../http/routes.ts";
import type { RequestFeed } from "./feed.ts";
import type { PageSessions } from "./sessions.ts";
import type { StateReader } from "./state.ts";
import { usageView } from "./usage.ts";

export interface PageOptions {
  readonly sessions: PageSessions;
  readonly feed: RequestFeed;
  readonly state: StateReader;
  readonly ledger: Counts | undefined;
  readonly prices: () => Prices;
  readonly now: () => number;
  /** True for the text of the relay's own key. */
  readonly isOwnKey: (key: string) => boolean;
  /** True when the relay has a key of its own, beside those of clients. */
  readonly hasOwnKey: () => boolean;
  /** Takes a code that `plansocket open` left for this relay; true for a good one. */
  readonly takeCode: ((code: string) => boolean) | undefined;
  /** Answers a question of the page as POST /v1/responses would. */
  readonly ask: Handler;
  readonly keepAliveMs: () => number;
  /** GET / for programs. */
  readonly alive: Handler;
}

/** A key is some hundred bytes. */
const LARGEST_KEY_BODY = 16 * 1024;
/** Pages that are open at once. */
const MOST_STREAMS = 16;
const SSE = { contentType: "text/event-stream", keepAlive: ": keep-alive\n\n" };

/** Only what comes from the relay itself: no inline script or style, no frame around it, no markup out of text. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const PAGE_HEADERS = {
  "content-security-policy": POLICY,
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/**
 * The status page. Its files are for anybody who may knock, as they say nothing; everything that they ask for needs the
 * key where there is one, or a session that was opened with it.
 */
export function pageRoutes(options: PageOptions): Route[] {
  const { sessions, feed, state } = options;
  const guarded = (handler: Handler): Handler => {
    return (admitted) => {
      assertMayRead(admitted, options);
      return handler(admitted);
    };
  };
  const root: Handler = (admitted) =>
    wantsPage(admitted.request.headers) ? asset(admitted, "index.html") : options.alive(admitted);
  const files = ["app.js", "style.css", "icon.svg"].map((name) =>
    route(`/page/${name}`, { GET: (admitted) => asset(admitted, name) }),
  );
  return [
    route("/", { GET: root }),
    ...files,
    route("/page/state", { GET: guarded(async () => fresh(jsonReply(await state.read()))) }),
    route("/page/usage", { GET: guarded((admitted) => usage(admitted, options)) }),
    route("/page/live", { GET: guarded((admitted) => live(feed, admitted, options.keepAliveMs())) }),
    route("/page/try", { POST: guarded((admitted) => options.ask(admitted)) }),
    route("/page/session", { POST: (admitted) => openSession(admitted, options) }),
    route("/page/code", { POST: guarded(() => fresh(jsonReply({ code: sessions.newCode() }))) }),
    route("/page/enter", { GET: (admitted) => enter(admitted, options) }),
  ];
}

function route(path: string, methods: Route["methods"]): Route {
  return { path, isOpen: true, methods };
}

/** Programs ask for JSON, or for anything. */
function wantsPage(headers: Headers): boolean {
  return /\btext\/html\b/i.test(headers.get("accept") ?? "");
}

/**
 * The page shows the account and what all clients do, so a client's key does not open it: the relay's own does, and a
 * session that was opened with it or by whoever may write in the state folder. Throws `invalid_api_key`.
 */
function assertMayRead({ request, caller }: Admitted, { sessions, hasOwnKey }: PageOptions): void {
  const isOwner = caller.isTrusted && caller.key?.limits === undefined;
  if (isOwner || sessions.isOpen(request.headers, caller.arrival.host)) return;
  throw new RelayError("invalid_api_key", "The status page is for the relay's owner.", {
    hint: `${hasOwnKey() ? "Enter the relay's own key, or run" : "Run"} \`plansocket open\` where the relay runs.`,
  });
}

async function asset({ request }: Admitted, name: string): Promise<Response> {
  const { ASSETS } = await import("./embedded.ts");
  const found = ASSETS[name];
  if (!found) throw new RelayError("not_found", `There is no ${name}.`);
  const etag = `"${Bun.hash(found.text).toString(36)}"`;
  const headers = { ...PAGE_HEADERS, "content-type": found.contentType, "cache-control": "no-cache", etag };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  return new Response(found.text, { headers });
}

async function usage({ request }: Admitted, { ledger, prices, now }: PageOptions): Promise<Response> {
  if (!ledger) throw new RelayError("not_found", "Nothing is counted here.", { hint: "Start without --ledger off." });
  const query = parametersOf(request.url);
  const asked = { by: query.get("by") ?? "model", days: Number(query.get("days") ?? 7) };
  return fresh(jsonReply(await usageView(ledger, asked, prices(), now())));
}

/** Says what holds now. */
function fresh(response: Response): Response {
  response.headers.set("cache-control", "no-store");
  return response;
}

function live(feed: RequestFeed, admitted: Admitted, keepAliveMs: number): Response {
  if (feed.openStreams >= MOST_STREAMS) {
    throw new RelayError("relay_busy", `${MOST_STREAMS} status pages are open already.`, {
      retryAfterMs: 30_000,
      hint: "Close one of them.",
    });
  }
  admitted.waitForever();
  const body = toBodyStream(feed.open(), { frame: SSE.keepAlive, everyMs: keepAliveMs });
  return new Response(body, { headers: streamHeaders(SSE.contentType) });
}

async function openSession(admitted: Admitted, { sessions, isOwnKey }: PageOptions): Promise<Response> {
  const body = await readJson(admitted, LARGEST_KEY_BODY);
  const key = isObject(body) ? body["key"] : undefined;
  if (typeof key !== "string" || !isOwnKey(key.trim())) {
    throw new RelayError("invalid_api_key", "This is not the relay's own key.", {
      hint: "It is the value of --api-key or PLANSOCKET_API_KEY where the relay was started. Or run `plansocket open` there.",
    });
  }
  return new Response(null, { status: 204, headers: { "set-cookie": sessionCookie(admitted, sessions) } });
}

/** Where `plansocket open` sends the browser: the code becomes a session, and the address is clean again. */
function enter(admitted: Admitted, { sessions, takeCode }: PageOptions): Response {
  const code = parametersOf(admitted.request.url).get("code") ?? "";
  const isGood = code !== "" && (sessions.redeem(code) || takeCode?.(code) === true);
  const cookie: Record<string, string> = isGood ? { "set-cookie": sessionCookie(admitted, sessions) } : {};
  return new Response(null, { status: 303, headers: { location: "../", "cache-control": "no-store", ...cookie } });
}

function sessionCookie({ caller }: Admitted, sessions: PageSessions): string {
  const { host, isSecure, basePath } = caller.arrival;
  return sessions.open(host ?? "", { isSecure, basePath });
}
