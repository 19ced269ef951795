import { RelayError } from "../lib/errors.ts";
import { isObject, nonEmptyString, parseJson } from "../lib/json.ts";
import { unreachable } from "../lib/unreachable.ts";
import { isCloudflarePage } from "../lib/web-page.ts";

export type AuthFetch = (url: string, init?: RequestInit) => Promise<Response>;

/** Where the owner signs in and out, and the way there. */
export interface LoginService {
  /** As in `https://auth.openai.com`, without a slash at the end. */
  readonly issuer: string;
  readonly clientId: string;
  /** Whole URL that ends a login. */
  readonly revokeUrl: string;
  /** Goes out the same way as traffic does. */
  readonly fetch: AuthFetch;
  /** The proxy that a URL would use, without its credentials; for messages. */
  readonly proxyFor: (url: string) => string | undefined;
}

/** What the service said. `body` is undefined when it was no JSON. */
export interface ServiceReply {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
}

const TIMEOUT_MS = 30_000;

/**
 * One POST to the login service, as JSON or as a form (the code exchange takes nothing else). Throws
 * `upstream_unreachable`; a reply of any status is returned. An abort of `signal` throws its reason.
 */
export async function postToService(
  service: LoginService,
  url: string,
  body: { readonly json: object } | { readonly form: Readonly<Record<string, string>> },
  signal: AbortSignal = AbortSignal.timeout(TIMEOUT_MS),
): Promise<ServiceReply> {
  const isJson = "json" in body;
  try {
    const response = await service.fetch(url, {
      method: "POST",
      headers: { "content-type": isJson ? "application/json" : "application/x-www-form-urlencoded", accept: "*/*" },
      body: isJson ? JSON.stringify(body.json) : new URLSearchParams(body.form).toString(),
      signal,
    });
    const text = await response.text();
    return { status: response.status, text, body: parseJson(text) };
  } catch (error) {
    if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason;
    throw unreachable(error, new URL(url).host, service.proxyFor(url));
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

/** A refusal in words for people. `doing` completes "The login service refused …"; `next` is what to try then. */
export function refusalOf(reply: ServiceReply, doing: string, next: string): RelayError {
  const known = networkRefusal(reply.status, reply.text);
  if (known !== undefined) return new RelayError("login_failed", known, { hint: next });
  const code = errorCode(reply.body);
  const message =
    reply.status >= 500 || reply.status === 429
      ? `The login service is in trouble (status ${reply.status}) and did not take ${doing}.`
      : `The login service refused ${doing} (status ${reply.status}${code === undefined ? "" : `, ${code.slice(0, 60)}`}).`;
  return new RelayError("login_failed", message, { hint: next });
}

/** A reply whose content is not what was asked for, as a failure: a page of the network's own is named as that. */
export function emptyReplyError(reply: ServiceReply, message: string, next: string): RelayError {
  return new RelayError("login_failed", networkRefusal(reply.status, reply.text) ?? message, { hint: next });
}

/** Refusals that speak of the network rather than of the login, in one sentence; undefined for all others. */
export function networkRefusal(status: number, text: string): string | undefined {
  if (errorCode(parseJson(text)) === "unsupported_country_region_territory") {
    return "The login service does not serve your region; set --proxy if your network leaves elsewhere.";
  }
  if (status === 407) return "The proxy on the way asks for credentials (407); write them into its URL (--proxy).";
  if (status >= 300 && status < 400) {
    return `The login service's address leads elsewhere (${status}); check whether this network asks for a sign-in, and --proxy.`;
  }
  if (!/^\s*</.test(text)) return undefined;
  return status === 403 && isCloudflarePage(undefined, text)
    ? "Cloudflare blocked the way to the login service; try another network."
    : `A web page with status ${status} came instead of the login service's answer; check the network or --proxy.`;
}

/** In any of the three places where the service puts it, in lower case. */
export function errorCode(body: unknown): string | undefined {
  if (!isObject(body)) return undefined;
  const { error } = body;
  const code = isObject(error) ? error["code"] : (error ?? body["code"]);
  return nonEmptyString(code)?.toLowerCase();
}
